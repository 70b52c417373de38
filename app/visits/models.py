"""What the hospital's own services are told of visits."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class VisitReport(Base):
    """That one service (of the `patient` or the `provider`) is told where a visit stands.

    One row per visit and service, not per change: what is told is always the newest, so a service
    that was away hears once how things are, and never an older state after a newer one.
    """

    __tablename__ = "visit_reports"
    __table_args__ = (
        CheckConstraint("kind IN ('patient', 'provider')", name="kind"),
        CheckConstraint("state IN ('pending', 'reported', 'failed')", name="state"),
        Index(
            "ix_visit_reports_due",
            "organisation_id",
            "next_attempt_at",
            postgresql_where=text("state = 'pending'"),
        ),
    )

    appointment_id: Mapped[UUID] = mapped_column(
        ForeignKey("clinical.appointments.id"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    state: Mapped[str]
    # Counts the changes there were, so that one made while a report is under way is not lost.
    changes: Mapped[int]
    attempts: Mapped[int] = mapped_column(server_default="0")
    failures: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime]
    last_error: Mapped[str | None]
    reported_at: Mapped[datetime | None]
