"""What people agreed to, and the texts they were shown. Rows are only ever added."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class ConsentText(Base):
    """A text of an organisation's own, in one language. The newest version is the one that counts;
    before the first there is ours (`texts.json`), which is version 0."""

    __tablename__ = "consent_texts"
    __table_args__ = (
        UniqueConstraint("organisation_id", "purpose", "language", "version"),
        CheckConstraint("purpose IN ('recording')", name="purpose"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    purpose: Mapped[str]
    language: Mapped[str]
    version: Mapped[int]
    text: Mapped[str]
    sha256: Mapped[str]
    created_at: Mapped[datetime]


class Consent(Base):
    """One act in the ledger: a person was asked, or said something. Numbered per person and
    purpose, so that the order does not hang on clocks and a gap would show."""

    __tablename__ = "consents"
    __table_args__ = (
        UniqueConstraint("participant_id", "purpose", "number"),
        CheckConstraint("purpose IN ('recording')", name="purpose"),
        CheckConstraint("act IN ('asked', 'given', 'refused', 'withdrawn')", name="act"),
        CheckConstraint(
            "channel IN ('page', 'link', 'room', 'api', 'paper', 'phone')", name="channel"
        ),
        Index("ix_consents_session", "session_id", "purpose", "participant_id", "number"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    participant_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.participants.id"))
    purpose: Mapped[str]
    number: Mapped[int]
    act: Mapped[str]
    channel: Mapped[str]
    # Of the exact text that was shown.
    language: Mapped[str]
    text_version: Mapped[int]
    text_sha256: Mapped[str]
    actor_kind: Mapped[str]
    actor_id: Mapped[str | None]
    at: Mapped[datetime]
