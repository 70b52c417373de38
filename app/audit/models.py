"""Who did what, when, and whether it was allowed. Rows are only ever inserted."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class AuditEntry(Base):
    """One act or one refusal. `organisation_id` is empty for a stranger we could not place.

    Partitioned by month of `at`. Foreign keys there are none: an entry outlives what it is about,
    and each would cost a look at another table, and a lock there, at every join.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_page", "organisation_id", "at", "id"),
        Index("ix_audit_entries_action", "organisation_id", "action", "at", "id"),
        Index("ix_audit_entries_actor", "actor_id", "at", "id"),
        Index("ix_audit_entries_session", "session_id", "at", "id"),
        Index("ix_audit_entries_participant", "participant_id", "at", "id"),
        Index(
            "ix_audit_entries_refused",
            "organisation_id",
            "at",
            "id",
            postgresql_where=text("outcome = 'refused'"),
        ),
        Index(
            "ix_audit_entries_kind",
            "organisation_id",
            "actor_kind",
            "at",
            "id",
            postgresql_where=text("actor_kind NOT IN ('participant', 'room')"),
        ),
        Index("ix_audit_entries_sealing", "xid", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID | None]
    actor_kind: Mapped[str]  # see app.audit.service.Actor
    actor_id: Mapped[str | None]
    action: Mapped[str]
    outcome: Mapped[str]  # done, refused
    session_id: Mapped[UUID | None]
    participant_id: Mapped[UUID | None]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    # A keyed hash of all above, and which of AUDIT_KEYS made it.
    key_id: Mapped[str]
    proof: Mapped[bytes]
    # The transaction, by which the sealer finds what is new. Nothing is proved by it.
    xid: Mapped[int] = mapped_column(
        BigInteger, server_default=text("pg_current_xact_id()::text::bigint")
    )


class AuditSeal(Base):
    """An entry's place in the chain of its organisation: numbered without gaps, and each hash is
    made of the one before. `organisation_id` is all zeros for entries that have none."""

    __tablename__ = "audit_seals"
    __table_args__ = (UniqueConstraint("entry_id", "entry_at"),)

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    entry_id: Mapped[UUID]
    entry_at: Mapped[datetime]
    proof: Mapped[bytes]  # the entry's, so that the chain can be followed past purged entries
    # Whether the entry's proof was right when it was sealed; null: its key was not known then.
    is_genuine: Mapped[bool | None]
    key_id: Mapped[str]
    hash: Mapped[bytes]


class AuditCheckpoint(Base):
    """What a purge leaves of a chain's beginning: number and hash of the last seal it took."""

    __tablename__ = "audit_checkpoints"

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    purged_before: Mapped[datetime] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes]
    key_id: Mapped[str]
    proof: Mapped[bytes]


class AuditState(Base):
    """One row: how far the sealer is, and how long entries are kept (which the owner decides)."""

    __tablename__ = "audit_state"

    one: Mapped[bool] = mapped_column(primary_key=True)
    next_xid: Mapped[int] = mapped_column(BigInteger)
    retention_days: Mapped[int]
