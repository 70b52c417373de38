"""Telling the hospital's own services where visits stand: made by the relay, sent by a worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.appointments.models import Appointment
from app.directory.models import DirectoryConnection
from app.events.models import Event
from app.ports import VisitStatus
from app.sessions.models import CareSession
from app.visits.models import VisitReport

FOLLOWED = ("appointment.", "visit.")

CLAIM = text("""
    UPDATE teleconference.visit_reports r
    SET next_attempt_at = :lease_until, attempts = r.attempts + 1
    WHERE (r.appointment_id, r.kind) IN (
      SELECT d.appointment_id, d.kind FROM teleconference.visit_reports d
      WHERE d.organisation_id = :organisation AND d.state = 'pending' AND d.next_attempt_at <= :now
      ORDER BY d.next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING r.appointment_id, r.kind, r.changes, r.attempts, r.failures""")
# From one organisation with something pending to the next, along the index.
DUE = text("""
    SELECT DISTINCT organisation_id FROM teleconference.visit_reports
    WHERE state = 'pending' AND next_attempt_at <= :now""")


@dataclass(frozen=True, slots=True)
class Claimed:
    """One claimed report. `status` is what holds now."""

    appointment_id: UUID
    kind: str
    changes: int
    attempt: int
    failures: int
    status: VisitStatus


def make(db: Session, events: Sequence[Event], *, now: datetime) -> set[UUID]:
    """Note which services have news coming, and return the organisations they are of."""
    changed = {_appointment_of(e): e.organisation_id for e in events if e.type.startswith(FOLLOWED)}
    if not changed:
        return set()
    connected = _connected(db, set(changed.values()))
    rows = [
        _row(appointment_id, organisation_id, kind, now)
        for appointment_id, organisation_id in changed.items()
        for kind in connected.get(organisation_id, ())
    ]
    if rows:
        db.execute(_upsert(now), rows)
    return {row["organisation_id"] for row in rows}


def due(db: Session, *, now: datetime) -> set[UUID]:
    """Return the organisations whose services have news waiting."""
    return set(db.scalars(DUE, {"now": now}))


def claim(
    db: Session, organisation_id: UUID, *, limit: int, lease_until: datetime, now: datetime
) -> list[Claimed]:
    """Take some due reports of an organisation with what they have to say as of now."""
    parameters = {"organisation": organisation_id, "limit": limit}
    rows = db.execute(CLAIM, {**parameters, "lease_until": lease_until, "now": now}).all()
    statuses = _statuses(db, [row.appointment_id for row in rows])
    return [
        Claimed(
            appointment_id=row.appointment_id,
            kind=row.kind,
            changes=row.changes,
            attempt=row.attempts,
            failures=row.failures,
            status=statuses[row.appointment_id],
        )
        for row in rows
    ]


def record_reported(db: Session, claimed: Claimed, *, now: datetime) -> None:
    """The service has it; what changed since is told next."""
    _settle(db, claimed, VisitReport.changes == claimed.changes, state="reported", reported_at=now)
    _settle(db, claimed, VisitReport.changes != claimed.changes, next_attempt_at=now)


def record_failure(db: Session, claimed: Claimed, *, error: str, retry_at: datetime | None) -> None:
    """Say when to try again, or give up until the next change (None)."""
    values: dict[str, Any] = {"last_error": error, "failures": VisitReport.failures + 1}
    values |= {"next_attempt_at": retry_at} if retry_at else {"state": "failed"}
    _settle(db, claimed, VisitReport.attempts == claimed.attempt, **values)


def _settle(db: Session, claimed: Claimed, condition: Any, **values: Any) -> None:
    if "failures" not in values:
        values |= {"failures": 0, "last_error": None}
    db.execute(
        update(VisitReport)
        .where(
            VisitReport.appointment_id == claimed.appointment_id,
            VisitReport.kind == claimed.kind,
            VisitReport.state == "pending",
            condition,
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def _appointment_of(event: Event) -> UUID:
    return UUID(event.data["appointment_id"])


def _connected(db: Session, organisations: set[UUID]) -> dict[UUID, tuple[str, ...]]:
    """Return whom of each organisation's services there is to tell; one that is both, once."""
    rows = db.scalars(
        select(DirectoryConnection).where(
            DirectoryConnection.organisation_id.in_(organisations), DirectoryConnection.is_active
        )
    )
    return {row.organisation_id: _kinds(row) for row in rows}


def _kinds(row: DirectoryConnection) -> tuple[str, ...]:
    # One FHIR server for both gets one Appointment and one Encounter.
    is_one = row.protocol == "fhir" and row.patients_url == row.providers_url
    return ("patient",) if is_one else ("patient", "provider")


def _row(appointment_id: UUID, organisation_id: UUID, kind: str, now: datetime) -> dict[str, Any]:
    return {
        "appointment_id": appointment_id,
        "kind": kind,
        "organisation_id": organisation_id,
        "state": "pending",
        "changes": 1,
        "next_attempt_at": now,
    }


def _upsert(now: datetime) -> Any:
    """Insert, or note one more change. What is pending keeps its time: a worker may hold it, and
    two at once could tell the older state last."""
    is_pending = VisitReport.state == "pending"
    return insert(VisitReport).on_conflict_do_update(
        index_elements=["appointment_id", "kind"],
        set_={
            "changes": VisitReport.changes + 1,
            "state": "pending",
            "next_attempt_at": case((is_pending, VisitReport.next_attempt_at), else_=now),
        },
    )


def _statuses(db: Session, appointments: Sequence[UUID]) -> dict[UUID, VisitStatus]:
    rows = db.scalars(select(Appointment).where(Appointment.id.in_(appointments))).all()
    wanted = [row.session_id for row in rows]
    sessions = db.scalars(select(CareSession).where(CareSession.id.in_(wanted)))
    by_id = {session.id: session for session in sessions}
    return {row.id: _status(row, by_id[row.session_id]) for row in rows}


def _status(appointment: Appointment, session: CareSession) -> VisitStatus:
    return VisitStatus(
        appointment_id=appointment.id,
        appointment_reference=appointment.reference,
        patient_reference=appointment.patient.reference,
        provider_reference=appointment.provider.reference,
        visit_type=appointment.visit_type,
        status=appointment.status,
        status_since=appointment.status_since,
        planned_start=appointment.planned_start,
        planned_end=appointment.planned_end,
        started_at=session.started_at,
        ended_at=session.ended_at if session.started_at else None,
    )
