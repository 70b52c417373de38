"""The relay's look at open sessions: what the rules end or flag, each exactly once.

Each session is a transaction of its own that holds the session's row: any number of relays may
sweep, and what one has done is no longer due for another. What is ended here the rooms are told by
their own sweep, as always.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.orm import Session

from app.appointments import service as appointments
from app.appointments.models import Visit
from app.audit import service as audit
from app.events import service as events
from app.events.models import Event
from app.observability import place_of
from app.organisations.models import Organisation
from app.organisations.policy import Policy
from app.participants.models import Attendance, Participant
from app.participants.permissions import Role
from app.rooms import commands
from app.rooms.commands import Target
from app.services import Services
from app.sessions import service as sessions
from app.sessions.models import CareSession
from app.visits.rules import LOOK_AGAIN, Ending, Facts, ending, is_overrun, next_look

log = structlog.get_logger()

AT_ONCE = 200
# Who came to the door was there, although nobody let them in.
AT_THE_DOOR = ("participant.waiting", "participant.refused")
# What people still in the room are shown.
WORDS = {
    Ending.FORGOTTEN: "This session was closed long after its planned time.",
    Ending.EMPTY: "This session was closed because nobody was in it.",
}


def sweep(services: Services, *, now: datetime) -> int:
    """Apply the rules to every session whose time has come; return how many were looked at."""
    looked_at = 0
    with services.database.begin() as db:
        due = _due(db, now)
    for session_id in due:
        try:
            with services.database.begin() as db:
                looked_at += _look(db, session_id, now)
        except Exception as error:  # noqa: BLE001 - one odd session must not keep the others open
            log.warning(
                "session_rules_failed",
                session_id=str(session_id),
                kind=type(error).__name__,
                place=place_of(error),
            )
            with services.database.begin() as db:
                _set_due(db, session_id, now + LOOK_AGAIN)
    return looked_at


def _due(db: Session, now: datetime) -> Sequence[UUID]:
    query = select(CareSession.id).where(CareSession.due_at <= now)
    return db.scalars(query.order_by(CareSession.due_at, CareSession.id).limit(AT_ONCE)).all()


def _look(db: Session, session_id: UUID, now: datetime) -> bool:
    """Look at one session, unless somebody else is at it or has just been."""
    session = db.scalars(
        select(CareSession)
        .where(CareSession.id == session_id, CareSession.due_at <= now)
        .with_for_update(of=CareSession, key_share=True, skip_locked=True)
    ).first()
    if session is None:
        return False
    settings = db.scalar(
        select(Organisation.settings).where(Organisation.id == session.organisation_id)
    )
    policy = Policy.of(settings or {}, session.visit_type)
    facts = _facts(db, session)
    rule = ending(facts, policy, now)
    if rule is not None:
        _close(db, session, rule, now)
        return True
    if is_overrun(facts, policy, now):
        _tell_overrun(db, session, now)
        facts = replace(facts, overrun_at=now)
    _set_due(db, session.id, next_look(facts, policy, now))
    return True


def _set_due(db: Session, session_id: UUID, at: datetime) -> None:
    db.execute(
        update(CareSession)
        .where(CareSession.id == session_id, CareSession.due_at.is_not(None))
        .values(due_at=at)
        .execution_options(synchronize_session=False)
    )


def _close(db: Session, session: CareSession, rule: Ending, now: datetime) -> None:
    if rule is Ending.NO_SHOW:
        appointments.give_up(db, session, reason="rule", actor=audit.SERVICE, now=now)
        return
    close = sessions.end if session.state == "active" else sessions.cancel
    close(
        db,
        organisation_id=session.organisation_id,
        session_id=session.id,
        reason=str(rule),
        actor=audit.SERVICE,
        now=now,
    )
    commands.end(db, Target.of(session), reason=WORDS[rule], now=now)


def _tell_overrun(db: Session, session: CareSession, now: datetime) -> None:
    assert session.planned_end is not None
    session.overrun_at = now
    db.flush()
    data: dict[str, Any] = {
        "reference": session.reference,
        "planned_end": session.planned_end.isoformat(),
    }
    events.append(db, "session.overrun", session_id=session.id, data=data, now=now)


def _facts(db: Session, session: CareSession) -> Facts:
    stays = Attendance.session_id == session.id
    inside, last_left_at = db.execute(
        select(
            func.count().filter(Attendance.left_at.is_(None)), func.max(Attendance.left_at)
        ).where(stays)
    ).one()
    return Facts(
        state=session.state,
        planned_start=session.planned_start,
        planned_end=session.planned_end,
        started_at=session.started_at,
        overrun_at=session.overrun_at,
        is_somebody_inside=inside > 0,
        last_left_at=last_left_at,
        is_patient_excused=_is_patient_excused(db, session.id),
        is_emergency=session.kind == "emergency",
    )


def _is_patient_excused(db: Session, session_id: UUID) -> bool:
    was_inside = (
        exists()
        .where(Attendance.participant_id == Participant.id)
        .where(Participant.session_id == session_id, Participant.role == Role.PATIENT)
        .where(Attendance.session_id == session_id)
    )
    was_at_the_door = exists().where(
        Event.session_id == session_id,
        Event.type.in_(AT_THE_DOOR),
        Event.data["role"].astext == Role.PATIENT,
    )
    is_visit = exists().where(Visit.session_id == session_id)
    return bool(db.scalar(select(or_(~is_visit, was_inside, was_at_the_door))))
