"""The outbox: what happened, in the order it happened in each session."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class Event(Base):
    """A fact, written in the transaction that made it true and handed on by the relay."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("session_id", "sequence"),
        Index("ix_events_unrelayed", "id", postgresql_where=text("relayed_at IS NULL")),
        Index("ix_events_page", "organisation_id", "created_at", "id"),
        Index(
            "ix_events_position",
            "position",
            unique=True,
            postgresql_where=text("position IS NOT NULL"),
        ),
        Index(
            "ix_events_feed",
            "organisation_id",
            "position",
            postgresql_where=text("position IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    # Counts from 1 without gaps in each session; receivers order and find losses by it.
    sequence: Mapped[int]
    type: Mapped[str]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    relayed_at: Mapped[datetime | None]
    # The place in the feed, given by the relay: what is after it became visible after it.
    position: Mapped[int | None] = mapped_column(BigInteger)
