"""Who did what, when, and whether it was allowed. Rows are only ever inserted."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class AuditEntry(Base):
    """One act or one refusal. `organisation_id` is empty for a stranger we could not place."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_page", "organisation_id", "at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("teleconference.organisations.id")
    )
    at: Mapped[datetime]
    actor_kind: Mapped[str]  # client, participant, room, operator, stranger
    actor_id: Mapped[str | None]
    action: Mapped[str]
    outcome: Mapped[str]  # done, refused
    session_id: Mapped[UUID | None]
    participant_id: Mapped[UUID | None]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
