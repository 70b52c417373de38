"""The visits of one day, as the clinic's page shows them: a few statements, however many visits."""

from collections import defaultdict
from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, func, select
from sqlalchemy.orm import Session

from app.appointments import days
from app.appointments.models import Appointment, Patient, Provider, Visit
from app.appointments.states import OPEN, Status
from app.organisations import policy_service
from app.organisations.policy import Policy
from app.participants.models import Attendance, Participant, Waiting
from app.sessions.models import CareSession

# More than anybody looks at; who has more chooses a provider.
MOST = 500
Found = Row[*tuple[Any, ...]]


ROWS = (
    select(
        Appointment.id,
        Appointment.status,
        Appointment.status_since,
        Appointment.visit_type,
        Appointment.planned_start,
        Appointment.planned_end,
        Visit.session_id,
        CareSession.started_at,
        CareSession.ended_at,
        Patient.display_name.label("patient"),
        Provider.display_name.label("provider"),
    )
    .join(Visit, Visit.appointment_id == Appointment.id)
    .join(CareSession, CareSession.id == Visit.session_id)
    .join(Patient, Patient.id == Appointment.patient_id)
    .join(Provider, Provider.id == Appointment.provider_id)
)


def visits_of_day(
    db: Session,
    *,
    organisation_id: UUID,
    day: date | None,
    provider_id: UUID | None,
    now: datetime,
) -> dict[str, Any]:
    """Return the visits of a day of the organisation, the earliest first, each as it stands.

    Args:
        day: None is today.
        provider_id: only theirs.

    Raises:
        NotFound: there is no such organisation.
    """
    rules = policy_service.get(db, organisation_id=organisation_id).settings
    zone = Policy.of(rules).timezone
    shown = day or days.today(zone, now)
    first, last = days.bounds(shown, zone)
    on_day = (
        Appointment.organisation_id == organisation_id,
        Appointment.planned_start >= first,
        Appointment.planned_start < last,
    )
    wanted = on_day if provider_id is None else (*on_day, Appointment.provider_id == provider_id)
    rows = db.execute(
        ROWS.where(*wanted).order_by(Appointment.planned_start, Appointment.id).limit(MOST + 1)
    ).all()
    people = _people(db, [row.session_id for row in rows[:MOST]], now)
    return {
        "day": shown,
        "is_today": shown == days.today(zone, now),
        "timezone": zone,
        "as_of": now,
        "more": len(rows) > MOST,
        "providers": _providers(db, on_day),
        "items": [
            _shown(row, people[row.session_id], Policy.of(rules, row.visit_type), now)
            for row in rows[:MOST]
        ],
    }


def _providers(db: Session, on_day: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Return who has visits on that day, by name."""
    theirs = select(Appointment.provider_id).where(*on_day).distinct()
    rows = db.execute(
        select(Provider.id, Provider.display_name)
        .where(Provider.id.in_(theirs))
        .order_by(Provider.display_name, Provider.id)
    )
    return [{"id": row.id, "display_name": row.display_name} for row in rows]


def _people(
    db: Session, session_ids: Collection[UUID], now: datetime
) -> defaultdict[UUID, list[Found]]:
    """Return everybody not removed by session: whether they ever came, are inside, or wait."""
    stays = (
        select(
            Attendance.participant_id,
            func.bool_or(Attendance.left_at.is_(None)).label("is_inside"),
        )
        .where(Attendance.session_id.in_(session_ids))
        .group_by(Attendance.participant_id)
        .subquery()
    )
    waits = and_(
        Waiting.participant_id == Participant.id,
        Waiting.state == "waiting",
        Waiting.present_until > now,
    )
    rows = db.execute(
        select(
            Participant.session_id,
            Participant.id,
            Participant.role,
            Participant.display_name,
            stays.c.is_inside,
            Waiting.since,
        )
        .outerjoin(stays, stays.c.participant_id == Participant.id)
        .outerjoin(Waiting, waits)
        .where(Participant.session_id.in_(session_ids), Participant.state != "removed")
        .order_by(Participant.created_at, Participant.id)
    )
    found: defaultdict[UUID, list[Found]] = defaultdict(list)
    for row in rows:
        found[row.session_id].append(row)
    return found


def _shown(row: Found, people: list[Found], policy: Policy, now: datetime) -> dict[str, Any]:
    is_late = row.status in OPEN and now >= row.planned_start + timedelta(
        seconds=policy.late_after_s
    )
    overrun_s = int((now - row.planned_end).total_seconds()) - policy.overrun_after_s
    return {
        "appointment_id": row.id,
        "session_id": row.session_id,
        "visit_type": row.visit_type,
        "patient": row.patient,
        "provider": row.provider,
        "start": row.planned_start,
        "end": row.planned_end,
        "status": row.status,
        "since": row.status_since,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "overrun_s": max(0, overrun_s) if row.status == Status.IN_PROGRESS else 0,
        "people": [_person(one, row, is_late=is_late) for one in people],
    }


def _person(one: Found, row: Found, *, is_late: bool) -> dict[str, Any]:
    waits_since = one.since if row.status in OPEN and not one.is_inside else None
    return {
        "participant_id": one.id,
        "role": one.role,
        "display_name": one.display_name,
        "inside": bool(one.is_inside),
        "waiting_since": waits_since,
        # Who waits at the door has come.
        "late": is_late and one.is_inside is None and waits_since is None,
    }
