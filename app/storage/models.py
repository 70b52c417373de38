"""What lies in the file store, and the keys that open it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class StoredFile(Base):
    """One encrypted file. Announced before it is written, so that what a dying process leaves in
    the store has a row; destroyed by forgetting its key, and erased from the store after that."""

    __tablename__ = "stored_files"
    __table_args__ = (
        CheckConstraint("wrapped_key IS NULL OR destroyed_at IS NULL", name="destroyed"),
        CheckConstraint("erased_at IS NULL OR wrapped_key IS NULL", name="erased"),
        Index(
            "ix_stored_files_erased",
            "organisation_id",
            "erased_at",
            postgresql_where=text("erased_at IS NOT NULL"),
        ),
        # Few: what is being written, and what waits to be erased.
        Index(
            "ix_stored_files_to_erase",
            "created_at",
            postgresql_where=text("wrapped_key IS NULL AND erased_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    # None: a recorder left it, and nobody knows whose it is.
    organisation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("teleconference.organisations.id")
    )
    # Of the plain content; None until it is written.
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    # The file's own key, encrypted (MASTER_KEYS). Without it nobody can read the file, ever.
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    destroyed_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]

    @property
    def key(self) -> str:
        """Under which key it lies in the store. It tells of nobody."""
        return f"{self.organisation_id or 'nobody'}/{self.id}"
