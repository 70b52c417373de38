"""The headers that keep a page to itself: no third party, no inline script, no trace."""

from urllib.parse import urlsplit

from flask import Response


def secure(
    response: Response, *, jitsi_public_url: str, websocket_url: str, stream_url: str
) -> Response:
    """Put the security headers on an HTML page and return it.

    The link code is in the address of the page, therefore no referrer and nothing stored by caches.

    Args:
        jitsi_public_url: base of the hospital's Jitsi Meet, "" when the page is the client itself.
        websocket_url: XMPP websocket of the local client, "" when there is none.
        stream_url: base of the streams, "" when the page asks instead.
    """
    jitsi = origin(jitsi_public_url)
    response.headers["Content-Security-Policy"] = content_policy(
        jitsi, origin(websocket_url), origin(stream_url)
    )
    response.headers["Permissions-Policy"] = permissions_policy(jitsi)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Cache-Control"] = "no-store"
    return response


def content_policy(jitsi: str, websocket: str, stream: str) -> str:
    """Return the Content-Security-Policy; `jitsi`, `websocket`, `stream` are origins or ""."""
    directives = {
        "default-src": ["'none'"],
        "script-src": ["'self'", jitsi],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "media-src": ["'self'", "blob:", "mediastream:"],
        "connect-src": ["'self'", websocket, stream],
        "frame-src": [jitsi or "'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
    return "; ".join(
        f"{name} {' '.join(filter(None, values))}" for name, values in directives.items()
    )


def permissions_policy(jitsi: str) -> str:
    """Return the Permissions-Policy: devices for the page and for Jitsi, nothing else."""
    allowed = f'(self "{jitsi}")' if jitsi else "(self)"
    used = ("camera", "microphone", "display-capture", "autoplay", "fullscreen", "screen-wake-lock")
    unused = ("geolocation", "payment", "usb", "serial", "midi", "hid")
    return ", ".join([f"{name}={allowed}" for name in used] + [f"{name}=()" for name in unused])


def origin(url: str) -> str:
    """Return scheme and host of an address as a CSP source, "" for ""."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
