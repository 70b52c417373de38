"""Appending to the outbox: the only way anything leaves the service."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.events.types import EVENT_TYPES
from app.ids import new_id

APPEND = text(
    "SELECT teleconference.append_event(:id, :session_id, :type, :data, :now)"
).bindparams(bindparam("data", type_=JSONB))


def append(
    db: Session, type_: str, *, session_id: UUID, data: Mapping[str, Any], now: datetime
) -> UUID:
    """Write one event in the caller's transaction and return its id.

    The session's row is locked until the commit, so its events are numbered without gaps and
    become visible in that order. Callers that also lock a participant lock the session first.
    """
    assert type_ in EVENT_TYPES, type_
    event_id = new_id()
    payload = {"session_id": str(session_id), **data}
    parameters = {
        "id": event_id,
        "session_id": session_id,
        "type": type_,
        "data": payload,
        "now": now,
    }
    db.execute(APPEND, parameters)
    return event_id
