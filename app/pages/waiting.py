"""The waiting room from the page of somebody who may moderate: who waits, admit, deny.

What is done here is done with a link, in the name of the person it belongs to.
"""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.pages.behind_link import done_by, from_our_page, seated
from app.participants.permissions import Permission
from app.participants.seats import Seat
from app.waiting import service
from app.waiting.routes import tell_room
from app.waiting.schemas import DecidedOut, DenyIn, QueueOut
from app.web.auth import now
from app.web.blueprint import Blueprint
from app.web.transactions import transactional

blp = Blueprint("page-waiting", __name__, description="The waiting room, from a moderator's page")

WAITING = "/j/<string:code>/waiting"


@blp.route(WAITING, methods=["GET"])
@transactional
@seated(Permission.MODERATE)
@blp.response(200, QueueOut)
def list_waiting(*, db: Session, seat: Seat) -> dict[str, Any]:
    """List who waits now, for the moderators of the room."""
    place = {"organisation_id": seat.organisation_id, "session_id": seat.session_id}
    return {"items": service.queue(db, **place, now=now())}


@blp.route(f"{WAITING}/admit-next", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.MODERATE)
@blp.response(200, DecidedOut)
def admit_next(*, db: Session, seat: Seat) -> dict[str, Any]:
    """Let in who has waited longest."""
    decided, order = service.admit_next(db, **done_by(seat))
    tell_room(order)
    return decided


@blp.route(f"{WAITING}/<uuid:participant_id>/admit", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.MODERATE)
@blp.response(200, DecidedOut)
def admit(participant_id: UUID, *, db: Session, seat: Seat) -> dict[str, Any]:
    """Let a person in for the rest of the session; also one who was denied before."""
    decided, order = service.admit(db, participant_id=participant_id, **done_by(seat))
    tell_room(order)
    return decided


@blp.route(f"{WAITING}/<uuid:participant_id>/deny", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.MODERATE)
@blp.arguments(DenyIn, required=False)
@blp.response(200, DecidedOut)
def deny(body: dict[str, Any], participant_id: UUID, *, db: Session, seat: Seat) -> dict[str, Any]:
    """Do not let a person in, and tell them what they should know."""
    decided, order = service.deny(db, participant_id=participant_id, **done_by(seat), **body)
    tell_room(order)
    return decided
