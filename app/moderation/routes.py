"""What is done to a live room from outside: end, cancel, remove, change rights, write."""

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy.orm import Session

from app.moderation import service
from app.moderation.schemas import (
    MessageIn,
    MessageOut,
    ReasonIn,
    RemoveIn,
    RemoveNamedIn,
    RemoveNamedQuery,
)
from app.participants.schemas import InvitedOut, ParticipantOut, ParticipantPatch
from app.ports import RoomOrder
from app.rooms import commands
from app.rooms.removal import Removal
from app.sessions.schemas import SessionOut, SessionPatch
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.services import current_services
from app.web.transactions import AfterCommit, after_commit, transactional
from app.web.versions import conditional, etag, with_etag

blp = Blueprint("moderation", __name__, description="What is done to a session while it lives")

ROOM_TOLD = "The live room has confirmed it."
ROOM_WILL_BE_TOLD = "It is decided and stored; the live room has not confirmed it yet."


@blp.route("/sessions/<uuid:session_id>", methods=["PATCH"])
@transactional
@requires("sessions:write")
@idempotent
@conditional
@blp.arguments(SessionPatch)
@blp.response(200, SessionOut)
def change_session(
    body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller, version: int
) -> Any:
    """Change the plan, capacity or reference; links live as long as the new plan wants."""
    session = service.change_session(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        version=version,
        values=body,
        actor=actor_of(caller),
        settings=current_services().settings,
        now=now(),
    )
    return with_etag(session)


@blp.route("/sessions/<uuid:session_id>/end", methods=["POST"])
@transactional
@requires("sessions:write")
@idempotent
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
    return with_etag(session, 202)


@blp.route("/sessions/<uuid:session_id>/cancel", methods=["POST"])
@transactional
@requires("sessions:write")
@idempotent
@blp.arguments(ReasonIn, required=False)
@blp.response(200, SessionOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=SessionOut, description=ROOM_WILL_BE_TOLD)
def cancel_session(body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Call off a session that has not started; who came early is put out."""
    session, order = service.cancel_session(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    after_commit(carry_out(order))
    return with_etag(session, 202)


@blp.route("/sessions/<uuid:session_id>/participants", methods=["DELETE"])
@transactional
@requires("participants:write")
@idempotent
@blp.arguments(RemoveNamedQuery, location="query")
@blp.arguments(RemoveNamedIn, required=False)
@blp.response(200, ParticipantOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=ParticipantOut, description=ROOM_WILL_BE_TOLD)
def remove_named_participant(
    query: dict[str, Any], body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> Any:
    """Remove the person named in the query or in the body; see the same by path."""
    named = service.named_once(query.get("participant_id"), body.get("participant_id"))
    return _remove(session_id, named, db, caller, body.get("ban_s"))


@blp.route("/sessions/<uuid:session_id>/participants/<uuid:participant_id>", methods=["DELETE"])
@transactional
@requires("participants:write")
@idempotent
@blp.arguments(RemoveIn, required=False)
@blp.response(200, ParticipantOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=ParticipantOut, description=ROOM_WILL_BE_TOLD)
def remove_participant(
    body: dict[str, Any], session_id: UUID, participant_id: UUID, *, db: Session, caller: Caller
) -> Any:
    """Remove a person: disconnected at once and kept out; link and tokens are dead, or sleep for
    as long as `ban_s` says."""
    return _remove(session_id, participant_id, db, caller, body.get("ban_s"))


@blp.route("/sessions/<uuid:session_id>/participants/<uuid:participant_id>", methods=["PATCH"])
@transactional
@requires("participants:write")
@idempotent
@conditional
@blp.arguments(ParticipantPatch)
@blp.response(200, ParticipantOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=ParticipantOut, description=ROOM_WILL_BE_TOLD)
def change_participant(
    body: dict[str, Any],
    session_id: UUID,
    participant_id: UUID,
    *,
    db: Session,
    caller: Caller,
    version: int,
) -> Any:
    """Change a person; granting or taking `moderate` takes effect in the live room."""
    participant, order = service.change_participant(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        version=version,
        values=body,
        actor=actor_of(caller),
        now=now(),
    )
    if order is None:
        return with_etag(participant)
    after_commit(carry_out(order))
    return with_etag(participant, 202)


@blp.route("/sessions/<uuid:session_id>/participants/<uuid:participant_id>/link", methods=["POST"])
@transactional
@requires("participants:write")
@idempotent
@blp.response(201, InvitedOut)
def replace_link(session_id: UUID, participant_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Replace a person's link. The old one stops working at once, also for whoever is in on it."""
    settings = current_services().settings
    invited, order = service.replace_link(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        actor=actor_of(caller),
        settings=settings,
        now=now(),
    )
    after_commit(tell_room(order))
    return invited.shown(settings), {"ETag": etag(invited.participant.version)}


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
    delivered = service.send_message(
        db,
        current_services(),
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    return {"delivered": delivered}


def carry_out(order: RoomOrder) -> AfterCommit:
    """Have the room told once the decision is stored: then 202 becomes 200.

    What is stored for a repeat stays 202: decided, and the room told as soon as it can be.
    """

    def finish(response: Response) -> Response:
        return carry_out_now(order)(response)

    return finish


def carry_out_now(order: RoomOrder) -> AfterCommit:
    """The same for what is stored already: the room is told while the answer is put together."""
    given = commands.give(current_services(), order)

    def finish(response: Response) -> Response:
        if given.confirm(current_services(), now=now()):
            response.status_code = 200
        return response

    return finish


def tell_room(order: RoomOrder) -> AfterCommit:
    """Have the room told once the decision is stored; the answer is the same either way."""

    def finish(response: Response) -> Response:
        commands.carry_out(current_services(), order, now=now())
        return response

    return finish


def _remove(
    session_id: UUID, participant_id: UUID, db: Session, caller: Caller, ban_s: int | None
) -> Any:
    removal = Removal(
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        actor=actor_of(caller),
        now=now(),
        reason=service.REMOVED,
        ban_s=ban_s,
    )
    participant, order = removal.made_at_once(db, current_services().database)
    after_commit(carry_out_now(order))
    return with_etag(participant, 202)
