"""Reading the audit log, which is an act to be recorded like any other."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.fhir import audit_event
from app.audit.models import AuditEntry
from app.audit.search import ask, look
from app.audit.service import Actor
from app.db.engine import Database
from app.web.paging import Page

# Of an entry, what is for readers. Proofs and seals are for `teleconsult audit verify`.
COLUMNS = (
    AuditEntry.id,
    AuditEntry.at,
    AuditEntry.actor_kind,
    AuditEntry.actor_id,
    AuditEntry.action,
    AuditEntry.outcome,
    AuditEntry.session_id,
    AuditEntry.participant_id,
    AuditEntry.detail,
)
LINES_AT_A_TIME = 100


def find(
    db: Session,
    *,
    organisation_id: UUID,
    actor: Actor,
    now: datetime,
    cursor: str | None,
    limit: int,
    since: datetime | None = None,
    until: datetime | None = None,
    **equal: Any,
) -> Page[AuditEntry]:
    """Note that somebody reads, and return a page of an organisation's entries.

    What was searched for is noted by the names of the conditions; their values only where they are
    ids of ours.

    Raises:
        Invalid: the cursor is not one of ours.
    """
    conditions = {"since": since, "until": until, **equal}
    audit.record(
        db,
        action="audit.read",
        actor=actor,
        now=now,
        organisation_id=organisation_id,
        session_id=equal.get("session_id"),
        participant_id=equal.get("participant_id"),
        detail={"conditions": sorted(name for name in conditions if conditions[name] is not None)},
    )
    question = ask(organisation_id, cursor=cursor, **conditions)
    return look(db, question, now=now, limit=limit)


def export(
    db: Session,
    *,
    organisation_id: UUID,
    actor: Actor,
    now: datetime,
    since: datetime,
    until: datetime,
    format: str,  # noqa: A002 - the name in the API
) -> None:
    """Note that somebody takes entries away."""
    span = {"since": since.isoformat(), "until": until.isoformat(), "format": format}
    audit.record(
        db,
        action="audit.exported",
        actor=actor,
        now=now,
        organisation_id=organisation_id,
        detail=span,
    )


def lines(
    database: Database,
    *,
    organisation_id: UUID,
    since: datetime,
    until: datetime,
    format: str,  # noqa: A002 - the name in the API
    source: str,
) -> Iterator[bytes]:
    """Yield an organisation's entries of some time, oldest first, as lines of JSON, some at a time.

    In a transaction of its own: it ends long after the request's.

    Args:
        source: the service's own address, which a FHIR AuditEvent names.
    """
    query = select(*COLUMNS).where(
        AuditEntry.organisation_id == organisation_id,
        AuditEntry.at >= since,
        AuditEntry.at < until,
    )
    streamed = query.order_by(AuditEntry.at, AuditEntry.id)
    with database.begin(organisation_id) as db:
        rows = db.execute(streamed, execution_options={"yield_per": LINES_AT_A_TIME})
        for entries in rows.partitions():
            shown = (_shape(entry, format, source) for entry in entries)
            yield b"".join(orjson.dumps(one) + b"\n" for one in shown)


def _shape(entry: Row[Any], format: str, source: str) -> Mapping[str, Any]:  # noqa: A002
    return audit_event(entry, source=source) if format == "fhir" else dict(entry._mapping)
