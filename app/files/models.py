"""Files shared in a session: what they are, the parts they arrive in, and who looked at them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class SessionFile(Base):
    """One file of a session. Its bytes are stored files (app.storage): parts while it is uploaded
    and checked, then the content and perhaps a preview."""

    __tablename__ = "session_files"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('image', 'xray', 'document', 'prescription', 'report')", name="kind"
        ),
        CheckConstraint(
            "state IN ('uploading', 'scanning', 'available', 'refused', 'quarantined', 'deleted')",
            name="state",
        ),
        CheckConstraint(
            "(kind = 'prescription') = (author_id IS NOT NULL)", name="prescription_has_author"
        ),
        CheckConstraint("received_bytes BETWEEN 0 AND size_bytes", name="received"),
        Index("ix_session_files_session", "session_id", "created_at", "id"),
        Index("ix_session_files_jitsi", "session_id", "jitsi_id", unique=True),
        Index("ix_session_files_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index(
            "ix_session_files_kept",
            "organisation_id",
            "created_at",
            "id",
            postgresql_where=text("state <> 'deleted'"),
        ),
        # For the foreign keys, when a session is forgotten.
        *(
            Index(f"ix_session_files_{name}", name, postgresql_where=text(f"{name} IS NOT NULL"))
            for name in ("author_id", "supersedes_id", "content_id", "preview_id")
        ),
        # A prescription gives way to one other.
        Index(
            "ix_session_files_superseded_once",
            "supersedes_id",
            unique=True,
            postgresql_where=text("state IN ('uploading', 'scanning', 'available')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    # What Jitsi's client calls it, if it was shared there; unique within the session alone.
    jitsi_id: Mapped[UUID | None]
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    kind: Mapped[str]
    state: Mapped[str]
    # As people see it; it may speak of a patient, so neither events nor the audit log repeat it.
    # Empty once the file is deleted.
    name: Mapped[str]
    # As it was announced, and what the content truly is once it was looked at.
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    media_type: Mapped[str | None]
    # Who shared it: somebody in the session, or a caller of the API.
    shared_by_kind: Mapped[str]
    shared_by: Mapped[str]
    # Who answers for a prescription.
    author_id: Mapped[UUID | None] = mapped_column(ForeignKey("teleconference.participants.id"))
    supersedes_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("teleconference.session_files.id")
    )
    content_id: Mapped[UUID | None] = mapped_column(ForeignKey("teleconference.stored_files.id"))
    preview_id: Mapped[UUID | None] = mapped_column(ForeignKey("teleconference.stored_files.id"))
    # Why it was refused, or what it still waits for: a code of docs/errors.md.
    reason: Mapped[str | None]
    # What the malware scanner called it.
    finding: Mapped[str | None]
    # When somebody has to act: to check it, or to give up an upload that nobody goes on with.
    due_at: Mapped[datetime | None]
    # How often it was claimed, which tells who has it; and how often without an outage in the way.
    attempts: Mapped[int] = mapped_column(server_default="0")
    tries: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]
    available_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


class FilePart(Base):
    """A stretch of a file as it arrived; destroyed once the file was checked."""

    __tablename__ = "file_parts"
    __table_args__ = (Index("ix_file_parts_stored_id", "stored_id"),)

    file_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.session_files.id"), primary_key=True
    )
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    stored_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.stored_files.id"))


class FileView(Base):
    """That a person of the session opened a file; each time is in the audit log."""

    __tablename__ = "file_views"
    __table_args__ = (Index("ix_file_views_participant_id", "participant_id"),)

    file_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.session_files.id"), primary_key=True
    )
    participant_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.participants.id"), primary_key=True
    )
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
