"""Placing and releasing legal holds, and the question whether there is one.

Whoever deletes something of a session has locked the session first, and so has whoever places a
hold: what is held when the deletion asks stays, and what was deleted before cannot be held.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.audit import service as audit
from app.audit.service import Actor
from app.errors import Conflict, NotFound
from app.events import service as events
from app.holds.models import LegalHold
from app.ids import new_id
from app.sessions import service as sessions


def place(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    reason: str,
    reference: str | None,
    allows_playback: bool,
    actor: Actor,
    now: datetime,
) -> LegalHold:
    """Keep everything of a session until the hold is released. There may be several at once: each
    matter has its own.

    Raises:
        NotFound: no such session; also when its time has come before.
    """
    sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    hold = LegalHold(
        id=new_id(),
        organisation_id=organisation_id,
        session_id=session_id,
        reason=reason,
        reference=reference,
        allows_playback=allows_playback,
        placed_by_kind=actor.kind,
        placed_by=actor.id,
        created_at=now,
    )
    db.add(hold)
    db.flush()
    _tell(db, hold, "hold.placed", reason, actor=actor, now=now)
    return hold


def release(
    db: Session, *, organisation_id: UUID, hold_id: UUID, reason: str, actor: Actor, now: datetime
) -> LegalHold:
    """Let things go on; what is past its time is deleted at the next sweep. One that was released
    already stays as it is.

    Raises:
        NotFound: no such hold.
    """
    found = get(db, organisation_id=organisation_id, hold_id=hold_id)
    sessions.lock(db, organisation_id=organisation_id, session_id=found.session_id)
    hold = db.get_one(LegalHold, hold_id, populate_existing=True)
    if hold.released_at is None:
        hold.released_at, hold.release_reason = now, reason
        hold.released_by_kind, hold.released_by = actor.kind, actor.id
        db.flush()
        _tell(db, hold, "hold.released", reason, actor=actor, now=now)
    return hold


def get(db: Session, *, organisation_id: UUID, hold_id: UUID) -> LegalHold:
    """Return one hold.

    Raises:
        NotFound: there is none, or it is another organisation's.
    """
    query = of_organisation(organisation_id).where(LegalHold.id == hold_id)
    hold = db.scalars(query).first()
    if hold is None:
        raise NotFound("There is no such hold.", code="hold_not_found")
    return hold


def of_organisation(organisation_id: UUID, *, live: bool | None = None) -> Select[LegalHold]:
    """Return the query of all holds of an organisation, of the live or the released ones."""
    query = select(LegalHold).where(LegalHold.organisation_id == organisation_id)
    if live is None:
        return query
    is_live = LegalHold.released_at.is_(None)
    return query.where(is_live if live else ~is_live)


def of_session(db: Session, *, organisation_id: UUID, session_id: UUID) -> Select[LegalHold]:
    """Return the query of the holds on one session.

    Raises:
        NotFound: no such session.
    """
    sessions.get(db, organisation_id=organisation_id, session_id=session_id)
    return of_organisation(organisation_id).where(LegalHold.session_id == session_id)


def holding(
    session_id: UUID | InstrumentedAttribute[UUID], *, playback: bool = False
) -> ColumnElement[bool]:
    """Return the condition that a session is held; with `playback`, that it is held in a way that
    nothing of it may be watched."""
    live = exists().where(LegalHold.session_id == session_id, LegalHold.released_at.is_(None))
    return live.where(LegalHold.allows_playback.is_(False)) if playback else live


def is_held(db: Session, session_id: UUID) -> bool:
    """Tell whether something of this session must stay."""
    return bool(db.scalar(select(holding(session_id))))


def require_free(db: Session, session_id: UUID) -> None:
    """Refuse to delete something of a session that is held. The session is locked.

    Raises:
        Conflict: it is.
    """
    if is_held(db, session_id):
        raise Conflict(
            "There is a legal hold on this session; nothing of it is deleted before its release.",
            code="legal_hold",
        )


def _tell(
    db: Session, hold: LegalHold, type_: str, reason: str, *, actor: Actor, now: datetime
) -> None:
    data = {"hold_id": str(hold.id), "reason": reason}
    events.append(db, type_, session_id=hold.session_id, data=data, now=now)
    audit.record(
        db,
        action=type_,
        actor=actor,
        now=now,
        organisation_id=hold.organisation_id,
        session_id=hold.session_id,
        detail={**data, "allows_playback": hold.allows_playback},
    )
