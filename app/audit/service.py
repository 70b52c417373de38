"""Writing to the audit log. Nothing of a call's content and no name ever goes in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.db.engine import Runner, run
from app.ids import new_id

# By hand and straight on the driver: at every join an entry is written.
INSERT = """
    INSERT INTO teleconference.audit_entries (id, organisation_id, at, actor_kind, actor_id,
      action, outcome, session_id, participant_id, detail)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a `client` of the API, a `participant`, the `room`, an `operator` at the
    command line, the `service` itself, or a `stranger`."""

    kind: str
    id: str | None = None


STRANGER = Actor("stranger")
ROOM = Actor("room")
SERVICE = Actor("service")
OPERATOR = Actor("operator")


def record(
    db: Runner,
    *,
    action: str,
    actor: Actor,
    now: datetime,
    organisation_id: UUID | None,
    session_id: UUID | None = None,
    participant_id: UUID | None = None,
    refused: bool = False,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Insert one entry; it commits or falls with the act it tells of.

    A refusal must be recorded in a transaction of its own, because the refused one rolls back.
    """
    outcome = "refused" if refused else "done"
    who, place = (actor.kind, actor.id), (session_id, participant_id)
    text = orjson.dumps(dict(detail or {})).decode()
    run(db, INSERT, (new_id(), organisation_id, now, *who, action, outcome, *place, text))
