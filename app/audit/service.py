"""Writing to the audit log. Nothing of a call's content and no name ever goes in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from app.audit.models import AuditEntry
from app.ids import new_id

INSERT = AuditEntry.__table__.insert()  # type: ignore[attr-defined]


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
    db: Session | Connection,
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
    entry = {
        "id": new_id(),
        "organisation_id": organisation_id,
        "at": now,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "action": action,
        "outcome": "refused" if refused else "done",
        "session_id": session_id,
        "participant_id": participant_id,
        "detail": dict(detail or {}),
    }
    # On the connection: the ORM's bulk insert would take as long again as the statement.
    connection = db.connection() if isinstance(db, Session) else db
    connection.execute(INSERT, entry)
