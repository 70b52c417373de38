"""What is done to a live room from outside: end, cancel, remove, change rights, write."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint
from sqlalchemy.orm import Session

from app.events import service as events
from app.moderation import service
from app.moderation.schemas import MessageIn, MessageOut, ReasonIn, RemoveIn, RemoveQuery
from app.participants.schemas import ParticipantOut, ParticipantPatch
from app.ports import RoomOrder
from app.rooms import commands
from app.sessions import service as sessions
from app.sessions.schemas import SessionOut
from app.web.auth import Caller, actor_of, now, requires
from app.web.idempotency import idempotent
from app.web.services import current_services
from app.web.transactions import AfterCommit, after_commit, transactional
from app.web.versions import expected_version, with_etag

blp = Blueprint("moderation", __name__, description="What is done to a session while it lives")

ROOM_TOLD = "The live room has confirmed it."
ROOM_WILL_BE_TOLD = "It is decided and stored; the live room has not confirmed it yet."


@blp.route("/sessions/<uuid:session_id>/end", methods=["POST"])
@transactional
@requires("sessions:write")
@blp.arguments(ReasonIn, required=False)
@blp.response(200, SessionOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=SessionOut, description=ROOM_WILL_BE_TOLD)
def end_session(body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller) -> Any:
    """End the session: everybody is disconnected, and its links and tokens are useless."""
    session, order = service.end_session(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    after_commit(carry_out(order))
    return with_etag(session)


@blp.route("/sessions/<uuid:session_id>/cancel", methods=["POST"])
@transactional
@requires("sessions:write")
@blp.arguments(ReasonIn, required=False)
@blp.response(200, SessionOut)
def cancel_session(body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Call off a session that has not started."""
    session = sessions.cancel(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    return with_etag(session)


@blp.route("/sessions/<uuid:session_id>/participants", methods=["DELETE"])
@transactional
@requires("participants:write")
@blp.arguments(RemoveQuery, location="query")
@blp.arguments(RemoveIn, required=False)
@blp.response(200, ParticipantOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=ParticipantOut, description=ROOM_WILL_BE_TOLD)
def remove_named_participant(
    query: dict[str, Any], body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> Any:
    """Remove the person named in the query or in the body; see the same by path."""
    named = service.named_once(query.get("participant_id"), body.get("participant_id"))
    return _remove(session_id, named, db, caller)


@blp.route("/sessions/<uuid:session_id>/participants/<uuid:participant_id>", methods=["DELETE"])
@transactional
@requires("participants:write")
@blp.response(200, ParticipantOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=ParticipantOut, description=ROOM_WILL_BE_TOLD)
def remove_participant(
    session_id: UUID, participant_id: UUID, *, db: Session, caller: Caller
) -> Any:
    """Remove a person: disconnected at once and kept out; link and tokens are dead."""
    return _remove(session_id, participant_id, db, caller)


@blp.route("/sessions/<uuid:session_id>/participants/<uuid:participant_id>", methods=["PATCH"])
@transactional
@requires("participants:write")
@blp.arguments(ParticipantPatch)
@blp.response(200, ParticipantOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=ParticipantOut, description=ROOM_WILL_BE_TOLD)
def change_participant(
    body: dict[str, Any], session_id: UUID, participant_id: UUID, *, db: Session, caller: Caller
) -> Any:
    """Change a person; granting or taking `moderate` takes effect in the live room."""
    participant, order = service.change_participant(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        version=expected_version(),
        values=body,
        actor=actor_of(caller),
        now=now(),
    )
    if order is not None:
        after_commit(carry_out(order))
    return with_etag(participant)


@blp.route("/sessions/<uuid:session_id>/messages", methods=["POST"])
@transactional
@requires("rooms:moderate")
@idempotent
@blp.arguments(MessageIn)
@blp.response(200, MessageOut)
def send_message(
    body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> dict[str, int]:
    """Write into the live room. The text is delivered and not kept."""
    session = sessions.get(db, organisation_id=caller.organisation_id, session_id=session_id)
    sessions.require_open(session)
    delivered = commands.say(current_services(), room=session.room_name, **body)
    events.append(db, "room.message_sent", session_id=session_id, data={}, now=now())
    return {"delivered": delivered}


def carry_out(order: RoomOrder) -> AfterCommit:
    """Have the room told once the decision is stored; 202 when it did not confirm in time."""

    def finish(response: Response) -> Response:
        if not commands.carry_out(current_services(), order, now=now()):
            response.status_code = 202
        return response

    return finish


def _remove(session_id: UUID, participant_id: UUID, db: Session, caller: Caller) -> Any:
    participant, order = service.remove_participant(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        reason="You were removed from this session.",
        actor=actor_of(caller),
        now=now(),
    )
    after_commit(carry_out(order))
    return with_etag(participant)
