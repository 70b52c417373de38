"""Where a hospital's own services for patients and doctors are."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class DirectoryConnection(Base):
    """One organisation's Patient Service and Doctor Service; at most one of each."""

    __tablename__ = "directory_connections"
    __table_args__ = (CheckConstraint("protocol IN ('rest', 'fhir')", name="protocol"),)

    organisation_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.organisations.id"), primary_key=True
    )
    protocol: Mapped[str]
    patients_url: Mapped[str]
    providers_url: Mapped[str]
    # The bearer token both take, encrypted (MASTER_KEYS); None when they take none.
    token: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Off: it is kept, and neither asked nor told anything.
    is_active: Mapped[bool] = mapped_column(server_default="true")
    updated_at: Mapped[datetime]
