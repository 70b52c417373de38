"""Answers kept for a day so that a repeated write gets the first one again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class IdempotencyKey(Base):
    """One `Idempotency-Key` of one organisation: the request it stood for and its answer."""

    __tablename__ = "idempotency_keys"

    organisation_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.organisations.id"), primary_key=True
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int | None]
    # Encrypted with MASTER_KEYS: an answer may hold a link.
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(index=True)
