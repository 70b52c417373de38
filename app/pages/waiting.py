"""The waiting room from the page of somebody who may moderate: who waits, admit, deny.

What is done here is done with a link, in the name of the person it belongs to.
"""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from marshmallow import ValidationError
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.db.engine import enter_organisation
from app.errors import DomainError, Forbidden, Invalid
from app.participants import links
from app.participants.permissions import Permission
from app.participants.seats import Seat
from app.ports import RoomOrder
from app.waiting import service
from app.waiting.routes import tell_room
from app.waiting.schemas import DecidedOut, DenyIn, QueueOut
from app.web.answers import json_answer
from app.web.auth import across_organisations, now
from app.web.services import current_services
from app.web.transactions import transactional

blp = Blueprint("page-waiting", __name__, url_prefix="/j/<code>/waiting")

QUEUE, DECIDED, DENY = QueueOut(), DecidedOut(), DenyIn()


@blp.get("")
@transactional
@across_organisations
def list_waiting(code: str, *, db: Session) -> Response:
    """List who waits now."""
    seat = _moderator(db, code)
    items = service.queue(
        db, organisation_id=seat.organisation_id, session_id=seat.session_id, now=now()
    )
    return json_answer(QUEUE.dump({"items": items}))


@blp.post("/admit-next")
@transactional
@across_organisations
def admit_next(code: str, *, db: Session) -> Response:
    """Let in who has waited longest."""
    return _decided(*service.admit_next(db, **_as_moderator(db, code)))


@blp.post("/<uuid:participant_id>/admit")
@transactional
@across_organisations
def admit(code: str, participant_id: UUID, *, db: Session) -> Response:
    """Let a person in."""
    who = _as_moderator(db, code)
    return _decided(*service.admit(db, participant_id=participant_id, **who))


@blp.post("/<uuid:participant_id>/deny")
@transactional
@across_organisations
def deny(code: str, participant_id: UUID, *, db: Session) -> Response:
    """Do not let a person in."""
    who = _as_moderator(db, code)
    message = _message()
    return _decided(*service.deny(db, participant_id=participant_id, message=message, **who))


def _as_moderator(db: Session, code: str) -> dict[str, Any]:
    seat = _moderator(db, code)
    return {
        "organisation_id": seat.organisation_id,
        "session_id": seat.session_id,
        "actor": Actor("participant", str(seat.participant_id)),
        "now": now(),
    }


def _moderator(db: Session, code: str) -> Seat:
    """Return the seat behind the link if it may moderate; every refusal is on record.

    Raises:
        NotFound, Gone, Forbidden: see `links`; or the person may not moderate.
    """
    seat = None
    try:
        seat = links.open_seat(db, code)
        settings = current_services().settings
        barrier = seat.barrier(early_join_s=settings.early_join_s, now=now())
        links.require_valid(seat, barrier)
        if barrier or Permission.MODERATE not in seat.permissions:
            raise Forbidden("Only who moderates may do this.", code="not_moderator")
    except DomainError as error:
        _audit(seat, error)
        raise
    enter_organisation(db, seat.organisation_id)
    return seat


def _audit(seat: Seat | None, error: DomainError) -> None:
    # On a connection of its own: the request's transaction rolls back.
    with current_services().database.statements() as db:
        audit.record(
            db,
            action="waiting.opened",
            actor=Actor("participant", str(seat.participant_id)) if seat else audit.STRANGER,
            now=now(),
            organisation_id=seat.organisation_id if seat else None,
            session_id=seat.session_id if seat else None,
            participant_id=seat.participant_id if seat else None,
            refused=True,
            detail={"code": error.code},
        )


def _message() -> str:
    try:
        message: str = DENY.load(request.get_json(silent=True) or {})["message"]
    except ValidationError as error:
        raise Invalid("The message is not acceptable.", code="invalid_request") from error
    return message


def _decided(decided: dict[str, Any], order: RoomOrder) -> Response:
    tell_room(order)
    return json_answer(DECIDED.dump(decided))
