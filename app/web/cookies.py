"""The cookies of people who sign in or watch a recording on our pages, and whose requests they are
believed from.

The cookie goes with requests of our own pages only: SameSite=Lax keeps it off what other sites
send, and a write must besides come from our origin, which no page can forge: browsers say it in
`Origin`, or, where a page's referrer policy hides that, in `Sec-Fetch-Site`.

An open page asks by itself, too. It says so, and that keeps nobody signed in: whoever walked away
is out after the same time as somebody who closed the page.
"""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Response, request

from app.access import staff
from app.access.staff import Lifetime, SignedIn
from app.errors import Forbidden
from app.web.services import current_services

STAFF = "teleconsult-staff"
SIGN_IN = "teleconsult-sign-in"
HOSPITAL = "teleconsult-hospital"
PLAYBACK = "teleconsult-playback"
# As long as browsers keep a cookie at most.
HOSPITAL_KEPT = timedelta(days=400)
READING = ("GET", "HEAD", "OPTIONS")
# `none`: a person typed the address, or opened a bookmark.
OUR_OWN = ("same-origin", "none")
BACKGROUND = "Teleconsult-Background"


def staff_token() -> str | None:
    """Return the token of who is signed in, if the request comes from a page of ours."""
    is_ours = request.headers.get("Sec-Fetch-Site", "none") in OUR_OWN or _is_from_our_origin()
    # What a person opens by a link elsewhere, or comes back to from the issuer, is shown to them.
    is_opened = request.headers.get("Sec-Fetch-Mode") == "navigate"
    if not is_ours and not (is_opened and request.method in READING):
        return None
    return request.cookies.get(_name(STAFF)) or None


def current_session(now: datetime) -> SignedIn:
    """Return the session of the person who is signed in.

    Raises:
        Unauthorized: nobody is.
        Forbidden: the request would change something and does not come from our pages.
    """
    if request.method not in READING:
        require_our_origin()
    with current_services().database.begin() as db:
        return staff.find(
            db,
            token=staff_token() or "",
            lifetime=lifetime(),
            is_person=BACKGROUND not in request.headers,
            now=now,
        )


def require_our_origin() -> None:
    """Refuse a form or script of another site.

    Raises:
        Forbidden: the request does not say that it comes from our pages.
    """
    said = request.headers.get("Origin", "null"), request.headers.get("Sec-Fetch-Site")
    if not _is_from_our_origin() and said != ("null", "same-origin"):
        raise Forbidden("This must come from a page of this service.", code="origin_refused")


def lifetime() -> Lifetime:
    """Return how long people stay signed in."""
    settings = current_services().settings
    return Lifetime(
        timedelta(seconds=settings.staff_idle_s), timedelta(seconds=settings.staff_session_s)
    )


def set_staff(response: Response, token: str) -> None:
    """Keep a person signed in until the browser is closed, or the session ends here."""
    response.set_cookie(_name(STAFF), token, **_attributes())


def drop_staff(response: Response) -> None:
    """Forget who is signed in."""
    response.delete_cookie(_name(STAFF), **_attributes())


def sign_in() -> str:
    """Return the sign-in that is under way in this browser; empty when none is."""
    return request.cookies.get(_name(SIGN_IN), "")


def set_sign_in(response: Response, sealed: str, *, kept: timedelta) -> None:
    """Keep a sign-in that is under way."""
    response.set_cookie(_name(SIGN_IN), sealed, max_age=kept, **_attributes())


def drop_sign_in(response: Response) -> None:
    """Forget a sign-in: it is used up."""
    response.delete_cookie(_name(SIGN_IN), **_attributes())


def hospital() -> str:
    """Return the id of the hospital that was chosen in this browser; empty when none was."""
    return request.cookies.get(_name(HOSPITAL), "")


def set_hospital(response: Response, organisation_id: str) -> None:
    """Keep which hospital was chosen; it says nothing of the person."""
    response.set_cookie(_name(HOSPITAL), organisation_id, max_age=HOSPITAL_KEPT, **_attributes())


def playback_ticket() -> str:
    """Return what this browser shows to go on watching; empty when there is nothing."""
    return request.cookies.get(PLAYBACK, "")


def set_playback(response: Response, ticket: str, *, path: str, until: datetime) -> None:
    """Let this browser, and no script in it, go on with one view: under its address alone."""
    response.set_cookie(
        PLAYBACK,
        ticket,
        path=path,
        expires=until,
        secure=_is_secure(),
        httponly=True,
        samesite="Strict",
    )


def _name(name: str) -> str:
    # Browsers refuse a cookie of this prefix from any other host, and without TLS.
    return f"__Host-{name}" if _is_secure() else name


def _attributes() -> dict[str, Any]:
    return {"path": "/", "secure": _is_secure(), "httponly": True, "samesite": "Lax"}


def _is_secure() -> bool:
    return current_services().settings.public_url.startswith("https://")


def _is_from_our_origin() -> bool:
    parts = urlsplit(current_services().settings.public_url)
    return request.headers.get("Origin") == f"{parts.scheme}://{parts.netloc}"
