"""Reading the audit log, which is an act to be recorded like any other."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, select, text
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
    AuditEntry.organisation_id,
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
# By SQL: people are a resource above this one.
PATIENTS = text("""
    SELECT session_id, reference FROM teleconference.participants
    WHERE session_id = ANY (CAST(:sessions AS uuid[])) AND role = 'patient'""")


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
            shown = _events(db, entries, source) if format == "fhir" else map(_row, entries)
            yield b"".join(orjson.dumps(one) + b"\n" for one in shown)


def _row(entry: Row[Any]) -> Mapping[str, Any]:
    return {name: value for name, value in entry._mapping.items() if name != "organisation_id"}


def _events(db: Session, entries: Sequence[Row[Any]], source: str) -> Iterator[Mapping[str, Any]]:
    sessions = {entry.session_id for entry in entries if entry.session_id is not None}
    patients: dict[UUID, list[str | None]] = {}
    for session_id, reference in db.execute(PATIENTS, {"sessions": list(map(str, sessions))}):
        patients.setdefault(session_id, []).append(reference)
    for entry in entries:
        yield audit_event(entry, source=source, patients=patients.get(entry.session_id, ()))
