"""People in a session, their links, and when they were really in the room."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class Participant(Base):
    """One person's part in one session."""

    __tablename__ = "participants"
    __table_args__ = (
        CheckConstraint(
            "role IN ('doctor', 'nurse', 'patient', 'paramedic', 'interpreter', 'relative',"
            " 'observer')",
            name="role",
        ),
        CheckConstraint("state IN ('invited', 'joined', 'left', 'removed')", name="state"),
        Index("ix_participants_session", "session_id", "created_at", "id"),
        Index(
            "ix_participants_removed_until",
            "removed_until",
            postgresql_where=text("state = 'removed' AND removed_until IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    role: Mapped[str]
    state: Mapped[str]
    display_name: Mapped[str]
    email: Mapped[str | None]
    locale: Mapped[str]
    # The hospital's own id of the person; opaque to us.
    reference: Mapped[str | None]
    # {permission: bool}: what was granted to or taken from this one person.
    permissions: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    # How to reach them: E.164; channels in the order of preference; hours of rest as HH:MM in a
    # time zone of the tz database. Null: as usual.
    phone: Mapped[str | None]
    channels: Mapped[list[str] | None]
    quiet_from: Mapped[str | None]
    quiet_to: Mapped[str | None]
    timezone: Mapped[str | None]
    unsubscribed: Mapped[list[str]] = mapped_column(server_default=text("'[]'::jsonb"))
    removed_at: Mapped[datetime | None]
    # Put out for a time: from then on the link opens the door again. None: for good.
    removed_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]


class Link(Base):
    """A personal link. Only the hash of its code is stored; at most one is live per person."""

    __tablename__ = "links"
    __table_args__ = (
        Index(
            "ix_links_one_live_per_participant",
            "participant_id",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
        Index("ix_links_participant_id", "participant_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    participant_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.participants.id"))
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    # Which LINK_KEYS entry the code was derived with, so that a message can carry it again.
    key_id: Mapped[str]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Waiting(Base):
    """One person's way through the waiting room of their session; nobody without a row waits.

    Once admitted they stay so, until somebody denies them or removes them.
    """

    __tablename__ = "waiting"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'admitted', 'denied')", name="state"),
        Index("ix_waiting_queue", "session_id", "state", "since", "participant_id"),
    )

    participant_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.participants.id"), primary_key=True
    )
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    state: Mapped[str]
    since: Mapped[datetime]
    # Each sign of life moves it on; when it has passed, the person is not in the queue.
    present_until: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by_kind: Mapped[str | None]
    decided_by: Mapped[str | None]
    # What a denied person is told; for their eyes only.
    message: Mapped[str | None]


class Attendance(Base):
    """One stay of one connection in the room, as Prosody saw it."""

    __tablename__ = "attendance"
    __table_args__ = (
        Index(
            "ix_attendance_one_open_per_connection",
            "participant_id",
            "connection",
            unique=True,
            postgresql_where=text("left_at IS NULL"),
        ),
        Index("ix_attendance_participant_id", "participant_id"),
        Index("ix_attendance_session", "session_id", "joined_at"),
        Index("ix_attendance_open", "source", postgresql_where=text("left_at IS NULL")),
        Index(
            "ix_attendance_uncounted",
            "id",
            postgresql_where=text("left_at IS NOT NULL AND NOT is_counted"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    participant_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.participants.id"))
    is_host: Mapped[bool]
    # The Prosody run and the connection: opaque, no address.
    source: Mapped[str]
    connection: Mapped[str]
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    leave_reason: Mapped[str | None]
    # Already in the totals (app.attendance).
    is_counted: Mapped[bool] = mapped_column(server_default="false")
