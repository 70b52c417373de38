"""The teleconference session. The class is CareSession because `db` is a session too."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text, true
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class CareSession(Base):
    """One consultation or emergency: its plan, its room, and where it stands."""

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint("kind IN ('consultation', 'emergency')", name="kind"),
        CheckConstraint("state IN ('scheduled', 'active', 'ended', 'cancelled')", name="state"),
        CheckConstraint("capacity BETWEEN 1 AND 100", name="capacity"),
        CheckConstraint("recording IN ('none', 'planned')", name="recording"),
        CheckConstraint("planned_end > planned_start", name="plan_in_order"),
        Index("ix_sessions_page", "organisation_id", "created_at", "id"),
        Index("ix_sessions_reference", "organisation_id", "reference"),
        Index("ix_sessions_state_page", "organisation_id", "state", "created_at", "id"),
        # Few sessions are emergencies, and who looks for them should not read all others.
        Index(
            "ix_sessions_emergency_page",
            "organisation_id",
            "created_at",
            "id",
            postgresql_where=text("kind = 'emergency'"),
        ),
        Index(
            "ix_sessions_emergency_state_page",
            "organisation_id",
            "state",
            "created_at",
            "id",
            postgresql_where=text("kind = 'emergency'"),
        ),
        # What may be past its time (`retention`).
        Index(
            "ix_sessions_ended",
            "organisation_id",
            "ended_at",
            postgresql_where=text("ended_at IS NOT NULL"),
        ),
        Index(
            "ix_sessions_untrimmed",
            "organisation_id",
            "ended_at",
            postgresql_where=text("ended_at IS NOT NULL AND trimmed_at IS NULL"),
        ),
        Index("ix_sessions_due", "due_at", "id", postgresql_where=text("due_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    kind: Mapped[str]
    state: Mapped[str]
    # The hospital's own id of the visit or case: opaque to us, never a name.
    reference: Mapped[str | None]
    room_name: Mapped[str] = mapped_column(unique=True)
    capacity: Mapped[int]
    # The kind of its appointment, if it has one: the organisation may have rules for it.
    visit_type: Mapped[str | None]
    # Whether somebody who may not enter without a host waits until a moderator admits them.
    waiting_room: Mapped[bool] = mapped_column(server_default=true())
    # Whether everybody is asked on the way in if they may be recorded.
    recording: Mapped[str] = mapped_column(server_default="none")
    planned_start: Mapped[datetime | None]
    planned_end: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]
    # When it was told that people are inside past the plan; told once.
    overrun_at: Mapped[datetime | None]
    # When a rule about its end may next apply (`visits.sweep`); empty once it is over.
    due_at: Mapped[datetime | None]
    # When contacts and messages were removed, because nothing needs them any more (`retention`).
    trimmed_at: Mapped[datetime | None]
    event_sequence: Mapped[int] = mapped_column(server_default="0")
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]
