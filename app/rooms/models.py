"""What was told by Prosody, and what it must still be told."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class RoomEvent(Base):
    """The id of a room event that was taken in: a repeat changes nothing."""

    __tablename__ = "room_events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    received_at: Mapped[datetime] = mapped_column(index=True)


class AvModeration(Base):
    """Whose microphone and camera may be on in a session's room; no row: everybody's."""

    __tablename__ = "av_moderation"

    session_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.sessions.id"), primary_key=True
    )
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    audio: Mapped[bool]
    video: Mapped[bool]
    # Ids of participants who may all the same.
    audio_allowed: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    video_allowed: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    version: Mapped[int] = mapped_column(server_default="1")
    updated_at: Mapped[datetime]


class RoomCommand(Base):
    """An order to the live room, kept until the room confirmed it or is gone."""

    __tablename__ = "room_commands"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'confirmed', 'failed')", name="state"),
        Index(
            "ix_room_commands_pending",
            "next_attempt_at",
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_room_commands_session_id", "session_id"),
        # What became of an order to stop a recording is asked until it is known.
        Index(
            "ix_room_commands_record_stop",
            "session_id",
            postgresql_where=text("name = 'record_stop'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    name: Mapped[str]
    args: Mapped[dict[str, Any]]
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime]
    result: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
