"""What the hospital planned, in schema `clinical`: people we only read, appointments, visits."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.base import Base

SCHEMA = "clinical"


class Patient(Base):
    """A patient as the hospital knows them. The service reads; the migration role writes."""

    __tablename__ = "patients"
    __table_args__ = (
        UniqueConstraint("organisation_id", "reference"),
        Index("ix_patients_updated", "organisation_id", "updated_at"),
        {"schema": SCHEMA},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    # The hospital's own id of the person.
    reference: Mapped[str]
    display_name: Mapped[str]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    language: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(server_default="true")
    updated_at: Mapped[datetime]
    # From the hospital's own service, which can be asked again; others the hospital wrote in.
    learned: Mapped[bool] = mapped_column(server_default="false")
    # Since when it is not known any more how to reach them: their time was over.
    trimmed_at: Mapped[datetime | None]


class Provider(Base):
    """A doctor or another person who treats. The service reads; the migration role writes."""

    __tablename__ = "providers"
    __table_args__ = (
        UniqueConstraint("organisation_id", "reference"),
        Index("ix_providers_updated", "organisation_id", "updated_at"),
        {"schema": SCHEMA},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    reference: Mapped[str]
    display_name: Mapped[str]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    language: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(server_default="true")
    updated_at: Mapped[datetime]
    learned: Mapped[bool] = mapped_column(server_default="false")
    trimmed_at: Mapped[datetime | None]


class Visit(Base):
    """The session of an appointment. It has no state of its own: the session's is the only one."""

    __tablename__ = "visits"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    appointment_id: Mapped[UUID] = mapped_column(
        ForeignKey("clinical.appointments.id"), unique=True
    )
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"), unique=True)
    created_at: Mapped[datetime]


class Appointment(Base):
    """One planned visit of a patient with a provider.

    Times, kind of visit and reference follow the session, as the status does (`follow`).
    """

    __tablename__ = "appointments"
    __table_args__ = (
        CheckConstraint(
            "status IN ('scheduled', 'arrived', 'in_progress', 'completed', 'cancelled',"
            " 'no_show')",
            name="status",
        ),
        CheckConstraint("planned_end > planned_start", name="plan_in_order"),
        Index("ix_appointments_page", "organisation_id", "planned_start", "id"),
        Index("ix_appointments_status_page", "organisation_id", "status", "planned_start", "id"),
        Index("ix_appointments_provider_page", "provider_id", "planned_start", "id"),
        Index("ix_appointments_patient_page", "patient_id", "planned_start", "id"),
        {"schema": SCHEMA},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("clinical.patients.id"))
    provider_id: Mapped[UUID] = mapped_column(ForeignKey("clinical.providers.id"))
    visit_type: Mapped[str]
    # The hospital's own id of the appointment.
    reference: Mapped[str | None]
    status: Mapped[str]
    status_since: Mapped[datetime]
    # Why it was cancelled, ended or given up.
    reason: Mapped[str | None]
    planned_start: Mapped[datetime]
    planned_end: Mapped[datetime]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]

    # Read by id for a whole page at once; never joined, because the row alone is locked.
    patient: Mapped[Patient] = relationship(lazy="selectin")
    provider: Mapped[Provider] = relationship(lazy="selectin")
    visit: Mapped[Visit] = relationship(lazy="selectin")

    @property
    def session_id(self) -> UUID:
        """The session of its visit."""
        return self.visit.session_id
