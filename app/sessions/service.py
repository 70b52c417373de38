"""Planning, opening and closing sessions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from app.appointments import follow
from app.audit import service as audit
from app.audit.service import Actor
from app.errors import Conflict, Invalid, NotFound, Stale
from app.events import service as events
from app.ids import new_id, new_room_name
from app.sessions import waiting_rooms
from app.sessions.models import CareSession
from app.sessions.states import FOLLOWED_BY, OVER, State, Step, refusal, sources_of, target_of

EVENT_OF = {
    Step.START: "session.started",
    Step.END: "session.ended",
    Step.CANCEL: "session.cancelled",
}


def create(
    db: Session,
    *,
    organisation_id: UUID,
    actor: Actor,
    now: datetime,
    kind: str,
    capacity: int,
    waiting_room: bool | None = None,
    recording: str = "none",
    planned_start: datetime | None = None,
    planned_end: datetime | None = None,
    reference: str | None = None,
    visit_type: str | None = None,
) -> CareSession:
    """Create a session: planned when it has a start, otherwise open at once.

    Raises:
        Invalid: it would end before it starts, or ends without starting.
    """
    _check_plan(planned_start, planned_end)
    session = CareSession(
        id=new_id(),
        organisation_id=organisation_id,
        kind=kind,
        state=State.SCHEDULED if planned_start else State.ACTIVE,
        reference=reference,
        room_name=new_room_name(),
        capacity=capacity,
        visit_type=visit_type,
        waiting_room=waiting_rooms.decided(db, organisation_id, visit_type, waiting_room),
        recording=recording,
        planned_start=planned_start,
        planned_end=planned_end,
        started_at=None if planned_start else now,
        due_at=planned_start or now,
        version=1,
        created_at=now,
    )
    db.add(session)
    db.flush()  # the event's foreign key wants the row
    _tell(db, session, "session.created", now, kind=kind, state=session.state)
    _audit(db, session, "session.created", actor, now)
    return session


def get(db: Session, *, organisation_id: UUID, session_id: UUID) -> CareSession:
    """Return one session of this organisation.

    Raises:
        NotFound: there is none, or it is another organisation's.
    """
    session = db.scalars(_own(organisation_id, session_id)).first()
    if session is None:
        raise NotFound("There is no such session.", code="session_not_found")
    return session


def lock(db: Session, *, organisation_id: UUID, session_id: UUID) -> CareSession:
    """Return one session locked until the transaction ends: always before its participants.

    Raises:
        NotFound: there is none, or it is another organisation's.
    """
    query = _own(organisation_id, session_id).with_for_update(of=CareSession, key_share=True)
    session = db.scalars(query.execution_options(populate_existing=True)).first()
    if session is None:
        raise NotFound("There is no such session.", code="session_not_found")
    return session


def change(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    version: int,
    values: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> CareSession:
    """Change plan, capacity or reference, if `version` is still the newest.

    Raises:
        NotFound, Stale: see there.
        Conflict: the session is over.
        Invalid: the plan would end before it starts.
    """
    session = lock(db, organisation_id=organisation_id, session_id=session_id)
    if session.version != version:
        raise Stale(
            "The session changed since you read it; read it again.", code="version_outdated"
        )
    require_open(session)
    if session.state == State.ACTIVE and "planned_start" in values:
        raise Conflict("The session has already started.", code="session_active")
    changed = sorted(name for name, value in values.items() if getattr(session, name) != value)
    for name, value in values.items():
        setattr(session, name, value)
    _check_plan(session.planned_start, session.planned_end)
    session.version += 1
    session.due_at = now
    db.flush()
    _tell(db, session, "session.updated", now, changed=changed)
    _audit(db, session, "session.updated", actor, now, fields=sorted(values))
    planned = {name: getattr(session, name) for name in follow.FOLLOWED}
    follow.replan(db, session_id=session_id, values=planned, actor=actor, now=now)
    return session


def start(
    db: Session, *, organisation_id: UUID, session_id: UUID, actor: Actor, now: datetime
) -> CareSession:
    """Open the session; one that is open already stays as it is.

    Raises:
        NotFound: see `get`.
        Conflict: it is over.
    """
    session = get(db, organisation_id=organisation_id, session_id=session_id)
    if session.state == State.ACTIVE:
        return session
    return _advance(
        db,
        session,
        Step.START,
        actor,
        now,
        values={"started_at": now, "due_at": now},
        data={"started_by": actor.kind},
    )


def end(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
) -> CareSession:
    """Close the session for everybody and for good; its links and tokens are dead from here on.

    One that has ended already stays as it is.

    Raises:
        NotFound: see `get`.
        Conflict: it never started (cancel it) or was cancelled.
    """
    session = get(db, organisation_id=organisation_id, session_id=session_id)
    if session.state == State.ENDED:
        return session
    values = {"ended_at": now, "end_reason": reason, "due_at": None}
    return _advance(db, session, Step.END, actor, now, values=values, data={"reason": reason})


def cancel(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
) -> CareSession:
    """Call off a session that has not started.

    Raises:
        NotFound: see `get`.
        Conflict: it has started already, or is over.
    """
    session = get(db, organisation_id=organisation_id, session_id=session_id)
    if session.state == State.CANCELLED:
        return session
    values = {"ended_at": now, "end_reason": reason, "due_at": None}
    return _advance(db, session, Step.CANCEL, actor, now, values=values, data={"reason": reason})


def require_fitting(capacity: int | None, *, largest: int) -> None:
    """Refuse a room larger than this deployment allows (MAX_ROOM_SIZE).

    Raises:
        Invalid: it is.
    """
    if capacity is not None and capacity > largest:
        raise Invalid(
            f"A room holds {largest} people at most here.",
            code="capacity_too_large",
            field="capacity",
        )


def require_open(session: CareSession) -> None:
    """Refuse what makes no sense once the session is over.

    Raises:
        Conflict: it is.
    """
    if session.state in OVER:
        raise Conflict(f"The session is {session.state}.", code=f"session_{session.state}")


def _own(organisation_id: UUID, session_id: UUID) -> Select[CareSession]:
    return select(CareSession).where(
        CareSession.id == session_id, CareSession.organisation_id == organisation_id
    )


def _advance(
    db: Session,
    session: CareSession,
    step: Step,
    actor: Actor,
    now: datetime,
    *,
    values: Mapping[str, Any],
    data: Mapping[str, Any],
) -> CareSession:
    """Take one step by a conditional UPDATE: of two at once, one wins and the other is told."""
    done = db.execute(
        update(CareSession)
        .where(CareSession.id == session.id, CareSession.state.in_(sources_of(step)))
        .values(state=target_of(step), version=CareSession.version + 1, **values)
        .execution_options(synchronize_session=False)
    )
    db.refresh(session)
    if done.rowcount == 0 and session.state != target_of(step):  # type: ignore[attr-defined]
        raise refusal(step, session.state)
    if done.rowcount:  # type: ignore[attr-defined]
        _tell(db, session, EVENT_OF[step], now, **data)
        _audit(db, session, EVENT_OF[step], actor, now, **data)
        follow.move(
            db,
            session_id=session.id,
            step=FOLLOWED_BY[step],
            actor=actor,
            now=now,
            reason=data.get("reason"),
        )
    return session


def _check_plan(start: datetime | None, end: datetime | None) -> None:
    if end is not None and start is None:
        raise Invalid(
            "A planned end needs a planned start.", code="plan_incomplete", field="planned_start"
        )
    if start is not None and end is not None and end <= start:
        raise Invalid(
            "planned_end must be after planned_start.",
            code="plan_not_in_order",
            field="planned_end",
        )


def _tell(db: Session, session: CareSession, type_: str, now: datetime, **data: Any) -> None:
    payload = {"reference": session.reference, **data}
    events.append(db, type_, session_id=session.id, data=payload, now=now)


def _audit(
    db: Session, session: CareSession, action: str, actor: Actor, now: datetime, **detail: Any
) -> None:
    audit.record(
        db,
        action=action,
        actor=actor,
        now=now,
        organisation_id=session.organisation_id,
        session_id=session.id,
        detail=detail,
    )
