"""Appending to the outbox: the only way anything leaves the service."""

from collections.abc import Mapping
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


def append(
    db: Session, type_: str, *, session_id: UUID, data: Mapping[str, Any], now: datetime
) -> UUID:
    """Write one event in the caller's transaction and return its id.

    The session's row is locked until the commit, so its events are numbered without gaps and
    become visible in that order. Callers that also lock a participant lock the session first.
    """
    assert type_ in EVENT_TYPES, type_
    event_id = new_id()
    payload = orjson.dumps({"session_id": str(session_id), **data}).decode()
    run(db, APPEND, (event_id, session_id, type_, payload, now))
    return event_id
