"""Finding the patients and providers of an organisation in the directory the hospital filled."""

from typing import TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.appointments.models import Patient, Provider
from app.errors import Invalid

Person = TypeVar("Person", Patient, Provider)


def patient(
    db: Session, *, organisation_id: UUID, patient_id: UUID | None, reference: str | None
) -> Patient:
    """Return the patient named by our id or by the hospital's.

    Raises:
        Invalid: named not at all or twice, not known, or no longer active.
    """
    found = _named(db, Patient, organisation_id, patient_id, reference)
    if not found.is_active:
        raise Invalid(
            "This patient is not active any more.", code="patient_inactive", field="patient_id"
        )
    return found


def provider(
    db: Session, *, organisation_id: UUID, provider_id: UUID | None, reference: str | None
) -> Provider:
    """Return the provider named by our id or by the hospital's.

    Raises:
        Invalid: named not at all or twice, not known, or no longer active.
    """
    found = _named(db, Provider, organisation_id, provider_id, reference)
    if not found.is_active:
        raise Invalid(
            "This provider is not active any more.", code="provider_inactive", field="provider_id"
        )
    return found


def _named(
    db: Session,
    model: type[Person],
    organisation_id: UUID,
    row_id: UUID | None,
    reference: str | None,
) -> Person:
    kind = model.__name__.lower()
    if (row_id is None) == (reference is None):
        raise Invalid(
            f"Name the {kind} once: {kind}_id or {kind}_reference.",
            code="person_not_named",
            field=f"{kind}_id",
        )
    query = select(model).where(model.organisation_id == organisation_id)
    query = query.where(model.id == row_id if row_id else model.reference == reference)
    found = db.scalars(query).first()
    if found is None:
        raise Invalid(
            f"There is no such {kind}.",
            code="person_unknown",
            field=f"{kind}_id" if row_id else f"{kind}_reference",
        )
    return found
