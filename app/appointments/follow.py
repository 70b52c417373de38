"""An appointment follows its session: whoever moves or replans the session, in whatever way, moves
the appointment in the same transaction. `sessions.service` calls this; it knows no session itself.

The session's row is locked first, always: at a join Prosody's facts hold it before anybody knows
that there is an appointment.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.appointments.models import Appointment, Visit
from app.appointments.states import Step, sources_of, target_of
from app.audit import service as audit
from app.audit.service import Actor
from app.errors import Invalid
from app.events import service as events

EVENT_OF = {
    Step.ARRIVE: "appointment.arrived",
    Step.START: "visit.started",
    Step.COMPLETE: "visit.completed",
    Step.CANCEL: "appointment.cancelled",
    Step.NO_SHOW: "appointment.no_show",
}
FOLLOWED = ("planned_start", "planned_end", "reference", "visit_type")


def move(
    db: Session,
    *,
    session_id: UUID,
    step: Step,
    actor: Actor,
    now: datetime,
    reason: str | None = None,
) -> Appointment | None:
    """Take one step with the appointment of a session, by a conditional UPDATE.

    Args:
        session_id: its row is locked.

    Returns:
        The appointment, or None: the session has none, or it stands where the step is impossible.
    """
    mine = select(Visit.appointment_id).where(Visit.session_id == session_id).scalar_subquery()
    moved = db.scalars(
        update(Appointment)
        .where(Appointment.id == mine, Appointment.status.in_(sources_of(step)))
        .values(
            status=target_of(step),
            status_since=now,
            reason=reason,
            version=Appointment.version + 1,
        )
        .returning(Appointment)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).first()
    if moved is not None:
        detail = {} if step in (Step.ARRIVE, Step.START) else {"reason": reason}
        if step is Step.START:
            detail = {"started_by": actor.kind}
        if step is Step.CANCEL:
            detail |= times(moved)
        tell(db, moved, EVENT_OF[step], session_id=session_id, actor=actor, now=now, **detail)
    return moved


def replan(
    db: Session, *, session_id: UUID, values: Mapping[str, Any], actor: Actor, now: datetime
) -> None:
    """Give the appointment of a session the session's new times, kind or reference.

    Args:
        session_id: its row is locked.
        values: what the session has now, by the names in `FOLLOWED`.

    Raises:
        Invalid: an appointment needs both times.
    """
    appointment = locked(db, session_id=session_id)
    if appointment is None:
        return
    if values["planned_start"] is None or values["planned_end"] is None:
        raise Invalid(
            "The session of an appointment needs a start and an end.",
            code="plan_incomplete",
            field="planned_end",
        )
    changed = [name for name in FOLLOWED if getattr(appointment, name) != values[name]]
    if not changed:
        return
    previous = {f"previous_{name}": at for name, at in times(appointment).items()}
    for name in changed:
        setattr(appointment, name, values[name])
    appointment.version += 1
    db.flush()
    rescheduled = {"planned_start", "planned_end"} & set(changed)
    tell(
        db,
        appointment,
        "appointment.rescheduled" if rescheduled else "appointment.updated",
        session_id=session_id,
        actor=actor,
        now=now,
        **({**times(appointment), **previous} if rescheduled else {"fields": changed}),
    )


def locked(db: Session, *, session_id: UUID) -> Appointment | None:
    """Return the appointment of a session locked until the transaction ends.

    Args:
        session_id: its row is locked.
    """
    query = (
        select(Appointment)
        .join(Visit, Visit.appointment_id == Appointment.id)
        .where(Visit.session_id == session_id)
        .with_for_update(of=Appointment, key_share=True)
    )
    return db.scalars(query.execution_options(populate_existing=True)).first()


def times(appointment: Appointment) -> dict[str, str]:
    """Return the plan as events say it."""
    return {
        "planned_start": appointment.planned_start.isoformat(),
        "planned_end": appointment.planned_end.isoformat(),
    }


def tell(
    db: Session,
    appointment: Appointment,
    type_: str,
    *,
    session_id: UUID,
    actor: Actor,
    now: datetime,
    **detail: Any,
) -> None:
    """Write the event and the audit entry of something that happened to an appointment."""
    data = {"appointment_id": str(appointment.id), "reference": appointment.reference, **detail}
    events.append(db, type_, session_id=session_id, data=data, now=now)
    audit.record(
        db,
        action=type_,
        actor=actor,
        now=now,
        organisation_id=appointment.organisation_id,
        session_id=session_id,
        detail={"appointment_id": str(appointment.id), **detail},
    )
