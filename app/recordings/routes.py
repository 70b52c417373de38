"""`/sessions/{id}/recordings` and `/recordings/{id}`, and what the room asks before it records."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Blueprint as PlainBlueprint
from flask import Response
from sqlalchemy.orm import Session

from app.clock import utc_now
from app.ports import RoomOrder
from app.recording_files import service as files
from app.recording_files import showing
from app.recording_files.schemas import ReleaseIn
from app.recordings import gate, service
from app.recordings.gate import Question
from app.recordings.models import Recording
from app.recordings.schemas import (
    GateIn,
    RecordingIn,
    RecordingOut,
    RecordingPageOut,
    RecordingQuery,
)
from app.rooms import commands
from app.rooms.signed import signed
from app.services import Services
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.direct import Call, behind_flask
from app.web.idempotency import idempotent
from app.web.paging import Page, keyset_page
from app.web.services import current_services
from app.web.signed import read
from app.web.transactions import after_commit, repeatable, transactional
from app.web.versions import etag, may_be_conditional

blp = Blueprint("recordings", __name__, description="Recordings, with everybody's consent")
internal = PlainBlueprint("rooms-recording", __name__, url_prefix="/internal/rooms")

FILE = "/recordings/<uuid:recording_id>/files/<uuid:recording_file_id>"
QUESTION = GateIn()


@blp.route("/sessions/<uuid:session_id>/recordings", methods=["POST"])
@transactional
@requires("recordings:write")
@idempotent
@blp.arguments(RecordingIn, required=False)
@blp.response(202, RecordingOut)
def request_recording(
    body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> Any:
    """Ask for a recording. It starts when everybody in the room agrees and a recorder is free; the
    recording's state and events say how it goes."""
    recording, order = service.request(
        db,
        current_services(),
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    tell_room(order)
    return showing.shown(db, [recording])[0]


@blp.route("/sessions/<uuid:session_id>/recordings", methods=["GET"])
@transactional
@requires("recordings:read")
@blp.arguments(RecordingQuery, location="query")
@blp.response(200, RecordingPageOut)
def list_recordings(
    query: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> Page[dict[str, Any]]:
    """List the recordings of a session, newest first."""
    mine = service.of_session(db, organisation_id=caller.organisation_id, session_id=session_id)
    page = keyset_page(db, mine, Recording, cursor=query.get("cursor"), limit=query["limit"])
    return replace(page, items=showing.shown(db, page.items))


@blp.route("/recordings/<uuid:recording_id>", methods=["GET"])
@transactional
@requires("recordings:read")
@blp.response(200, RecordingOut)
def read_recording(recording_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Read where a recording stands and why, and what files there are of it."""
    found = service.get(db, organisation_id=caller.organisation_id, recording_id=recording_id)
    return showing.shown(db, [found])[0], {"ETag": etag(found.version)}


@blp.route("/recordings/<uuid:recording_id>/stop", methods=["POST"])
@transactional
@requires("recordings:write")
@idempotent
@blp.response(202, RecordingOut)
def stop_recording(recording_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Stop a recording, or the wish for one. One that is over stays as it is."""
    recording, order = service.stop(
        db,
        organisation_id=caller.organisation_id,
        recording_id=recording_id,
        actor=actor_of(caller),
        now=now(),
    )
    tell_room(order)
    return showing.shown(db, [recording])[0]


@blp.route(f"{FILE}/release", methods=["POST"])
@transactional
@requires("recordings:write")
@idempotent
@may_be_conditional
@blp.arguments(ReleaseIn)
@blp.response(200, RecordingOut)
def release_file(
    body: dict[str, Any],
    recording_id: UUID,
    recording_file_id: UUID,
    *,
    db: Session,
    caller: Caller,
    version: int | None,
) -> Any:
    """Let a withheld file be seen: somebody has looked at why it is withheld, and answers for it.
    If consent was taken back (`withdrawn_at`), they say which version of the recording they looked
    at."""
    recording = files.release(
        db,
        organisation_id=caller.organisation_id,
        recording_id=recording_id,
        file_id=recording_file_id,
        version=version,
        why=body["reason"],
        actor=actor_of(caller),
        now=now(),
    )
    return showing.shown(db, [recording])[0], {"ETag": etag(recording.version)}


@signed
def ask_to_record(services: Services, call: Call) -> dict[str, Any]:
    """Answer whether a recorder may be asked for now."""
    question = Question(**read(QUESTION, call.body))

    def decide() -> dict[str, Any]:
        with services.database.begin() as db:
            return gate.decide(db, question, now=utc_now())

    return repeatable(decide)


internal.post("/recording")(behind_flask(ask_to_record))


def tell_room(order: RoomOrder | None) -> None:
    """Have the room told once it is stored; what is not heard is told again."""

    def finish(response: Response) -> Response:
        if order is not None:
            commands.carry_out(current_services(), order, now=now())
        return response

    after_commit(finish)
