"""What must not be deleted, because somebody may need it as evidence."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class LegalHold(Base):
    """A hold on everything of one session. While one is not released nothing of it is deleted,
    neither because its time has come nor because somebody asks for it."""

    __tablename__ = "legal_holds"
    __table_args__ = (
        CheckConstraint(
            "reason IN ('litigation', 'complaint', 'authority', 'incident', 'patient_request')",
            name="reason",
        ),
        CheckConstraint(
            "(released_at IS NULL) = (released_by_kind IS NULL)"
            " AND (released_at IS NULL) = (release_reason IS NULL)",
            name="released",
        ),
        CheckConstraint(
            "release_reason IN ('closed', 'limitation', 'mistake')", name="release_reason"
        ),
        Index("ix_legal_holds_session", "session_id", "created_at", "id"),
        Index("ix_legal_holds_page", "organisation_id", "created_at", "id"),
        # Few, and asked for before anything is deleted.
        Index(
            "ix_legal_holds_live",
            "session_id",
            postgresql_where=text("released_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    reason: Mapped[str]
    # The hospital's own file number; opaque to us, never a name.
    reference: Mapped[str | None]
    # Whether recordings of the session can be watched by link meanwhile.
    allows_playback: Mapped[bool] = mapped_column(server_default="false")
    placed_by_kind: Mapped[str]
    placed_by: Mapped[str | None]
    released_at: Mapped[datetime | None]
    released_by_kind: Mapped[str | None]
    released_by: Mapped[str | None]
    release_reason: Mapped[str | None]
    created_at: Mapped[datetime]
