"""Appending to the outbox: the only way anything leaves the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from app.db.engine import run
from app.events.types import EVENT_TYPES
from app.ids import new_id

# Straight on the driver, as at every change.
APPEND = "SELECT teleconference.append_event(%s, %s, %s, %s, %s)"
# Row after row, in the order they are listed: the function is volatile.
APPEND_ALL = """
    SELECT teleconference.append_event(e.id, e.session_id, e.type, e.data::jsonb, e.at)
    FROM (VALUES {rows}) AS e (id, session_id, type, data, at)"""
EVENT = "(%s::uuid, %s::uuid, %s, %s, %s::timestamptz)"


@dataclass(frozen=True, slots=True)
class Event:
    """An event that is to be written together with others."""

    type: str
    session_id: UUID
    data: Mapping[str, Any]


def append(
    db: Session, type_: str, *, session_id: UUID, data: Mapping[str, Any], now: datetime
) -> UUID:
    """Write one event in the caller's transaction and return its id.

    The session's row is locked until the commit, so its events are numbered without gaps and
    become visible in that order. Callers that also lock a participant lock the session first.
    """
    row = _row(Event(type_, session_id, data), now)
    run(db, APPEND, row)
    return row[0]


def append_all(db: Session, several: Sequence[Event], *, now: datetime) -> None:
    """Write several events by one statement. They are numbered in this order, and their sessions
    must be locked already: this locks them in the order of the events."""
    values = [value for event in several for value in _row(event, now)]
    run(db, APPEND_ALL.format(rows=", ".join([EVENT] * len(several))), values)


def _row(event: Event, now: datetime) -> tuple[UUID, UUID, str, str, datetime]:
    assert event.type in EVENT_TYPES, event.type
    payload = orjson.dumps({"session_id": str(event.session_id), **event.data}).decode()
    return new_id(), event.session_id, event.type, payload, now
