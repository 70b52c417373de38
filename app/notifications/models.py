"""Messages to people."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class Notification(Base):
    """One message to one participant about one occasion over one channel. It holds no address and
    no link: both are read when it is sent. Its id is what receivers know a repeat by."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("participant_id", "kind", "occasion", "channel"),
        CheckConstraint("state IN ('pending', 'sent', 'failed', 'dropped')", name="state"),
        CheckConstraint("channel IN ('email', 'sms', 'service')", name="channel"),
        Index(
            "ix_notifications_due",
            "next_attempt_at",
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_notifications_event_id", "event_id"),
        Index("ix_notifications_page", "session_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    event_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.events.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    participant_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.participants.id"))
    kind: Mapped[str]
    # What it is about, such as one planned start and how long before it; see `planning`.
    occasion: Mapped[str]
    channel: Mapped[str]
    state: Mapped[str]
    # Every claim; only those that ended in a refusal or silence count towards giving up.
    attempts: Mapped[int] = mapped_column(server_default="0")
    failures: Mapped[int] = mapped_column(server_default="0")
    # When it was meant to leave; `next_attempt_at` moves on with every claim.
    due_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
