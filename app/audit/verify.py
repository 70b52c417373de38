"""Follows the chains from their first entry to their last, and finds what does not belong.

It reads, in one snapshot and in batches: ten million entries need no more memory than ten thousand.
A role that may only read the audit tables is enough.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from app.audit.anchors import Anchors, Chain
from app.audit.proof import (
    NOBODY,
    AuditKeys,
    content_of_checkpoint,
    content_of_row,
    content_of_seal,
)
from app.audit.sealer import CHAINS

BATCH = 2000
# A relay that runs seals an entry within seconds; in what waits longer a deletion goes unnoticed.
SEALED_WITHIN = timedelta(minutes=1)

# Along the indexes, whatever the statistics say, and for as long as it takes.
PLAN = text("""
    SELECT set_config('statement_timeout', '0', true), set_config('jit', 'off', true),
      set_config('teleconsult.organisation_id', '*', true)""")
NESTED = text("""
    SELECT set_config('enable_hashjoin', :switch, true),
      set_config('enable_mergejoin', :switch, true), set_config('enable_seqscan', :switch, true)""")
CHECKPOINTS = text("""
    SELECT * FROM teleconference.audit_checkpoints WHERE organisation_id = :chain
    ORDER BY purged_before DESC""")
SEALS = text("""
    SELECT s.organisation_id AS chain, s.number, s.entry_id, s.entry_at, s.proof AS sealed_proof,
      s.is_genuine, s.key_id AS seal_key_id, s.hash, e.*
    FROM (SELECT * FROM teleconference.audit_seals
          WHERE organisation_id = :chain AND number > :after ORDER BY number LIMIT :limit) s
    LEFT JOIN teleconference.audit_entries e ON e.id = s.entry_id AND e.at = s.entry_at
    ORDER BY s.number""")
SAME_ID = text("SELECT true FROM teleconference.audit_entries WHERE id = :id LIMIT 1")
UNSEALED = """
    SELECT e.* FROM teleconference.audit_entries e
    LEFT JOIN teleconference.audit_seals s ON s.entry_id = e.id AND s.entry_at = e.at
    WHERE s.entry_id IS NULL"""
OF_CHAIN = " AND coalesce(e.organisation_id, '00000000-0000-0000-0000-000000000000') = :chain"
COUNT = text("SELECT max(number) FROM teleconference.audit_seals WHERE organisation_id = :chain")


class What(StrEnum):
    """How an entry is broken."""

    ALTERED = "altered"  # its content, its proof, or the seal over it
    MISSING = "missing"  # sealed once, and no longer there
    INSERTED = "inserted"  # made without our key
    REORDERED = "reordered"  # genuine, and not in its place
    TRUNCATED = "truncated"  # an anchor knows a chain that was longer, or another
    UNKNOWN_KEY = "unknown_key"  # its key is not among AUDIT_KEYS, so nothing can be said


@dataclass(frozen=True, slots=True)
class Broken:
    """The first entry that does not belong. What of it is not known is None."""

    what: What
    organisation_id: UUID | None
    entry_id: UUID | None
    number: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `unsealed` entries are proved, but have no place in a chain yet."""

    chains: int
    entries: int
    purged: int
    unsealed: int
    oldest_unsealed: datetime | None
    broken: Broken | None

    def is_late(self, now: datetime) -> bool:
        """Tell whether an entry has waited longer for its seal than it should."""
        oldest = self.oldest_unsealed
        return oldest is not None and now - oldest > SEALED_WITHIN

    def shown(self, now: datetime) -> dict[str, Any]:
        """Return it for JSON."""
        is_late = self.is_late(now)
        return {"ok": self.broken is None and not is_late, "late": is_late, **asdict(self)}


class _Found(Exception):
    """Ends the walk at the first broken entry."""

    def __init__(self, broken: Broken) -> None:
        self.broken = broken


Progress = Callable[[int], None]


def verify(
    db: Connection,
    keys: AuditKeys,
    *,
    organisation_id: UUID | None = None,
    anchors: Anchors | None = None,
    progress: Progress = lambda _count: None,
) -> Verdict:
    """Verify all chains, or that of one organisation, and the entries that are in none yet.

    Args:
        db: in a transaction of REPEATABLE READ, so that it is one picture of the log.
        progress: told how many entries more were verified.
    """
    walk = _Walk(db, keys, anchors or Anchors(), progress)
    db.execute(PLAN)
    broken = None
    try:
        for chain in chains_of(db, walk.anchors, organisation_id):
            walk.follow(chain)
        walk.prove_unsealed(organisation_id)
    except _Found as found:
        broken = found.broken
    return Verdict(
        walk.chains, walk.entries, walk.purged, walk.unsealed, walk.oldest_unsealed, broken
    )


def chains_of(db: Connection, anchors: Anchors, organisation_id: UUID | None) -> list[UUID]:
    """Return the chains to follow, also those that only an anchor still knows."""
    db.execute(PLAN)
    if organisation_id is not None:
        return [organisation_id]
    return sorted({*db.execute(CHAINS).scalars().all(), *anchors.chains})


def count(db: Connection, chains: list[UUID]) -> int:
    """Return about how many entries these chains have, to show how far a walk is."""
    db.execute(PLAN)
    return sum(db.scalar(COUNT, {"chain": chain}) or 0 for chain in chains)


