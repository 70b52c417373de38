"""Chains new entries, each organisation's in a chain of its own.

Not when an entry is made: all joins of a hospital would then wait for each other at the end of one
chain. For the second or so until an entry is sealed, its proof already shows alteration and
invention; only that it was deleted would not be noticed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Connection, Table, insert, text
from sqlalchemy.orm import Session

from app.audit.models import AuditSeal
from app.audit.proof import NOBODY, AuditKeys, content_of_row, content_of_seal

BATCH = 1000
SEAL_LOCK = 7_230_904  # any number, the same for every sealer and purge

LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")
# After a restore into another cluster, the first batch may look through everything.
PATIENCE = text("SET LOCAL statement_timeout = '10min'")
HORIZON = text("""
    SELECT s.next_xid, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS running
    FROM teleconference.audit_state s""")
UNSEALED = text("SELECT * FROM teleconference.unsealed_entries(:next, :limit)")
# What waits longer than this shows by its younger neighbours. `since` spares all other partitions.
LOOKED_BACK = timedelta(days=31)
WAITING = text("""
    SELECT e.at FROM teleconference.audit_entries e
    WHERE e.at >= :since AND e.xid >= (
        SELECT least(next_xid, pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
        FROM teleconference.audit_state)
      AND NOT EXISTS (
        SELECT FROM teleconference.audit_seals s WHERE s.entry_id = e.id AND s.entry_at = e.at)
    ORDER BY e.xid, e.id LIMIT 1""")
INSERT = insert(
    cast("Table", AuditSeal.__table__)
)  # of the table: as objects they would take twice as long
MOVE_ON = text("UPDATE teleconference.audit_state SET next_xid = :next WHERE next_xid <> :next")
# The last seal, or what a purge left in its place.
HEADS = text("""
    SELECT c.id AS organisation_id,
      coalesce(s.number, p.number, 0) AS number, coalesce(s.hash, p.hash, '') AS hash
    FROM unnest(CAST(:chains AS uuid[])) c (id)
    LEFT JOIN LATERAL (
      SELECT number, hash FROM teleconference.audit_seals
      WHERE organisation_id = c.id ORDER BY number DESC LIMIT 1) s ON true
    LEFT JOIN LATERAL (
      SELECT number, hash FROM teleconference.audit_checkpoints
      WHERE organisation_id = c.id ORDER BY purged_before DESC LIMIT 1) p ON true""")
# From one chain to the next, without reading all between.
CHAINS = text("""
    WITH RECURSIVE chain AS (
      (SELECT organisation_id FROM teleconference.audit_seals ORDER BY organisation_id LIMIT 1)
      UNION ALL
      SELECT (SELECT s.organisation_id FROM teleconference.audit_seals s
              WHERE s.organisation_id > chain.organisation_id ORDER BY 1 LIMIT 1)
      FROM chain WHERE chain.organisation_id IS NOT NULL)
    SELECT organisation_id FROM chain WHERE organisation_id IS NOT NULL
    UNION SELECT DISTINCT organisation_id FROM teleconference.audit_checkpoints ORDER BY 1""")


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain; number 0 and an empty hash before its first seal."""

    number: int = 0
    hash: bytes = b""


@dataclass(slots=True)
class Seal:
    """A seal in the making."""

    organisation_id: UUID
    number: int
    entry_id: UUID
    entry_at: datetime
    proof: bytes
    is_genuine: bool | None
    key_id: str = ""
    hash: bytes = b""

    def values(self) -> dict[str, Any]:
        """Return it as a row."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one batch led to."""

    entries: int
    heads: Mapping[UUID, Head]
    forged: Sequence[UUID]


def seal(db: Session, keys: AuditKeys, *, limit: int = BATCH) -> Sealed:
    """Seal some entries, unless another sealer is at it.

    The transaction must see all organisations. If it dies, nothing of it was done.
    """
    if not db.scalar(LOCK, {"key": SEAL_LOCK}):
        return Sealed(0, {}, ())
    db.execute(PATIENCE)
    state = db.execute(HORIZON).one()
    # Smaller numbers than we have seen: another cluster, where counting began anew.
    start = 0 if state.next_xid > state.running else state.next_xid
    entries = db.execute(UNSEALED, {"next": start, "limit": limit}).all()
    heads = heads_of(db, {_chain_of(entry) for entry in entries})
    seals = [_seal(entry, heads, keys) for entry in entries]
    if seals:
        db.execute(INSERT, [one.values() for one in seals])
    # All before `running` is decided; from there on, transactions may still commit.
    is_all = len(entries) < limit
    db.execute(MOVE_ON, {"next": state.running if is_all else entries[-1].xid})
    forged = [one.entry_id for one in seals if one.is_genuine is False]
    return Sealed(len(seals), heads, forged)


def waits_for_s(db: Connection, *, now: datetime) -> float:
    """Return for how many seconds the entry that is next has waited for its seal."""
    at: datetime | None = db.scalar(WAITING, {"since": now - LOOKED_BACK})
    return 0.0 if at is None else max(0.0, (now - at).total_seconds())


def heads_of(db: Session, chains: set[UUID] | Sequence[UUID]) -> dict[UUID, Head]:
    """Return the ends of these chains."""
    rows = db.execute(HEADS, {"chains": [str(chain) for chain in chains]}).all()
    return {row.organisation_id: Head(row.number, bytes(row.hash)) for row in rows}


def all_chains(db: Session) -> Sequence[UUID]:
    """Return every organisation that has a chain, and `NOBODY` if there is one."""
    return db.execute(CHAINS).scalars().all()


def _chain_of(entry: Any) -> UUID:
    return entry.organisation_id or NOBODY


def _seal(entry: Any, heads: dict[UUID, Head], keys: AuditKeys) -> Seal:
    """Put the entry at the end of its chain. One whose proof is wrong is sealed all the same, so
    that it stays on record, and marked."""
    chain = _chain_of(entry)
    head = heads[chain]
    made = Seal(chain, head.number + 1, entry.id, entry.at, bytes(entry.proof), None)
    if keys.knows(entry.key_id):
        made.is_genuine = keys.approves(entry.key_id, content_of_row(entry), entry.proof)
    made.key_id, made.hash = keys.prove(content_of_seal(head.hash, made))
    heads[chain] = Head(made.number, made.hash)
    return made
