"""Break-glass: who entered an emergency uninvited, and what was said about it afterwards."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class EmergencyEntry(Base):
    """One uninvited entry. It waits for its review until somebody signs it off."""

    __tablename__ = "emergency_entries"
    __table_args__ = (
        CheckConstraint("outcome IN ('justified', 'unjustified')", name="outcome"),
        CheckConstraint("(reviewed_at IS NULL) = (outcome IS NULL)", name="reviewed_with_outcome"),
        Index("ix_emergency_entries_page", "organisation_id", "created_at", "id"),
        Index(
            "ix_emergency_entries_queue",
            "organisation_id",
            "created_at",
            "id",
            postgresql_where=text("reviewed_at IS NULL"),
        ),
        Index("ix_emergency_entries_session", "session_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    participant_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.participants.id"), unique=True
    )
    # Somebody's own words, which may speak of a patient: only whoever reviews may read them, and
    # neither the audit log nor an event repeats them.
    reason: Mapped[str]
    entered_by: Mapped[str]
    created_at: Mapped[datetime]
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[str | None]
    outcome: Mapped[str | None]
    note: Mapped[str | None]
