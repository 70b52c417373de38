"""`/jitsi/documents/…`: what Jitsi's own client asks about files (jitsi-meet,
resources/file-sharing.yaml), for whoever shows a pass. Not of the API of hospitals' programs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from flask import Blueprint, Response, jsonify, request
from marshmallow import ValidationError

from app.audit import service as audit
from app.audit.service import Actor, Entry
from app.errors import Conflict, Forbidden, Hidden, Invalid, Unauthorized
from app.files import in_room, jitsi, passes
from app.files.jitsi import Beginning, Wanted
from app.files.multipart import FIELDS_BYTES, FormWithFile
from app.files.schemas import JitsiFileIn
from app.files.turns import sending
from app.files.uploads import Upload
from app.participants.seats import Seat
from app.web import limits
from app.web.auth import now
from app.web.refusals import note_refusal
from app.web.services import current_services
from app.web.streaming import body_reader, taking_stream

blp = Blueprint("jitsi-files", __name__, url_prefix="/jitsi/documents")

FILES = "/sessions/<meeting>/files"
FILE = f"{FILES}/<uuid:file_id>"
METADATA = JitsiFileIn()
# Who cannot send so much in a second, beside a call, sends from our page, which goes on after a
# pause. It keeps a place that others wait for.
LEAST_BYTES_PER_S = 64 * 1024
# Its client sends all that somebody chose at once, and none of it a second time.
WAITS_S = 8.0


@blp.route(FILES, methods=["POST"])
def share_in_call(meeting: str) -> Response:
    """Take a file from Jitsi's client. It is checked before anybody gets it."""
    with _seated(meeting, "file.announced") as seat:
        jitsi.require_sharer(seat)
        with taking_stream(f"participant:{seat.participant_id}", wait_s=WAITS_S):
            shared_id = _share(seat)
    return _answer({"fileId": str(shared_id)})


@blp.route(FILE, methods=["GET"])
def open_in_call(meeting: str, file_id: UUID) -> Response:
    """Say what a file is, and where its bytes are for the next minutes."""
    services = current_services()
    with (
        _seated(meeting, "file.link_made") as seat,
        services.database.begin(seat.organisation_id) as db,
    ):
        file, address = jitsi.address(
            db, seat, file_id=file_id, settings=services.settings, now=now()
        )
    # At the host the client came to: what its page may fetch without asking (CORS). How it came
    # there, a proxy that is not ours may have left out.
    ours = urlsplit(address.url)
    url = f"{ours.scheme}://{request.host}{ours.path}"
    return _answer(jitsi.described(file, meeting=meeting, url=url))


@blp.route(FILE, methods=["DELETE"])
def delete_in_call(meeting: str, file_id: UUID) -> Response:
    """Delete a file, as far as the person may. Its client has taken it from its list already."""
    database = current_services().database
    with _seated(meeting, "file.deleted") as seat:
        try:
            with database.begin(seat.organisation_id) as db:
                jitsi.delete(db, seat, file_id=file_id, now=now())
        except Exception:
            with database.begin(seat.organisation_id) as db:
                in_room.show(db, seat.session_id, now=now())  # it comes back there
            raise
    return _answer({"fileId": str(file_id)})


@contextmanager
def _seated(meeting: str, act: str) -> Iterator[Seat]:
    """Give the seat of who shows a pass; what is refused them is audited."""
    seat = None
    try:
        seat = _seat(meeting)
        yield seat
    except (Forbidden, Hidden, Unauthorized) as error:
        entry = Entry(
            action=act,
            actor=Actor("participant", str(seat.participant_id)) if seat else audit.STRANGER,
            organisation_id=seat.organisation_id if seat else None,
            session_id=seat.session_id if seat else None,
            participant_id=seat.participant_id if seat else None,
            refused=True,
            detail={"code": error.code, "by": "jitsi"},
        )
        note_refusal(entry, now=now())
        if seat is None:
            limits.count_address()
        raise


def _seat(meeting: str) -> Seat:
    services = current_services()
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise Unauthorized("Show a pass as a bearer token.", code="pass_invalid")
    shown = passes.read(text, secrets=services.settings.api_token_secret)
    with services.database.begin() as db:
        return jitsi.seat_of(db, shown, meeting=meeting, settings=services.settings, now=now())


def _share(seat: Seat) -> UUID:
    """Take the file of a form; return what Jitsi's list calls it."""
    form = _form()
    wanted = _wanted(form)
    jitsi.require_size(wanted.size_bytes)
    beginning = Beginning(form.read)
    with current_services().database.begin(seat.organisation_id) as db:
        file = jitsi.announce(db, seat, wanted, kind=beginning.kind, now=now())
    if file is None:
        jitsi.skip(beginning.read, jitsi.MOST_BYTES)  # an answer is read after the last byte
    else:
        _take(seat, file.id, beginning, wanted)
    return wanted.id


def _form() -> FormWithFile:
    """Return the form, which its sender may take longer for than usual."""
    length = request.content_length or jitsi.MOST_BYTES
    jitsi.require_size(length - FIELDS_BYTES)
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary:
        raise Invalid("Send a form with a file.", code="upload_type", field="Content-Type")
    return FormWithFile(body_reader(LEAST_BYTES_PER_S), boundary)


def _wanted(form: FormWithFile) -> Wanted:
    try:
        told: dict[str, Any] = METADATA.load(orjson.loads(form.fields().get("metadata", "")))
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise Invalid("The field metadata is not understood.", code="invalid_request") from error
    return Wanted(told["file_id"], told["file_name"] or form.file_name, told["file_size"])


def _take(seat: Seat, file_id: UUID, beginning: Beginning, wanted: Wanted) -> None:
    services = current_services()
    upload = Upload(
        services.database,
        services.storage,
        organisation_id=seat.organisation_id,
        file_id=file_id,
        actor=Actor("participant", str(seat.participant_id)),
    )
    with sending(services.turns, file_id, beginning.read) as read:
        try:
            jitsi.take(upload, read, size_bytes=wanted.size_bytes, now=now())
        except Conflict:  # somebody else brings its bytes
            raise
        except BaseException:
            # Under a legal hold it stays, and its sender may send it once more.
            with suppress(Conflict), services.database.begin(seat.organisation_id) as db:
                jitsi.give_up(db, seat, file_id, now=now())
            raise


def _answer(content: dict[str, Any]) -> Response:
    response = jsonify(content)
    response.headers["Cache-Control"] = "no-store"
    return response
