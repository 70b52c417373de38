"""Messages to people."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class Notification(Base):
    """One message to one participant because of one event. It holds no address and no link:
    both are read when it is sent."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("event_id", "participant_id", "kind"),
        CheckConstraint("state IN ('pending', 'sent', 'failed', 'dropped')", name="state"),
        Index(
            "ix_notifications_due",
            "next_attempt_at",
            postgresql_where=text("state = 'pending'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    event_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.events.id"))
    participant_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.participants.id"))
    kind: Mapped[str]
    state: Mapped[str]
    # Every claim; only those that ended in a refusal or silence count towards giving up.
    attempts: Mapped[int] = mapped_column(server_default="0")
    failures: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
