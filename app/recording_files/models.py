"""What recorders left: each file of a recording, the parts it arrives in, and what it is."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.recording_files.states import State


class RecordingFile(Base):
    """One file that a recorder left. A recording has several if another recorder took over.

    An orphan is of no recording that we know, and perhaps of no organisation: such rows are seen by
    the service itself alone.
    """

    __tablename__ = "recording_files"
    __table_args__ = (
        CheckConstraint(
            "state IN ('arriving', 'processing', 'available', 'withheld', 'orphaned', 'failed',"
            " 'deleted')",
            name="state",
        ),
        CheckConstraint("received_bytes BETWEEN 0 AND size_bytes", name="received"),
        CheckConstraint("recording_id IS NULL OR organisation_id IS NOT NULL", name="owned"),
        CheckConstraint(
            "recording_id IS NOT NULL"
            " OR state IN ('arriving', 'processing', 'orphaned', 'deleted')",
            name="orphan_is_shown_to_nobody",
        ),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        # How a recorder names it: a second call about it is about this one.
        Index("ix_recording_files_named", "folder", "name", unique=True),
        Index("ix_recording_files_recording", "recording_id", "created_at", "id"),
        Index("ix_recording_files_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        # For the foreign keys, when a session is forgotten.
        *(
            Index(f"ix_recording_files_{name}", name, postgresql_where=text(f"{name} IS NOT NULL"))
            for name in ("content_id", "playable_id", "poster_id")
        ),
        Index(
            "ix_recording_files_orphans",
            "created_at",
            "id",
            postgresql_where=text("recording_id IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("teleconference.organisations.id")
    )
    recording_id: Mapped[UUID | None] = mapped_column(ForeignKey("teleconference.recordings.id"))
    # The recorder's folder, which is Jitsi's name of the recording, and the file in it.
    folder: Mapped[str]
    name: Mapped[str]
    state: Mapped[str]
    # What it waits for, or why it failed or is withheld.
    reason: Mapped[str | None]
    # Codes of what was found to be odd about it, in the order they were found.
    findings: Mapped[list[str]] = mapped_column(server_default=text("'[]'::jsonb"))
    # The recorder did not end in order, so its end may be missing.
    is_partial: Mapped[bool]
    # As the recorder says; the bytes that came are held against it. Empty once it is deleted.
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    received_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # Who the recorder saw in the end: ids as its metadata has them. Names are not taken over.
    seen: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    # As it was recorded; what a player gets, if that is another file; a picture of it.
    content_id: Mapped[UUID | None] = mapped_column(ForeignKey("teleconference.stored_files.id"))
    playable_id: Mapped[UUID | None] = mapped_column(ForeignKey("teleconference.stored_files.id"))
    poster_id: Mapped[UUID | None] = mapped_column(ForeignKey("teleconference.stored_files.id"))
    media_type: Mapped[str | None]
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    width: Mapped[int | None]
    height: Mapped[int | None]
    video_codec: Mapped[str | None]
    audio_codec: Mapped[str | None]
    # Per cent of the work on it that is done.
    progress: Mapped[int] = mapped_column(server_default="0")
    # When a worker has to act, how often one began, and how often of that it was not an outage.
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    tries: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]
    # When it was stored as the recorder had it, so that the recorder need not keep it.
    kept_at: Mapped[datetime | None]
    ready_at: Mapped[datetime | None]

    @property
    def shown_id(self) -> UUID | None:
        """Which stored file a player gets; None while nobody may see it."""
        return (self.playable_id or self.content_id) if self.state == State.AVAILABLE else None


class RecordingPart(Base):
    """A stretch of a file as it arrived; destroyed once the whole file is stored."""

    __tablename__ = "recording_parts"
    __table_args__ = (Index("ix_recording_parts_stored_id", "stored_id"),)

    file_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.recording_files.id"), primary_key=True
    )
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    organisation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("teleconference.organisations.id")
    )
    stored_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.stored_files.id"))
