"""`/visits`: the session of an appointment, started, ended and watched by the appointment's id."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.moderation.routes import ROOM_TOLD, ROOM_WILL_BE_TOLD, carry_out
from app.moderation.schemas import ReasonIn
from app.visits import day, service
from app.visits.schemas import DayOut, DayQuery, VisitOut
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.transactions import after_commit, transactional

blp = Blueprint("visits", __name__, description="Visits as they happen")


@blp.route("/visits", methods=["GET"])
@transactional
@requires("appointments:read")
@blp.arguments(DayQuery, location="query")
@blp.response(200, DayOut)
def list_visits(query: dict[str, Any], *, db: Session, caller: Caller) -> Any:
    """List a day's visits as they stand: who waits since when, is late, is inside."""
    return day.visits_of_day(db, organisation_id=caller.organisation_id, now=now(), **query)


@blp.route("/visits/<uuid:appointment_id>/start", methods=["POST"])
@transactional
@requires("visits:write")
@idempotent
@blp.response(200, VisitOut)
def start_visit(appointment_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Open the room. One that is open already stays as it is."""
    service.start(
        db,
        organisation_id=caller.organisation_id,
        appointment_id=appointment_id,
        actor=actor_of(caller),
        now=now(),
    )
    return _status(db, caller, appointment_id)


@blp.route("/visits/<uuid:appointment_id>/end", methods=["POST"])
@transactional
@requires("visits:write")
@idempotent
@blp.arguments(ReasonIn, required=False)
@blp.response(200, VisitOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=VisitOut, description=ROOM_WILL_BE_TOLD)
def end_visit(body: dict[str, Any], appointment_id: UUID, *, db: Session, caller: Caller) -> Any:
    """End the visit: everybody is disconnected, and its links and tokens are useless."""
    order = service.end(
        db,
        organisation_id=caller.organisation_id,
        appointment_id=appointment_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    after_commit(carry_out(order))
    return _status(db, caller, appointment_id), 202


@blp.route("/visits/<uuid:appointment_id>/status", methods=["GET"])
@transactional
@requires("appointments:read")
@blp.response(200, VisitOut)
def read_visit_status(appointment_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Tell how the visit stands, and who is present, late, or waits."""
    return _status(db, caller, appointment_id)


def _status(db: Session, caller: Caller, appointment_id: UUID) -> dict[str, Any]:
    return service.status(
        db,
        organisation_id=caller.organisation_id,
        appointment_id=appointment_id,
        now=now(),
    )
