"""Starting, ending and watching the visit of an appointment: all is done to its session."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.appointments import service as appointments
from app.appointments.models import Appointment
from app.appointments.states import NOT_STARTED, OPEN, Status, refusal
from app.audit.service import Actor
from app.errors import Conflict
from app.events.models import Event
from app.moderation import service as moderation
from app.organisations.policy_service import policy_of
from app.participants.models import Attendance, Participant
from app.ports import RoomOrder
from app.sessions import service as sessions
from app.sessions.models import CareSession

# A person waits whose latest of these is the first.
WAITING = "participant.waiting"
OF_WAITING = (
    WAITING,
    "participant.admitted",
    "participant.denied",
    "participant.joined",
    "participant.left",
    "participant.removed",
)
Person = Row[*tuple[Any, ...]]


def start(
    db: Session, *, organisation_id: UUID, appointment_id: UUID, actor: Actor, now: datetime
) -> None:
    """Open the room of an appointment; one that is open already stays as it is.

    Raises:
        NotFound: there is no such appointment.
        Conflict: it is over.
    """
    appointment, session = appointments.lock(
        db, organisation_id=organisation_id, appointment_id=appointment_id
    )
    if appointment.status not in OPEN:
        raise refusal(appointment.status)
    sessions.start(db, organisation_id=organisation_id, session_id=session.id, actor=actor, now=now)


def end(
    db: Session,
    *,
    organisation_id: UUID,
    appointment_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
) -> RoomOrder:
    """End the visit for everybody; one that has ended already stays as it is.

    Raises:
        NotFound: there is no such appointment.
        Conflict: it never started (cancel the appointment), was cancelled, or nobody came.
    """
    appointment, session = appointments.lock(
        db, organisation_id=organisation_id, appointment_id=appointment_id
    )
    if appointment.status in NOT_STARTED:
        raise Conflict(
            "The visit has not started; cancel the appointment instead.", code="visit_not_started"
        )
    if appointment.status not in (Status.IN_PROGRESS, Status.COMPLETED):
        raise refusal(appointment.status)
    _, order = moderation.end_session(
        db,
        organisation_id=organisation_id,
        session_id=session.id,
        reason=reason,
        actor=actor,
        now=now,
    )
    return order


def status(
    db: Session, *, organisation_id: UUID, appointment_id: UUID, now: datetime
) -> dict[str, Any]:
    """Return how a visit stands: its state since when, who is present, late, or waits.

    Raises:
        NotFound: there is no such appointment.
    """
    appointment = appointments.get(
        db, organisation_id=organisation_id, appointment_id=appointment_id
    )
    session = sessions.get(db, organisation_id=organisation_id, session_id=appointment.session_id)
    people = _people(db, session.id)
    who = {
        "present": [_shown(one, since=one.since) for one in people if one.since],
        "late": [_shown(one) for one in _late(db, appointment, session, people, now)],
        "waiting": [_shown(one) for one in _waiting(db, session.id, people)],
    }
    return {
        "appointment_id": appointment.id,
        "session_id": session.id,
        "status": appointment.status,
        "session_state": session.state,
        "since": appointment.status_since,
        "reason": appointment.reason,
        "planned_start": appointment.planned_start,
        "planned_end": appointment.planned_end,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "overrun_s": _overrun_s(appointment, now),
        "counts": {name: len(those) for name, those in who.items()},
        **who,
    }


def _people(db: Session, session_id: UUID) -> list[Person]:
    """Return everybody not removed, with since when they are inside and whether they ever were."""
    here = func.min(Attendance.joined_at).filter(Attendance.left_at.is_(None))
    # By session as well: only by that stays are found without reading all there ever were.
    theirs = and_(Attendance.participant_id == Participant.id, Attendance.session_id == session_id)
    query = (
        select(
            Participant.id,
            Participant.role,
            here.label("since"),
            (func.count(Attendance.id) > 0).label("has_come"),
        )
        .outerjoin(Attendance, theirs)
        .where(Participant.session_id == session_id, Participant.state != "removed")
        .group_by(Participant.id)
        .order_by(Participant.created_at, Participant.id)
    )
    return list(db.execute(query).all())


def _late(
    db: Session,
    appointment: Appointment,
    session: CareSession,
    people: Iterable[Person],
    now: datetime,
) -> list[Person]:
    policy = policy_of(db, session.organisation_id, session.visit_type)
    late_from = appointment.planned_start + timedelta(seconds=policy.late_after_s)
    if appointment.status not in OPEN or now < late_from:
        return []
    return [person for person in people if not person.has_come]


def _waiting(db: Session, session_id: UUID, people: Iterable[Person]) -> list[Person]:
    person = Event.data["participant_id"].astext
    latest = (
        select(person.label("person"), Event.type)
        .where(Event.session_id == session_id, Event.type.in_(OF_WAITING))
        .ext(distinct_on(person))
        .order_by(person, Event.sequence.desc())
        .subquery()
    )
    those = set(db.scalars(select(latest.c.person).where(latest.c.type == WAITING)))
    return [person for person in people if str(person.id) in those]


def _overrun_s(appointment: Appointment, now: datetime) -> int:
    if appointment.status != Status.IN_PROGRESS:
        return 0
    return max(0, int((now - appointment.planned_end).total_seconds()))


def _shown(person: Person, **more: Any) -> dict[str, Any]:
    return {"participant_id": person.id, "role": person.role, **more}
