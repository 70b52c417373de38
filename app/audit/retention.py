"""Partitions ahead of time, and the end of entries that were kept for as long as they must be."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.models import AuditCheckpoint
from app.audit.proof import AuditKeys, content_of_checkpoint
from app.audit.sealer import LOCK, SEAL_LOCK, Head, all_chains

ENSURE = text("SELECT teleconference.ensure_audit_partitions()")
DUE = text("SELECT teleconference.audit_purge_due()")
PURGE = text("SELECT teleconference.purge_audit(:before)")
# The last seal of the beginning that goes: the chain may go back and forth a little in time, and
# what stands behind a younger entry stays.
FIRST_KEPT = text("""
    SELECT number FROM teleconference.audit_seals
    WHERE organisation_id = :chain AND entry_at >= :before ORDER BY number LIMIT 1""")
LAST_GONE = text("""
    SELECT number, hash FROM teleconference.audit_seals
    WHERE organisation_id = :chain AND number < :first ORDER BY number DESC LIMIT 1""")
FORMER = text("""
    SELECT number, hash FROM teleconference.audit_checkpoints
    WHERE organisation_id = :chain ORDER BY purged_before DESC LIMIT 1""")
BEHIND_ALL = 2**62


def ensure_partitions(db: Session) -> None:
    """Have the database make the partitions of this month and the next three."""
    db.execute(ENSURE)


def purge(db: Session, keys: AuditKeys, *, now: datetime) -> datetime | None:
    """Delete the entries of months that are older than entries are kept, if there are any.

    Each chain gets a checkpoint first: number and hash of the last seal that goes, proved with our
    key. From there on `verify` follows what is left. How long entries are kept, the database
    decides; see `audit_state` in migration 0021.

    Returns:
        the moment before which entries are gone, or None when nothing was to go.
    """
    before: datetime | None = db.scalar(DUE)
    if before is None or not db.scalar(LOCK, {"key": SEAL_LOCK}):
        return None
    for chain in all_chains(db):
        made = insert(AuditCheckpoint).values(**_checkpoint(db, keys, chain, before))
        # There is one when an entry of that time came late; what it stands for is the same.
        db.execute(made.on_conflict_do_nothing())
    db.execute(PURGE, {"before": before})
    audit.record(
        db,
        action="audit.purged",
        actor=audit.SERVICE,
        now=now,
        organisation_id=None,
        detail={"before": before.isoformat()},
    )
    return before


def _checkpoint(db: Session, keys: AuditKeys, chain: UUID, before: datetime) -> dict[str, Any]:
    first = db.scalar(FIRST_KEPT, {"chain": chain, "before": before}) or BEHIND_ALL
    gone = db.execute(LAST_GONE, {"chain": chain, "first": first}).first()
    last = gone or db.execute(FORMER, {"chain": chain}).first() or Head()
    values = {
        "organisation_id": chain,
        "purged_before": before,
        "number": last.number,
        "hash": bytes(last.hash),
    }
    key_id, proof = keys.prove(content_of_checkpoint(SimpleNamespace(**values)))
    return {**values, "key_id": key_id, "proof": proof}
