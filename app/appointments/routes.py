"""`/appointments`: make, list, read, change, cancel; arrivals and no-shows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.appointments import booking, days, service
from app.appointments.models import Appointment
from app.appointments.schemas import (
    AppointmentIn,
    AppointmentOut,
    AppointmentPageOut,
    AppointmentPut,
    AppointmentQuery,
    MadeOut,
    PlannedOut,
)
from app.directory import service as directory
from app.moderation.routes import ROOM_TOLD, ROOM_WILL_BE_TOLD, carry_out
from app.moderation.schemas import ReasonIn
from app.organisations.policy_service import policy_of
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.paging import Page, keyset_page
from app.web.services import current_services
from app.web.transactions import after_commit, transactional
from app.web.versions import conditional, etag, with_etag

blp = Blueprint("appointments", __name__, description="What is planned, and how it went")


@blp.route("/appointments", methods=["GET"])
@transactional
@requires("appointments:read")
@blp.arguments(AppointmentQuery, location="query")
@blp.response(200, AppointmentPageOut)
def list_appointments(query: dict[str, Any], *, db: Session, caller: Caller) -> Page[Appointment]:
    """List appointments, the earliest first."""
    cursor, limit = query.pop("cursor", None), query.pop("limit")
    mine = select(Appointment).where(Appointment.organisation_id == caller.organisation_id)
    day = query.pop("day", None)
    if day is not None:
        zone = policy_of(db, caller.organisation_id).timezone
        mine = _between(mine, *days.bounds(day, zone))
    mine = _between(mine, query.pop("starts_from", None), query.pop("starts_before", None))
    return keyset_page(
        db,
        mine.filter_by(**query),
        Appointment,
        cursor=cursor,
        limit=limit,
        by="planned_start",
        newest_first=False,
    )


@blp.route("/appointments", methods=["POST"])
@transactional
@requires("appointments:write")
@idempotent
@blp.arguments(AppointmentIn)
@blp.response(201, MadeOut)
def create_appointment(body: dict[str, Any], *, db: Session, caller: Caller) -> Any:
    """Make an appointment with its session. The answer shows everybody's link, once."""
    services, settings = current_services(), current_services().settings
    directory.refresh(
        db,
        services,
        organisation_id=caller.organisation_id,
        people=[
            ("patient", body["patient_reference"]),
            ("provider", body["provider_reference"]),
        ],
        now=now(),
    )
    made = booking.make(
        db,
        organisation_id=caller.organisation_id,
        actor=actor_of(caller),
        settings=settings,
        now=now(),
        **body,
    )
    return booking.shown(made, settings), {"ETag": etag(made.appointment.version)}


@blp.route("/appointments/<uuid:appointment_id>", methods=["GET"])
@transactional
@requires("appointments:read")
@blp.response(200, AppointmentOut)
def read_appointment(appointment_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Read one appointment."""
    found = service.get(db, organisation_id=caller.organisation_id, appointment_id=appointment_id)
    return with_etag(found)


@blp.route("/appointments/<uuid:appointment_id>", methods=["PUT"])
@transactional
@requires("appointments:write")
@idempotent
@conditional
@blp.arguments(AppointmentPut)
@blp.response(200, PlannedOut)
def change_appointment(
    body: dict[str, Any], appointment_id: UUID, *, db: Session, caller: Caller, version: int
) -> Any:
    """Change times, kind or reference. Links stay valid, and everybody is told of new times."""
    changed, conflicts = service.change(
        db,
        organisation_id=caller.organisation_id,
        appointment_id=appointment_id,
        version=version,
        actor=actor_of(caller),
        settings=current_services().settings,
        now=now(),
        **body,
    )
    return booking.planned(changed, conflicts), {"ETag": etag(changed.version)}


@blp.route("/appointments/<uuid:appointment_id>/cancel", methods=["POST"])
@transactional
@requires("appointments:write")
@idempotent
@blp.arguments(ReasonIn, required=False)
@blp.response(200, AppointmentOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=AppointmentOut, description=ROOM_WILL_BE_TOLD)
def cancel_appointment(
    body: dict[str, Any], appointment_id: UUID, *, db: Session, caller: Caller
) -> Any:
    """Call it off before it has begun; its session is cancelled and its links are dead."""
    cancelled, order = service.cancel(
        db,
        organisation_id=caller.organisation_id,
        appointment_id=appointment_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    after_commit(carry_out(order))
    return with_etag(cancelled, 202)


@blp.route("/appointments/<uuid:appointment_id>/arrive", methods=["POST"])
@transactional
@requires("appointments:write")
@idempotent
@blp.response(200, AppointmentOut)
def mark_arrived(appointment_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Note that the patient has arrived."""
    arrived = service.arrive(
        db,
        organisation_id=caller.organisation_id,
        appointment_id=appointment_id,
        actor=actor_of(caller),
        now=now(),
    )
    return with_etag(arrived)


@blp.route("/appointments/<uuid:appointment_id>/no-show", methods=["POST"])
@transactional
@requires("appointments:write")
@idempotent
@blp.response(200, AppointmentOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=AppointmentOut, description=ROOM_WILL_BE_TOLD)
def mark_no_show(appointment_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Note that the patient did not come; the session is closed."""
    given_up, order = service.no_show(
        db,
        organisation_id=caller.organisation_id,
        appointment_id=appointment_id,
        actor=actor_of(caller),
        now=now(),
    )
    after_commit(carry_out(order))
    return with_etag(given_up, 202)


def _between(query: Select[Any], first: datetime | None, before: datetime | None) -> Select[Any]:
    if first is not None:
        query = query.where(Appointment.planned_start >= first)
    if before is not None:
        query = query.where(Appointment.planned_start < before)
    return query
