"""`/playback/{view}/…`: the pictures themselves, for whoever has the view's ticket in a cookie.

Not of the JSON API: plain HTTP with ranges, as players ask. A stretch is short, and before each it
is looked at again whether the view may go on; so a link that was taken back ends what is being
watched, and nobody who watches keeps a thread.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from uuid import UUID

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from app.audit import service as audit
from app.audit.service import Entry
from app.clock import utc_now
from app.errors import DomainError
from app.playback import delivery, tickets, watching
from app.playback.delivery import VIDEO, Part
from app.ports import Pieces
from app.services import Services
from app.web.auth import now
from app.web.cookies import playback_ticket
from app.web.refusals import note_refusal
from app.web.services import current_services
from app.web.streaming import send

blp = Blueprint("playback-transfers", __name__)

STRETCH_BYTES = 2 * 1024 * 1024
HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-store",
    "Content-Disposition": "inline",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@blp.get("/playback/<uuid:view_id>/<uuid:file_id>/<any('video', 'poster'):what>")
def play(view_id: UUID, file_id: UUID, what: str) -> Response:
    """Hand out the stretch of a video that is asked for, or its poster."""
    services = current_services()
    organisation_id = tickets.organisation_of(
        playback_ticket(), view_id, secrets=services.settings.api_token_secret
    )
    opening = services.database.begin(organisation_id)
    with _noting_refusal(organisation_id, view_id), opening as db:
        part = delivery.open_part(db, view_id, file_id, what, now=now())
    start, stop = _asked(part)
    if request.method == "HEAD":
        response = Response(headers=HEADERS)
    else:
        reading = _Reading(services, part, file_id, what)
        response = send(lambda: reading.pieces(start, stop), **HEADERS)
    response.mimetype = part.media_type
    response.set_etag(_etag(part))
    response.content_length = stop - start
    if stop - start < part.size_bytes or (_ranged(part) and request.method == "GET"):
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{part.size_bytes}"
    return response


class _Reading:
    """Reads a part for one answer, stretch by stretch; outside any request's context."""

    def __init__(self, services: Services, part: Part, file_id: UUID, what: str) -> None:
        self._services = services
        self._part = part
        self._file_id, self._what = file_id, what

    def pieces(self, start: int, stop: int) -> Pieces:
        """Yield the bytes, and note each stretch of a video once it has left."""
        for at in range(start, stop, STRETCH_BYTES):
            if at > start:
                self._look_again()
            yield from self._stretch(at, min(at + STRETCH_BYTES, stop))

    def _stretch(self, start: int, stop: int) -> Pieces:
        sent = 0
        reading = self._services.storage.read(self._part.stored, start=start, length=stop - start)
        with closing(reading) as pieces:
            try:
                for piece in pieces:
                    yield piece
                    sent += len(piece)  # the server has come for the next
            finally:
                if sent and self._what == VIDEO:
                    self._note(start, start + sent)

    def _look_again(self) -> None:
        view = self._part.view
        with self._services.database.begin(view.organisation_id) as db:
            delivery.open_part(db, view.id, self._file_id, self._what, now=utc_now())

    def _note(self, start: int, stop: int) -> None:
        with self._services.database.begin(self._part.view.organisation_id) as db:
            delivery.delivered(db, self._part, start=start, stop=stop, now=utc_now())


def _asked(part: Part) -> tuple[int, int]:
    """Return from where to where the answer goes: of a stretch that is asked for its beginning, of
    anything else the whole.

    Raises:
        RequestedRangeNotSatisfiable: it begins behind the end.
    """
    if request.method == "HEAD" or not _ranged(part):
        return 0, part.size_bytes
    assert request.range is not None
    span = request.range.range_for_length(part.size_bytes)
    if span is None:
        raise RequestedRangeNotSatisfiable(length=part.size_bytes)
    start, stop = span
    return start, min(stop, start + STRETCH_BYTES)


def _ranged(part: Part) -> bool:
    """Tell whether one stretch is asked for, of the file as it is. Several at once, other units and
    the stretch of another file are not what players ask for: then they get all of it."""
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return False
    condition = request.if_range
    if condition.etag is None:
        return condition.date is None
    return condition.etag == _etag(part)


def _etag(part: Part) -> str:
    return part.stored.id.hex


@contextmanager
def _noting_refusal(organisation_id: UUID, view_id: UUID) -> Iterator[None]:
    """Have the audit log say that a view did not go on."""
    try:
        yield
    except DomainError as error:
        entry = Entry(
            action="playback.delivered",
            actor=audit.STRANGER,
            organisation_id=organisation_id,
            refused=True,
            detail={"view_id": str(view_id), "code": error.code},
        )
        note_refusal(entry, now=now())
        raise watching.told(error) from error
