"""Reading the feed: events in the order of their positions, which no late commit can get behind."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, select
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from app.events.models import Event
from app.events.types import types_among

# How far one page looks for events of the types asked for: a page costs the same, however rare
# they are.
WINDOW = 2000
COLUMNS = (
    Event.position, Event.id, Event.organisation_id, Event.session_id, Event.sequence, Event.type,
    Event.data, Event.created_at,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Some events, oldest first. Read on after `edge`; `has_more` says that there was more."""

    items: Sequence[Any]
    edge: int
    has_more: bool


def page(
    db: Session,
    *,
    organisation_id: UUID,
    after: int,
    limit: int,
    types: Collection[str] = (),
    session_id: UUID | None = None,
    until: int | None = None,
) -> FeedPage:
    """Return what comes after a position, of these types (patterns allowed) or of one session."""
    mine = select(*COLUMNS).where(Event.organisation_id == organisation_id, Event.position > after)
    if until is not None:
        mine = mine.where(Event.position <= until)
    if session_id is not None:
        # In a session positions rise with the sequence, and that index holds little else.
        mine = mine.where(Event.session_id == session_id).order_by(Event.sequence)
    else:
        mine = mine.order_by(Event.position)
    if types and session_id is None:
        return _window(db, mine, after, limit, types)
    if types:
        mine = mine.where(Event.type.in_(types_among(types)))
    rows = db.execute(mine.limit(limit + 1)).all()
    return _page(rows[:limit], after, has_more=len(rows) > limit)


def latest(db: Connection | Session) -> int:
    """Return the position of the newest event of all organisations, 0 when there is none."""
    return db.scalar(select(func.max(Event.position)).where(Event.position.is_not(None))) or 0


def since(db: Connection | Session, *, after: int, limit: int) -> Sequence[Any]:
    """Return the next events of all organisations."""
    following = select(*COLUMNS).where(Event.position > after).order_by(Event.position)
    return db.execute(following.limit(limit)).all()


def envelope(event: Any) -> dict[str, Any]:
    """Return an event as everybody outside gets it."""
    return {
        "id": event.id,
        "type": event.type,
        "timestamp": event.created_at,
        "sequence": event.sequence,
        "organisation_id": event.organisation_id,
        "data": event.data,
    }


def written(event: Any) -> bytes:
    """Return the bytes of an event: what is sent, and what a signature covers."""
    return orjson.dumps(envelope(event), option=orjson.OPT_UTC_Z)


def _window(db: Session, mine: Any, after: int, limit: int, types: Collection[str]) -> FeedPage:
    """Look at the next `WINDOW` events only; a page may hold few of them, or none, and go on."""
    window = mine.limit(WINDOW).subquery()
    edge, seen = db.execute(select(func.max(window.c.position), func.count())).one()
    if not seen:
        return FeedPage([], after, has_more=False)
    chosen = mine.where(Event.position <= edge, Event.type.in_(types_among(types)))
    rows = db.execute(chosen.limit(limit + 1)).all()
    if len(rows) > limit:
        return _page(rows[:limit], after, has_more=True)
    return FeedPage(rows, edge, has_more=seen == WINDOW)


def _page(rows: Sequence[Any], after: int, *, has_more: bool) -> FeedPage:
    return FeedPage(rows, rows[-1].position if rows else after, has_more)
