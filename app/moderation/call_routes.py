"""What is done to people in a running call: mute, ask to unmute, moderate microphones and cameras,
appoint moderators."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.moderation import calls
from app.moderation.routes import ROOM_TOLD, ROOM_WILL_BE_TOLD, carry_out
from app.moderation.schemas import (
    AvModerationIn,
    AvModerationOut,
    MuteAllIn,
    MutedOut,
    MuteIn,
    UnmuteIn,
)
from app.participants.schemas import ParticipantOut
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.transactions import after_commit, transactional
from app.web.versions import with_etag

blp = Blueprint("calls", __name__, description="What is done to people in a running call")

SESSION = "/sessions/<uuid:session_id>"
PERSON = f"{SESSION}/participants/<uuid:participant_id>"


@blp.route(f"{PERSON}/mute", methods=["POST"])
@transactional
@requires("rooms:moderate")
@idempotent
@blp.arguments(MuteIn, required=False)
@blp.response(200, ParticipantOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=ParticipantOut, description=ROOM_WILL_BE_TOLD)
def mute_participant(
    body: dict[str, Any], session_id: UUID, participant_id: UUID, *, db: Session, caller: Caller
) -> Any:
    """Mute one person's microphone, camera or screen. They can switch on again by themselves,
    unless microphones and cameras are moderated."""
    person, order = calls.mute(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    after_commit(carry_out(order))
    return with_etag(person, 202)


@blp.route(f"{SESSION}/mute", methods=["POST"])
@transactional
@requires("rooms:moderate")
@idempotent
@blp.arguments(MuteAllIn, required=False)
@blp.response(200, MutedOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=MutedOut, description=ROOM_WILL_BE_TOLD)
def mute_all(body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Mute everybody in the room but the moderators and those named."""
    muted, order = calls.mute_all(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    after_commit(carry_out(order))
    return {"participants": muted}, 202


@blp.route(f"{PERSON}/unmute-request", methods=["POST"])
@transactional
@requires("rooms:moderate")
@idempotent
@blp.arguments(UnmuteIn, required=False)
@blp.response(200, ParticipantOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=ParticipantOut, description=ROOM_WILL_BE_TOLD)
def ask_to_unmute(
    body: dict[str, Any], session_id: UUID, participant_id: UUID, *, db: Session, caller: Caller
) -> Any:
    """Ask one person to switch on their microphone or camera; only they can do it."""
    person, order = calls.ask_to_unmute(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    after_commit(carry_out(order))
    return with_etag(person, 202)


@blp.route(f"{PERSON}/moderator", methods=["POST"])
@transactional
@requires("rooms:moderate")
@idempotent
@blp.response(200, ParticipantOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=ParticipantOut, description=ROOM_WILL_BE_TOLD)
def grant_moderator(session_id: UUID, participant_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Let a person moderate, in the room at once: the permission `moderate`, granted."""
    return _set_moderator(session_id, participant_id, db, caller, moderator=True)


@blp.route(f"{PERSON}/moderator", methods=["DELETE"])
@transactional
@requires("rooms:moderate")
@idempotent
@blp.response(200, ParticipantOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=ParticipantOut, description=ROOM_WILL_BE_TOLD)
def revoke_moderator(session_id: UUID, participant_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Let a person moderate no more, in the room at once: the permission `moderate`, taken."""
    return _set_moderator(session_id, participant_id, db, caller, moderator=False)


@blp.route(f"{SESSION}/av-moderation", methods=["GET"])
@transactional
@requires("sessions:read")
@blp.response(200, AvModerationOut)
def read_av_moderation(session_id: UUID, *, db: Session, caller: Caller) -> dict[str, Any]:
    """Tell whether microphones and cameras are moderated, and who may all the same."""
    return calls.read_av_moderation(
        db, organisation_id=caller.organisation_id, session_id=session_id
    )


@blp.route(f"{SESSION}/av-moderation", methods=["PUT"])
@transactional
@requires("rooms:moderate")
@idempotent
@blp.arguments(AvModerationIn)
@blp.response(200, AvModerationOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=AvModerationOut, description=ROOM_WILL_BE_TOLD)
def moderate_av(body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Say whose microphone and camera may be on. Who may not is muted and stays so; switching it
    off again unmutes nobody."""
    state, order = calls.moderate_av(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        wanted=body,
        actor=actor_of(caller),
        now=now(),
    )
    after_commit(carry_out(order))
    return state, 202


def _set_moderator(
    session_id: UUID, participant_id: UUID, db: Session, caller: Caller, *, moderator: bool
) -> Any:
    person, order = calls.set_moderator(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        moderator=moderator,
        actor=actor_of(caller),
        now=now(),
    )
    after_commit(carry_out(order))
    return with_etag(person, 202)
