"""`/uploads/…` and `/downloads/…`: bytes, for whoever has a ticket. Not of the JSON API: the first
speaks tus 1.0.0 (https://tus.io/protocols/resumable-upload), the second plain HTTP with ranges."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Blueprint, Response, request

from app.audit.service import Entry
from app.errors import Forbidden, NotFound
from app.files import downloads, tickets
from app.files.downloads import Opened
from app.files.kinds import RULES
from app.files.service import person_of
from app.files.tickets import CONTENT, PREVIEW, UPLOAD, Ticket
from app.files.turns import sending
from app.files.uploads import Upload
from app.web import tus
from app.web.auth import now
from app.web.outgoing import watched
from app.web.refusals import note_refusal
from app.web.services import current_services
from app.web.streaming import body_reader, send, taking_stream

blp = Blueprint("transfers", __name__)

LARGEST = max(rule.most_bytes for rule in RULES.values())
# What people share is never a page of ours: no script, no frame, no guess at its type.
AS_A_FILE = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@blp.route("/uploads/<ticket>", methods=["OPTIONS"])
def upload_options(ticket: str) -> Response:
    """Say which tus is spoken here."""
    return tus.answer(204, **{"Tus-Version": tus.VERSION, "Tus-Max-Size": str(LARGEST)})


@blp.route("/uploads/<ticket>", methods=["HEAD"])
def upload_progress(ticket: str) -> Response:
    """Say how much has arrived, so that a sender goes on there."""
    found = _ticket(ticket, UPLOAD)
    with _noting_refusal(found):
        received, size = _upload(found).progress()
    return tus.answer(200, **{"Upload-Offset": str(received), "Upload-Length": str(size)})


@blp.route("/uploads/<ticket>", methods=["PATCH"])
def upload_bytes(ticket: str) -> Response:
    """Take bytes from where the file ends."""
    offset = tus.sent_offset()
    found = _ticket(ticket, UPLOAD)
    turns = current_services().turns
    with (
        _noting_refusal(found),
        sending(turns, found.file_id, body_reader()) as read,
        taking_stream(_holder(found)),
    ):
        received = _upload(found).append(
            read, offset=offset, length=request.content_length, now=now()
        )
    return tus.answer(204, **{"Upload-Offset": str(received)})


@blp.route("/downloads/<ticket>", methods=["GET"])
def download(ticket: str) -> Response:
    """Hand out a file, or the range of it that is asked for."""
    found, asked = _ticket(ticket, CONTENT, PREVIEW), request.headers.get("Range", "")
    with _noting_refusal(found), current_services().database.begin(found.organisation_id) as db:
        opened = downloads.open_ticket(db, found)
    span = request.range.range_for_length(opened.size_bytes) if request.range else None
    if asked and span is None:
        return Response(status=416, headers={"Content-Range": f"bytes */{opened.size_bytes}"})
    start, stop = span or (0, opened.size_bytes)
    if request.method == "HEAD":
        response = Response(headers=AS_A_FILE)  # nobody has seen anything yet
    else:
        response = _sent(found, opened, start=start, length=stop - start)
    _describe(response, opened, is_preview=found.purpose == PREVIEW)
    response.content_length = stop - start
    if span:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{opened.size_bytes}"
    return response


def _sent(found: Ticket, opened: Opened, *, start: int, length: int) -> Response:
    """Return an answer with bytes of a file, for as long as it may be read, and note who gets them:
    once there are some."""
    services = current_services()

    def look_again() -> None:
        with services.database.begin(found.organisation_id) as db:
            downloads.open_ticket(db, found)

    response = send(
        lambda: watched(
            services.storage.read(opened.stored, start=start, length=length), look_again
        ),
        holder=_holder(found),
        **AS_A_FILE,
    )
    try:
        asked = request.headers.get("Range", "")[:100]
        with services.database.begin(found.organisation_id) as db:
            downloads.note_opened(db, found, asked=asked, now=now())
    except BaseException:
        response.close()
        raise
    return response


@contextmanager
def _noting_refusal(ticket: Ticket) -> Iterator[None]:
    """Have the audit log say whose ticket did not open the door any more."""
    try:
        yield
    except Forbidden as error:
        entry = Entry(
            action=ticket.act,
            actor=ticket.actor,
            organisation_id=ticket.organisation_id,
            participant_id=person_of(ticket.actor),
            refused=True,
            detail={"file_id": str(ticket.file_id), "code": error.code},
        )
        note_refusal(entry, now=now())
        raise


def _describe(response: Response, opened: Opened, *, is_preview: bool) -> None:
    response.mimetype = opened.media_type
    response.headers["Accept-Ranges"] = "bytes"
    where = "inline" if is_preview else "attachment"
    response.headers.set("Content-Disposition", where, filename=opened.name)


def _holder(ticket: Ticket) -> str:
    return f"{ticket.actor.kind}:{ticket.actor.id}"


def _upload(ticket: Ticket) -> Upload:
    services = current_services()
    return Upload(
        services.database,
        services.storage,
        organisation_id=ticket.organisation_id,
        file_id=ticket.file_id,
        actor=ticket.actor,
    )


def _ticket(text: str, *purposes: str) -> Ticket:
    if len(text) > 1000:
        raise NotFound("There is nothing at this address.", code="ticket_unknown")
    secrets = current_services().settings.api_token_secret
    return tickets.read(text, secrets=secrets, purposes=purposes)
