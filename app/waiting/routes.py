"""`/sessions/{id}/waiting`, and what Prosody tells of the same done in the call."""

from typing import Any
from uuid import UUID

from flask import Blueprint as PlainBlueprint
from flask import Response
from sqlalchemy.orm import Session

from app.clock import utc_now
from app.ports import RoomOrder
from app.rooms import commands
from app.rooms.signed import signed
from app.services import Services
from app.waiting import service
from app.waiting.schemas import DecidedOut, DenyIn, InCallIn, QueueOut
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.direct import Call, behind_flask
from app.web.idempotency import idempotent
from app.web.services import current_services
from app.web.signed import read
from app.web.transactions import after_commit, repeatable, transactional

blp = Blueprint("waiting", __name__, description="Who waits to be let in")
internal = PlainBlueprint("rooms-waiting", __name__, url_prefix="/internal/rooms")

IN_CALL = InCallIn()


@blp.route("/sessions/<uuid:session_id>/waiting", methods=["GET"])
@transactional
@requires("rooms:moderate")
@blp.response(200, QueueOut)
def list_waiting(session_id: UUID, *, db: Session, caller: Caller) -> dict[str, Any]:
    """List who waits now, and for how long."""
    place = {"organisation_id": caller.organisation_id, "session_id": session_id}
    return {"items": service.queue(db, **place, now=now())}


@blp.route("/sessions/<uuid:session_id>/waiting/admit-next", methods=["POST"])
@transactional
@requires("rooms:moderate")
@idempotent
@blp.response(200, DecidedOut)
def admit_next(session_id: UUID, *, db: Session, caller: Caller) -> dict[str, Any]:
    """Let in who has waited longest. Send an Idempotency-Key: each call admits somebody else."""
    decided, order = service.admit_next(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor_of(caller),
        now=now(),
    )
    tell_room(order)
    return decided


@blp.route("/sessions/<uuid:session_id>/waiting/<uuid:participant_id>/admit", methods=["POST"])
@transactional
@requires("rooms:moderate")
@idempotent
@blp.response(200, DecidedOut)
def admit_participant(
    session_id: UUID, participant_id: UUID, *, db: Session, caller: Caller
) -> dict[str, Any]:
    """Let a person in for the rest of the session; also one who was denied before."""
    decided, order = service.admit(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        actor=actor_of(caller),
        now=now(),
    )
    tell_room(order)
    return decided


@blp.route("/sessions/<uuid:session_id>/waiting/<uuid:participant_id>/deny", methods=["POST"])
@transactional
@requires("rooms:moderate")
@idempotent
@blp.arguments(DenyIn, required=False)
@blp.response(200, DecidedOut)
def deny_participant(
    body: dict[str, Any], session_id: UUID, participant_id: UUID, *, db: Session, caller: Caller
) -> dict[str, Any]:
    """Do not let a person in. Who was admitted before is put out, and may be admitted again."""
    decided, order = service.deny(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    tell_room(order)
    return decided


@signed
def decide_in_call(services: Services, call: Call) -> dict[str, Any]:
    """Take in what a moderator did with Jitsi's own controls, or say why it does not hold."""
    asked = read(IN_CALL, call.body)

    def decide() -> str:
        with services.database.begin() as db:
            return service.decide_in_call(db, **asked, now=utc_now())

    code = repeatable(decide)
    return {"done": not code, "code": code}


internal.post("/waiting")(behind_flask(decide_in_call))


def tell_room(order: RoomOrder) -> None:
    """Have the room told once the decision is stored; it would find out by itself, but later."""

    def finish(response: Response) -> Response:
        commands.carry_out(current_services(), order, now=now())
        return response

    after_commit(finish)
