"""Changing, cancelling, giving up appointments: their session moves, and they follow it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.appointments import booking, follow
from app.appointments.models import Appointment
from app.appointments.states import NOT_STARTED, OPEN, Status, Step, refusal
from app.audit.service import Actor
from app.errors import Conflict, NotFound, Stale
from app.moderation import service as moderation
from app.ports import RoomOrder
from app.rooms import commands
from app.rooms.commands import Target
from app.sessions import service as sessions
from app.sessions.models import CareSession
from app.sessions.states import State
from app.settings import Settings

DID_NOT_COME = "The patient did not come."


def get(db: Session, *, organisation_id: UUID, appointment_id: UUID) -> Appointment:
    """Return one appointment of this organisation.

    Raises:
        NotFound: there is none, or it is another organisation's.
    """
    found = db.scalars(
        select(Appointment).where(
            Appointment.id == appointment_id, Appointment.organisation_id == organisation_id
        )
    ).first()
    if found is None:
        raise NotFound("There is no such appointment.", code="appointment_not_found")
    return found


def lock(
    db: Session, *, organisation_id: UUID, appointment_id: UUID
) -> tuple[Appointment, CareSession]:
    """Return an appointment and its session, both locked, the session first.

    Raises:
        NotFound: see `get`.
    """
    found = get(db, organisation_id=organisation_id, appointment_id=appointment_id)
    session = sessions.lock(db, organisation_id=organisation_id, session_id=found.session_id)
    appointment = follow.locked(db, session_id=session.id)
    assert appointment is not None, "a visit is never taken from its session"
    return appointment, session


def change(
    db: Session,
    *,
    organisation_id: UUID,
    appointment_id: UUID,
    version: int,
    start: datetime,
    end: datetime,
    visit_type: str,
    reference: str | None,
    actor: Actor,
    settings: Settings,
    now: datetime,
) -> tuple[Appointment, Sequence[UUID]]:
    """Put an appointment at other times, or change its kind or reference; links stay valid.

    Returns:
        The appointment, and the provider's other open appointments at the same time.

    Raises:
        NotFound, Stale: see there.
        Conflict: it is over, or it has begun and would begin at another time.
        Invalid: the times make no sense.
    """
    appointment, session = lock(db, organisation_id=organisation_id, appointment_id=appointment_id)
    if appointment.version != version:
        raise Stale(
            "The appointment changed since you read it; read it again.", code="version_outdated"
        )
    if appointment.status not in OPEN:
        raise refusal(appointment.status)
    wanted = {"planned_start": start, "planned_end": end, "visit_type": visit_type}
    wanted |= {"reference": reference}
    values = {name: new for name, new in wanted.items() if getattr(session, name) != new}
    if {"planned_start", "planned_end"} & set(values):
        booking.require_sensible(start, end, now)
    if values:
        moderation.change_session(
            db,
            organisation_id=organisation_id,
            session_id=session.id,
            version=session.version,
            values=values,
            actor=actor,
            settings=settings,
            now=now,
        )
    return appointment, booking.conflicts(db, appointment)


def cancel(
    db: Session,
    *,
    organisation_id: UUID,
    appointment_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
) -> tuple[Appointment, RoomOrder]:
    """Call an appointment off; who came early is put out. Twice is no error.

    Raises:
        NotFound: see `get`.
        Conflict: it has begun (end the visit), or is over.
    """
    appointment, session = lock(db, organisation_id=organisation_id, appointment_id=appointment_id)
    if appointment.status not in (*NOT_STARTED, Status.CANCELLED):
        raise refusal(appointment.status)
    _, order = moderation.cancel_session(
        db,
        organisation_id=organisation_id,
        session_id=session.id,
        reason=reason,
        actor=actor,
        now=now,
    )
    return appointment, order


def arrive(
    db: Session, *, organisation_id: UUID, appointment_id: UUID, actor: Actor, now: datetime
) -> Appointment:
    """Note that the patient has arrived. Twice is no error.

    Raises:
        NotFound: see `get`.
        Conflict: the visit has begun, or is over.
    """
    appointment, session = lock(db, organisation_id=organisation_id, appointment_id=appointment_id)
    if appointment.status == Status.ARRIVED:
        return appointment
    moved = follow.move(db, session_id=session.id, step=Step.ARRIVE, actor=actor, now=now)
    if moved is None:
        raise refusal(appointment.status)
    return moved


def no_show(
    db: Session, *, organisation_id: UUID, appointment_id: UUID, actor: Actor, now: datetime
) -> tuple[Appointment, RoomOrder]:
    """Note that the patient did not come, and close the session. Twice is no error.

    Raises:
        NotFound: see `get`.
        Conflict: it is over, or its time has not come.
    """
    appointment, session = lock(db, organisation_id=organisation_id, appointment_id=appointment_id)
    if appointment.status in OPEN and now < appointment.planned_start:
        raise Conflict("The appointment has not begun yet.", code="appointment_not_due")
    if appointment.status not in (*OPEN, Status.NO_SHOW):
        raise refusal(appointment.status)
    return appointment, give_up(db, session, reason="staff", actor=actor, now=now)


def give_up(
    db: Session, session: CareSession, *, reason: str, actor: Actor, now: datetime
) -> RoomOrder:
    """Make the appointment of a session a no-show and close the session.

    Args:
        session: locked.
        reason: `staff` or `rule`.
    """
    # Before the session: its end would complete the appointment, its cancelling cancel it.
    follow.move(db, session_id=session.id, step=Step.NO_SHOW, actor=actor, now=now, reason=reason)
    close = sessions.end if session.state in (State.ACTIVE, State.ENDED) else sessions.cancel
    close(
        db,
        organisation_id=session.organisation_id,
        session_id=session.id,
        reason="no_show",
        actor=actor,
        now=now,
    )
    return commands.end(db, Target.of(session), reason=DID_NOT_COME, now=now)