class _Walk:
    """A walk along the chains, and what it met so far."""

    def __init__(
        self, db: Connection, keys: AuditKeys, anchors: Anchors, progress: Progress
    ) -> None:
        self._db = db
        self._keys = keys
        self.anchors = anchors
        self._progress = progress
        self.chains = self.entries = self.purged = self.unsealed = 0
        self.oldest_unsealed: datetime | None = None

    def follow(self, chain: UUID) -> None:
        """Follow one chain from its beginning, or from what a purge left of that."""
        anchored = self.anchors.chains.get(chain, Chain())
        number, hash_, before = self._start(chain, anchored)
        for seal in self._seals(chain, number):
            if seal.number != number + 1:
                self._break(What.MISSING, chain, None, number + 1)
            self._check_link(chain, hash_, seal)
            self._check_entry(chain, seal, before)
            number, hash_ = seal.number, bytes(seal.hash)
            if anchored.denies(number, hash_):
                self._break(What.TRUNCATED, chain, seal.entry_id, number)
        if anchored.last > number:
            self._break(What.TRUNCATED, chain, None, number + 1)
        self.chains += bool(number)

    def _start(self, chain: UUID, anchored: Chain) -> tuple[int, bytes, datetime | None]:
        newest = None
        for checkpoint in self._db.execute(CHECKPOINTS, {"chain": chain}):
            newest = newest or checkpoint
            self._require_key(checkpoint.key_id, chain, None, checkpoint.number)
            content = content_of_checkpoint(checkpoint)
            proved = self._keys.approves(checkpoint.key_id, content, checkpoint.proof)
            if not proved:
                self._break(What.ALTERED, chain, None, checkpoint.number)
            if anchored.denies(checkpoint.number, checkpoint.hash):
                self._break(What.TRUNCATED, chain, None, checkpoint.number)
        if newest is None:
            return 0, b"", None
        self.purged += newest.number
        return newest.number, bytes(newest.hash), newest.purged_before

    def _seals(self, chain: UUID, after: int) -> Iterator[Any]:
        self._db.execute(NESTED, {"switch": "off"})
        while True:
            values = {"chain": chain, "after": after, "limit": BATCH}
            rows = self._db.execute(SEALS, values).all()
            yield from rows
            self._progress(len(rows))
            if len(rows) < BATCH:
                break
            after = rows[-1].number

    def _check_link(self, chain: UUID, previous: bytes, seal: Any) -> None:
        """Does the seal follow from the one before it?"""
        self._require_key(seal.seal_key_id, chain, seal.entry_id, seal.number)
        content = content_of_seal(previous, _Link(seal))
        if self._keys.approves(seal.seal_key_id, content, seal.hash):
            return
        # An entry that is right in itself has been put into another's place.
        is_right = seal.id is not None and self._is_proved(seal)
        is_right = is_right and bytes(seal.proof) == bytes(seal.sealed_proof)
        what = What.REORDERED if is_right else What.ALTERED
        self._break(what, chain, seal.entry_id, seal.number)

    def _check_entry(self, chain: UUID, seal: Any, before: datetime | None) -> None:
        """Is the entry there, and as it was when it was sealed?"""
        where = (chain, seal.entry_id, seal.number)
        if seal.id is None:
            if before is not None and seal.entry_at < before:
                self.purged += 1
                return
            moved = self._db.scalar(SAME_ID, {"id": seal.entry_id})
            self._break(What.ALTERED if moved else What.MISSING, *where)
        if seal.is_genuine is False:
            self._break(What.INSERTED, *where)
        self._require_key(seal.key_id, *where)
        if bytes(seal.proof) != bytes(seal.sealed_proof) or not self._is_proved(seal):
            self._break(What.ALTERED, *where)
        self.entries += 1

    def prove_unsealed(self, organisation_id: UUID | None) -> None:
        """Prove the entries that are in no chain: those of the last second, and intruders."""
        self._db.execute(NESTED, {"switch": "on"})
        query = text(UNSEALED + (OF_CHAIN if organisation_id else ""))
        values = {"chain": organisation_id} if organisation_id else {}
        options = {"stream_results": True, "yield_per": BATCH}
        for entry in self._db.execute(query, values, execution_options=options):
            where = (entry.organisation_id or NOBODY, entry.id, None)
            self._require_key(entry.key_id, *where)
            if not self._is_proved(entry):
                self._break(What.INSERTED, *where)
            self.unsealed += 1
            self.oldest_unsealed = min(entry.at, self.oldest_unsealed or entry.at)

    def _is_proved(self, row: Any) -> bool:
        return self._keys.approves(row.key_id, content_of_row(row), row.proof)

    def _require_key(
        self, key_id: str, chain: UUID, entry_id: UUID | None, number: int | None
    ) -> None:
        if not self._keys.knows(key_id):
            self._break(What.UNKNOWN_KEY, chain, entry_id, number)

    def _break(self, what: What, chain: UUID, entry_id: UUID | None, number: int | None) -> None:
        owner = None if chain == NOBODY else chain
        raise _Found(Broken(what, owner, entry_id, number))


class _Link:
    """The columns of a seal in a row that also holds its entry."""

    __slots__ = ("entry_at", "entry_id", "is_genuine", "number", "organisation_id", "proof")

    def __init__(self, row: Any) -> None:
        self.organisation_id = row.chain
        self.number = row.number
        self.entry_id = row.entry_id
        self.entry_at = row.entry_at
        self.proof = row.sealed_proof
        self.is_genuine = row.is_genuine
