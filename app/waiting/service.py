"""Admitting and denying who waits. All ways lead here: REST, the page, and Jitsi's own controls.

Every decision locks the session first, so two at once are one after the other, and "the next" is
never the same person twice.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.errors import Conflict, Forbidden, NotFound
from app.organisations.models import Organisation
from app.participants import service as participants
from app.participants.models import Participant, Waiting
from app.participants.permissions import Permission, effective
from app.ports import RoomOrder
from app.rooms import commands
from app.rooms.commands import Target
from app.sessions import service as sessions
from app.sessions.models import CareSession


@dataclass(frozen=True, slots=True)
class Verdict:
    """`admitted` or `denied`, by whom, and what a denied person is told."""

    state: str
    actor: Actor
    at: datetime
    message: str = ""


def queue(
    db: Session, *, organisation_id: UUID, session_id: UUID, now: datetime
) -> list[dict[str, Any]]:
    """Return who waits now, who came first first.

    Raises:
        NotFound: see `sessions.service.get`.
    """
    sessions.get(db, organisation_id=organisation_id, session_id=session_id)
    rows = db.execute(
        select(Participant, Waiting.since)
        .join(Waiting, Waiting.participant_id == Participant.id)
        .where(*_waits(session_id, now))
        .order_by(Waiting.since, Waiting.participant_id)
    ).all()
    return [
        {
            "participant_id": person.id,
            "display_name": person.display_name,
            "role": person.role,
            "reference": person.reference,
            "place": place,
            "since": since,
            "waited_s": int((now - since).total_seconds()),
        }
        for place, (person, since) in enumerate(rows, start=1)
    ]


def admit(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    actor: Actor,
    now: datetime,
) -> tuple[dict[str, Any], RoomOrder]:
    """Let a person in, for the rest of the session; also one who was denied before.

    Raises:
        NotFound: no such session or participant.
        Conflict: they never waited, were removed, or the session is over.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    return _decide(db, session, participant_id, Verdict("admitted", actor, now))


def admit_next(
    db: Session, *, organisation_id: UUID, session_id: UUID, actor: Actor, now: datetime
) -> tuple[dict[str, Any], RoomOrder]:
    """Let in who has waited longest.

    Raises:
        NotFound: no such session.
        Conflict: nobody waits, or the session is over.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    sessions.require_open(session)
    first = db.scalar(
        select(Waiting.participant_id)
        .where(*_waits(session_id, now))
        .order_by(Waiting.since, Waiting.participant_id)
        .limit(1)
    )
    if first is None:
        raise Conflict("Nobody is waiting.", code="nobody_waiting")
    return _decide(db, session, first, Verdict("admitted", actor, now))


def deny(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    message: str,
    actor: Actor,
    now: datetime,
) -> tuple[dict[str, Any], RoomOrder]:
    """Do not let a person in; who was admitted before is put out again.

    Raises:
        NotFound, Conflict: see `admit`.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    return _decide(db, session, participant_id, Verdict("denied", actor, now, message))


def decide_in_call(
    db: Session,
    *,
    room: str,
    actor_id: UUID | None,
    participant_id: UUID | None,
    decision: str,
    now: datetime,
) -> str:
    """Admit or deny as a moderator did with Jitsi's own controls; return why it does not hold, or
    ''. The room acts on it by itself; the order is for a client that was just coming back."""
    try:
        session = _moderated(db, room, actor_id)
        if participant_id is None:
            return "participant_not_found"
        verdict = Verdict(decision, Actor("participant", str(actor_id)), now)
        _decide(db, session, participant_id, verdict)
    except (Forbidden, NotFound, Conflict) as error:
        _audit_refusal(db, room, actor_id, decision=decision, code=error.code, now=now)
        return error.code
    return ""


def _audit_refusal(
    db: Session, room: str, actor_id: UUID | None, *, decision: str, code: str, now: datetime
) -> None:
    session = db.scalar(select(CareSession).where(CareSession.room_name == room))
    audit.record(
        db,
        action="room.act_refused",
        actor=Actor("participant", str(actor_id)) if actor_id else audit.STRANGER,
        now=now,
        organisation_id=session.organisation_id if session else None,
        session_id=session.id if session else None,
        refused=True,
        detail={"act": decision, "code": code},
    )


def _moderated(db: Session, room: str, actor_id: UUID | None) -> CareSession:
    """Return the session of a room, locked, if this person may moderate it.

    Raises:
        Forbidden: they may not.
    """
    session = db.scalar(select(CareSession).where(CareSession.room_name == room))
    person = actor_id and db.get(Participant, actor_id)
    if session is None or not person or not _may_moderate(db, session, person):
        raise Forbidden("Only who moderates may let people in.", code="not_moderator")
    return sessions.lock(db, organisation_id=session.organisation_id, session_id=session.id)


def _may_moderate(db: Session, session: CareSession, person: Participant) -> bool:
    if person.session_id != session.id or person.state == "removed":
        return False
    organisation = db.get(Organisation, session.organisation_id)
    assert organisation is not None  # a foreign key
    permissions = effective(
        person.role,
        kind=session.kind,
        organisation=organisation.permissions,
        participant=person.permissions,
    )
    return Permission.MODERATE in permissions


def _waits(session_id: UUID, now: datetime) -> tuple[Any, ...]:
    return (
        Waiting.session_id == session_id,
        Waiting.state == "waiting",
        Waiting.present_until > now,
    )


def _decide(
    db: Session,
    session: CareSession,
    participant_id: UUID,
    verdict: Verdict,
) -> tuple[dict[str, Any], RoomOrder]:
    """Write one decision, once; deciding the same again changes nothing but tells the room again,
    which may not have heard of it.

    Args:
        session: locked.
    """
    sessions.require_open(session)
    person = participants.get(
        db,
        organisation_id=session.organisation_id,
        session_id=session.id,
        participant_id=participant_id,
    )
    if person.state == "removed":
        raise Conflict("This participant was removed.", code="participant_removed")
    done = db.scalar(
        update(Waiting)
        .where(Waiting.participant_id == participant_id, Waiting.state != verdict.state)
        .values(
            state=verdict.state,
            decided_at=verdict.at,
            decided_by_kind=verdict.actor.kind,
            decided_by=verdict.actor.id,
            message=verdict.message or None,
        )
        .returning(Waiting.participant_id)
        .execution_options(synchronize_session=False)
    )
    row = db.get(Waiting, participant_id, populate_existing=True)
    if row is None:
        raise Conflict("This person is not in the waiting room.", code="not_waiting")
    if done:
        actor, type_ = verdict.actor, f"participant.{verdict.state}"
        participants.tell(db, person, type_, actor=actor, now=verdict.at, by=actor.kind)
    return _shown(person, row), _order(db, session, row, verdict.at)


def _shown(person: Participant, row: Waiting) -> dict[str, Any]:
    return {
        "participant_id": person.id,
        "display_name": person.display_name,
        "role": person.role,
        "reference": person.reference,
        "state": row.state,
        "since": row.since,
        "decided_at": row.decided_at,
    }


def _order(db: Session, session: CareSession, row: Waiting, now: datetime) -> RoomOrder:
    target = Target.of(session)
    if row.state == "admitted":
        return commands.admit(db, target, participant_id=row.participant_id, now=now)
    reason = row.message or ""
    return commands.deny(db, target, participant_id=row.participant_id, reason=reason, now=now)
