"""Writing to the audit log. Nothing of a call's content and no name ever goes in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.audit.proof import canonical_detail, content_of_entry, current_keys
from app.db.engine import Runner, run
from app.ids import new_id

# By hand and straight on the driver: at every join an entry is written.
INSERT = """
    INSERT INTO teleconference.audit_entries (id, organisation_id, at, actor_kind, actor_id,
      action, outcome, session_id, participant_id, detail, key_id, proof) """
VALUES = "%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a `client` or `user` of the API, a `participant`, the `room`, a `recorder`, an
    `operator` at the command line, the `service` itself, a `viewer` of a recording who was not in
    its session (by the id of their link), or a `stranger`."""

    kind: str
    id: str | None = None


STRANGER = Actor("stranger")
ROOM = Actor("room")
RECORDER = Actor("recorder")
SERVICE = Actor("service")
OPERATOR = Actor("operator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one entry says, without its time."""

    action: str
    actor: Actor
    organisation_id: UUID | None
    session_id: UUID | None = None
    participant_id: UUID | None = None
    refused: bool = False
    detail: Mapping[str, Any] | None = None


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
    entry = Entry(
        action=action,
        actor=actor,
        organisation_id=organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        refused=refused,
        detail=detail,
    )
    record_all(db, [entry], now=now)


def record_all(db: Runner, entries: Sequence[Entry], *, now: datetime) -> None:
    """Insert several entries by one statement; each is proved by itself."""
    insert(db, [row_of(entry, now) for entry in entries])


def insert(db: Runner, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert what `row_of` returned."""
    values = [value for row in rows for value in row]
    run(db, f"{INSERT} VALUES {', '.join([f'({VALUES})'] * len(rows))}", values)


def row_of(entry: Entry, now: datetime) -> tuple[Any, ...]:
    """Return the row of an entry, with its proof."""
    # Ids as text: the driver takes longer to write out an id than PostgreSQL to read it.
    who = (str(new_id()), _text(entry.organisation_id))
    does = (
        entry.actor.kind,
        entry.actor.id,
        entry.action,
        "refused" if entry.refused else "done",
        _text(entry.session_id),
        _text(entry.participant_id),
    )
    detail = canonical_detail(entry.detail)
    proved = current_keys().prove(content_of_entry((*who, *does), now, detail))
    return (*who, now, *does, detail.decode(), *proved)


def _text(one: UUID | None) -> str | None:
    return None if one is None else str(one)
