"""Making an appointment: its session, its people with their links, and what it collides with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.appointments import directory, follow
from app.appointments.models import Appointment, Patient, Provider, Visit
from app.appointments.states import OPEN, Status
from app.audit.service import Actor
from app.db.base import columns_of
from app.errors import Invalid
from app.ids import new_id
from app.participants import service as participants
from app.participants.permissions import Role
from app.participants.schemas import LOCALES
from app.participants.service import Invited
from app.sessions import service as sessions
from app.sessions.models import CareSession
from app.settings import Settings

LONGEST = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Made:
    """An appointment just made, and its people with their links."""

    appointment: Appointment
    invited: Sequence[Invited]
    conflicts: Sequence[UUID]


def make(
    db: Session,
    *,
    organisation_id: UUID,
    actor: Actor,
    settings: Settings,
    now: datetime,
    start: datetime,
    end: datetime,
    visit_type: str,
    patient_id: UUID | None = None,
    patient_reference: str | None = None,
    provider_id: UUID | None = None,
    provider_reference: str | None = None,
    reference: str | None = None,
    people: Sequence[Mapping[str, Any]] = (),
) -> Made:
    """Make an appointment, its session, and the links of patient, provider and whoever else.

    A provider may be booked twice at a time, as hospitals do for short visits; it is said.

    Raises:
        Invalid: a person is not known, or the times make no sense.
    """
    require_sensible(start, end, now)
    patient = directory.patient(
        db, organisation_id=organisation_id, patient_id=patient_id, reference=patient_reference
    )
    provider = directory.provider(
        db, organisation_id=organisation_id, provider_id=provider_id, reference=provider_reference
    )
    sessions.require_fitting(2 + len(people), largest=settings.max_room_size)
    session = sessions.create(
        db,
        organisation_id=organisation_id,
        actor=actor,
        now=now,
        kind="consultation",
        capacity=settings.max_room_size,
        planned_start=start,
        planned_end=end,
        reference=reference,
        visit_type=visit_type,
    )
    appointment = _insert(db, session, patient, provider, now)
    follow.tell(
        db,
        appointment,
        "appointment.created",
        session_id=session.id,
        actor=actor,
        now=now,
        visit_type=visit_type,
        **follow.times(appointment),
    )
    everybody = [_as_person(patient, Role.PATIENT), _as_person(provider, Role.DOCTOR), *people]
    who = {"actor": actor, "settings": settings, "now": now}
    invited = [_invite(db, session, person, **who) for person in everybody]
    return Made(appointment, invited, conflicts(db, appointment))


def conflicts(db: Session, appointment: Appointment) -> Sequence[UUID]:
    """Return the provider's other open appointments at the same time."""
    return db.scalars(
        select(Appointment.id)
        .where(
            Appointment.provider_id == appointment.provider_id,
            # None is longer, so the index need not be read from its start.
            Appointment.planned_start > appointment.planned_start - LONGEST,
            Appointment.planned_start < appointment.planned_end,
            Appointment.planned_end > appointment.planned_start,
            Appointment.status.in_(OPEN),
            Appointment.id != appointment.id,
        )
        .order_by(Appointment.planned_start, Appointment.id)
    ).all()


def shown(made: Made, settings: Settings) -> dict[str, Any]:
    """Return an appointment with everybody's link, as the API shows it once."""
    people = [one.shown(settings) for one in made.invited]
    return {**planned(made.appointment, made.conflicts), "people": people}


def planned(appointment: Appointment, conflicts: Sequence[UUID]) -> dict[str, Any]:
    """Return an appointment with what its time collides with."""
    people = {"patient": appointment.patient, "provider": appointment.provider}
    extra = {"session_id": appointment.session_id, "conflicts": conflicts}
    return {**columns_of(appointment), **people, **extra}


def require_sensible(start: datetime, end: datetime, now: datetime) -> None:
    """Refuse times nobody can mean.

    Raises:
        Invalid: it would end before it starts, be over already, or last longer than a day.
    """
    if end <= start:
        raise Invalid("end must be after start.", code="plan_not_in_order", field="end")
    if end <= now:
        raise Invalid("The appointment would be over already.", code="plan_in_past", field="end")
    if end - start > LONGEST:
        raise Invalid("An appointment lasts a day at most.", code="plan_too_long", field="end")


def _insert(
    db: Session, session: CareSession, patient: Patient, provider: Provider, now: datetime
) -> Appointment:
    assert session.planned_start is not None
    assert session.planned_end is not None
    assert session.visit_type is not None
    appointment = Appointment(
        id=new_id(),
        organisation_id=session.organisation_id,
        patient=patient,
        provider=provider,
        visit_type=session.visit_type,
        reference=session.reference,
        status=Status.SCHEDULED,
        status_since=now,
        planned_start=session.planned_start,
        planned_end=session.planned_end,
        version=1,
        created_at=now,
    )
    appointment.visit = Visit(
        id=new_id(),
        organisation_id=session.organisation_id,
        session_id=session.id,
        created_at=now,
    )
    db.add(appointment)
    db.flush()
    return appointment


def _invite(db: Session, session: CareSession, person: Mapping[str, Any], **who: Any) -> Invited:
    return participants.add(
        db,
        organisation_id=session.organisation_id,
        session_id=session.id,
        **who,
        **person,
    )


def _as_person(person: Patient | Provider, role: Role) -> dict[str, Any]:
    return {
        "role": role,
        "display_name": person.display_name,
        "email": person.email,
        "locale": person.language if person.language in LOCALES else "en",
        "reference": person.reference,
    }
