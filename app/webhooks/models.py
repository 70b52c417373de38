"""Who wants to hear of events, and what each of them was sent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class WebhookSubscription(Base):
    """An address of the hospital that receives events, signed."""

    __tablename__ = "webhook_subscriptions"
    __table_args__ = (
        UniqueConstraint("organisation_id", "url"),
        CheckConstraint(
            "pause_reason IN ('requested', 'failing') AND paused_at IS NOT NULL"
            " OR pause_reason IS NULL AND paused_at IS NULL",
            name="pause_reason",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    url: Mapped[str]
    # Types and patterns like `participant.*`; empty: all.
    event_types: Mapped[list[str]]
    # Of events about a person only these roles; empty: all.
    roles: Mapped[list[str]] = mapped_column(server_default=text("'[]'::jsonb"))
    secret: Mapped[bytes] = mapped_column(LargeBinary)  # encrypted with MASTER_KEYS
    # Signs beside the new one while receivers change over.
    previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_secret_until: Mapped[datetime | None]
    is_active: Mapped[bool]
    # While paused deliveries are made and wait. Why: requested, or failing for days.
    paused_at: Mapped[datetime | None]
    pause_reason: Mapped[str | None]
    failing_since: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]


class WebhookDelivery(Base):
    """One event on its way to one subscription."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("subscription_id", "event_id"),
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
        Index(
            "ix_webhook_deliveries_pending",
            "subscription_id",
            "session_id",
            "sequence",
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_webhook_deliveries_due",
            "subscription_id",
            "next_attempt_at",
            "session_id",
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_webhook_deliveries_event_id", "event_id"),
        Index("ix_webhook_deliveries_page", "subscription_id", "created_at", "id"),
        # Hopefully few among millions.
        Index(
            "ix_webhook_deliveries_failed_page",
            "subscription_id",
            "created_at",
            "id",
            postgresql_where=text("state = 'failed'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    subscription_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.webhook_subscriptions.id")
    )
    event_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.events.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    sequence: Mapped[int]
    state: Mapped[str]
    # Every claim; only those that ended in a refusal or silence count towards giving up.
    attempts: Mapped[int] = mapped_column(server_default="0")
    failures: Mapped[int] = mapped_column(server_default="0")
    # Due when this has passed; a claim moves it by the lease, so a dead worker's claim runs out.
    next_attempt_at: Mapped[datetime]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    last_attempt_at: Mapped[datetime | None]
    last_duration_ms: Mapped[int | None]
    # How often it was asked for again.
    redeliveries: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
