"""Scripts and styles of the pages, and the two vendored files the local client needs.

Our files live under a folder named after the hash of all of them, so that browsers may keep them
for ever and the relative imports between the modules stay inside one version.
"""

import gzip
import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from flask import Response, request

STATIC = Path(__file__).parent / "static"
NODE_MODULES = Path(__file__).parents[2] / "node_modules"
# Only these: a package folder also holds sources, maps and licences nobody has to download.
VENDOR = {
    "jquery/jquery.min.js": "jquery/dist/jquery.min.js",
    "lib-jitsi-meet/lib-jitsi-meet.min.js": "@lyno/lib-jitsi-meet/lib-jitsi-meet.min.js",
    "lib-jitsi-meet/lib-jitsi-meet.e2ee-worker.js": (
        "@lyno/lib-jitsi-meet/lib-jitsi-meet.e2ee-worker.js"
    ),
}
# Modules that not every visit runs.
LATER = ("js/meeting-", "js/old-", "js/panel", "js/dialog", "js/clinic", "js/files", "js/playback")
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"


@cache
def build() -> str:
    """Return the name of the present version: 16 hex digits over all our static files."""
    digest = hashlib.sha256()
    for file in _own_files():
        digest.update(file.relative_to(STATIC).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def own(version: str, name: str) -> Response:
    """Answer one of our files; a file of another version is not to be kept."""
    file = _known().get(name)
    if file is None:
        return _absent()
    return _answer(file, FOR_EVER if version == build() else ASK_AGAIN)


def vendor(name: str) -> Response:
    """Answer a vendored file, 404 when the packages are not installed on this machine."""
    file = NODE_MODULES / VENDOR[name] if name in VENDOR else None
    if file is None or not file.is_file():
        return _absent()
    return _answer(file, ASK_AGAIN)


@cache
def first_modules() -> list[str]:
    """Return the modules every visit runs, to be fetched together instead of import by import."""
    names = [name for name in _known() if name.startswith("js/")]
    return [name for name in names if not name.startswith(LATER)]


@cache
def _own_files() -> list[Path]:
    return sorted(file for file in STATIC.rglob("*") if file.is_file())


@cache
def _known() -> dict[str, Path]:
    # A lookup instead of a path join: no request can name anything outside the folder.
    return {file.relative_to(STATIC).as_posix(): file for file in _own_files()}


def _answer(file: Path, caching: str) -> Response:
    plain, packed, etag = _content(file)
    small = request.accept_encodings.quality("gzip") > 0
    response = Response(packed if small else plain, mimetype=_type(file))
    if small:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(f"{etag}-gzip" if small else etag)
    response.headers["Cache-Control"] = caching
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.make_conditional(request)
    return response


@cache
def _content(file: Path) -> tuple[bytes, bytes, str]:
    plain = file.read_bytes()
    return plain, gzip.compress(plain, mtime=0), hashlib.sha256(plain).hexdigest()[:16]


def _type(file: Path) -> str:
    # Not left to the machine's table: some map .js to text/plain, and nosniff then stops it.
    return (
        "text/javascript"
        if file.suffix == ".js"
        else mimetypes.guess_type(file.name)[0] or "text/plain"
    )


def _absent() -> Response:
    return Response("Not found\n", status=404, mimetype="text/plain")
