"""A hospital with patients, providers and appointments, as the tests of the clinic use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy.orm import Session

from app.appointments import filling
from app.clock import utc_now
from app.db.engine import Database
from app.services import Services
from tests.api.hospital import Hospital

PATIENT, DOCTOR, GONE = "patient-1", "doctor-1", "patient-gone"
DIRECTORY: list[dict[str, Any]] = [
    {"kind": "patient", "reference": PATIENT, "display_name": "Sam Rivera", "language": "de"},
    {"kind": "patient", "reference": GONE, "display_name": "Lee Gone", "active": False},
    {"kind": "provider", "reference": DOCTOR, "display_name": "Dr. Okafor"},
    {"kind": "provider", "reference": "doctor-2", "display_name": "Dr. Lindqvist"},
]


@contextmanager
def as_owner(hospital: Hospital) -> Iterator[Session]:
    """Open a transaction of the schema's owner, who alone writes the directory."""
    services: Services = hospital.app.extensions["teleconsult"]
    owner = Database(services.settings.migration_database_url, pool_size=1, application="tests")
    try:
        with owner.begin() as db:
            yield db
    finally:
        owner.dispose()


def with_directory(hospital: Hospital, *more: dict[str, Any]) -> Hospital:
    """Fill the hospital's directory."""
    with as_owner(hospital) as db:
        filling.fill(
            db,
            organisation_id=hospital.organisation_id,
            lines=[orjson.dumps(person) for person in (*DIRECTORY, *more)],
            now=utc_now(),
        )
    return hospital


def appointment_in(minutes: float = 60, lasting: float = 30, **more: Any) -> dict[str, Any]:
    """Return the body of an appointment that starts in some minutes."""
    start = utc_now() + timedelta(minutes=minutes)
    return {
        "patient_reference": PATIENT,
        "provider_reference": DOCTOR,
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=lasting)).isoformat(),
        **more,
    }


def make_appointment(
    hospital: Hospital, minutes: float = 60, lasting: float = 30, **more: Any
) -> dict[str, Any]:
    """Make an appointment and return it with its people and links."""
    answer = hospital.post("/appointments", json=appointment_in(minutes, lasting, **more))
    assert answer.status_code == 201, answer.text
    return dict(answer.get_json())
