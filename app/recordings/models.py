"""Recordings of sessions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class Recording(Base):
    """One recording, from the wish to have it to its end."""

    __tablename__ = "recordings"
    __table_args__ = (
        CheckConstraint(
            "state IN ('requested', 'starting', 'active', 'stopping', 'processing', 'available',"
            " 'failed', 'expired', 'deleted')",
            name="state",
        ),
        Index(
            "ix_recordings_one_live_per_session",
            "session_id",
            unique=True,
            postgresql_where=text("state IN ('requested', 'starting', 'active', 'stopping')"),
        ),
        Index(
            "ix_recordings_kept",
            "organisation_id",
            "created_at",
            "id",
            postgresql_where=text("state IN ('processing', 'available', 'failed')"),
        ),
        Index("ix_recordings_session_page", "session_id", "created_at", "id"),
        # Few: what waits for its file. And whose folder a recorder's file lies in.
        Index(
            "ix_recordings_processing",
            "changed_at",
            postgresql_where=text("state = 'processing'"),
        ),
        Index("ix_recordings_jitsi_session", "jitsi_session"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    state: Mapped[str]
    # Why it stands there: what it waits for, why it stopped, why it failed.
    reason: Mapped[str | None]
    requested_by_kind: Mapped[str]
    requested_by: Mapped[str | None]
    # Jitsi's name of it, which the recorder's folder has too.
    jitsi_session: Mapped[str | None]
    # When it is tried again, while it waits.
    next_attempt_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
    # When one of those who are in it took their consent back.
    withdrawn_at: Mapped[datetime | None]
    # When the keys of all its files were destroyed, and who did it.
    deleted_at: Mapped[datetime | None]
    deleted_by_kind: Mapped[str | None]
    deleted_by: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]
