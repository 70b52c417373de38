"""Patients and providers from the hospital's own services, over REST and FHIR, well and unwell."""

import importlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.clock import utc_now
from app.directory import service as directory
from app.localstack.supervisor import LocalStack
from app.ports import DirectoryEntry
from app.services import Services
from tests.api.clinic import appointment_in, with_directory
from tests.api.hospital import Hospital
from tests.hospital_services import HospitalService, fhir_person, rest_person, serving

NEW_PATIENT, NEW_DOCTOR = "p-77", "d-5"
PROTOCOLS = ("rest", "fhir")


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    """Each of both ways."""
    return str(request.param)


@pytest.fixture
def outside(services: Services, alice: Hospital, protocol: str) -> Iterator[HospitalService]:
    """Alice's own service, with a patient and a doctor nobody here has heard of."""
    # Loading it takes longer than a service of the tests has to answer, and it is loaded when used.
    importlib.import_module("fhir.resources.R4B.bundle")
    with serving(protocol) as service:
        service.token = "opensesame"
        service.people = PEOPLE[protocol]
        connect(services, alice, protocol, service)
        yield service


PEOPLE: dict[str, dict[str, dict[str, Any]]] = {
    "rest": {
        NEW_PATIENT: rest_person("Ada Obi", email="ada@example.org", language="fr"),
        NEW_DOCTOR: rest_person("Dr. Ito"),
        "gone": rest_person("Lee Gone", active=False),
    },
    "fhir": {
        NEW_PATIENT: fhir_person(
            "Patient",
            NEW_PATIENT,
            "Ada Obi",
            telecom=[
                {"system": "phone", "value": "+41 44 668 18 00", "use": "home"},
                {"system": "phone", "value": "+41 79 123 45 67", "use": "mobile"},
                {"system": "email", "value": "old@example.org", "use": "old"},
                {"system": "email", "value": "ada@example.org"},
            ],
            communication=[
                {"language": {"coding": [{"code": "en"}]}},
                {"language": {"coding": [{"code": "fr-CH"}]}, "preferred": True},
            ],
        ),
        NEW_DOCTOR: fhir_person("Practitioner", NEW_DOCTOR, "Dr. Ito"),
        "gone": fhir_person("Patient", "gone", "Lee Gone", active=False),
    },
}


def connect(
    services: Services, hospital: Hospital, protocol: str, service: HospitalService
) -> None:
    """Tell the service where the hospital's own are."""
    with services.database.begin() as db:
        directory.connect(
            db,
            organisation_id=hospital.organisation_id,
            protocol=protocol,
            patients_url=service.url,
            providers_url=service.url,
            token=services.vault.encrypt(service.token.encode()),
            now=utc_now(),
        )


def book(hospital: Hospital, **more: Any) -> Any:
    """Make an appointment of the new people."""
    people = {"patient_reference": NEW_PATIENT, "provider_reference": NEW_DOCTOR}
    return hospital.post("/appointments", json=appointment_in(**{**people, **more}))


def test_people_nobody_has_heard_of_are_learned(alice: Hospital, outside: HospitalService) -> None:
    """Name, address and language come from the hospital's service."""
    answer = book(alice)
    assert answer.status_code == 201, answer.text
    people = {one["role"]: one for one in answer.get_json()["people"]}
    assert people["patient"]["display_name"] == "Ada Obi"
    assert people["patient"]["email"] == "ada@example.org"
    assert people["patient"]["locale"] == "fr"
    assert people["patient"]["reference"] == NEW_PATIENT
    assert people["doctor"]["display_name"] == "Dr. Ito"


def test_a_mobile_number_is_preferred(
    services: Services, alice: Hospital, outside: HospitalService, protocol: str
) -> None:
    """A message reaches it; only FHIR knows of several."""
    book(alice)
    with services.database.begin(alice.organisation_id) as db:
        phone = db.scalar(text("SELECT phone FROM clinical.patients"))
    assert phone == ("+41 79 123 45 67" if protocol == "fhir" else None)


def test_who_is_known_and_fresh_is_not_asked_for_again(
    alice: Hospital, outside: HospitalService
) -> None:
    """Each booking would otherwise cost a request."""
    book(alice)
    asked = len(outside.asked)
    assert book(alice).status_code == 201
    assert len(outside.asked) == asked == 2


def test_what_is_old_is_read_anew(
    services: Services, alice: Hospital, outside: HospitalService, protocol: str
) -> None:
    """People move and marry."""
    book(alice)
    make_old(services, alice)
    renamed = {
        "rest": rest_person("Ada Obi-Lind"),
        "fhir": fhir_person("Patient", NEW_PATIENT, "Ada Obi-Lind"),
    }
    outside.people = {**outside.people, NEW_PATIENT: renamed[protocol]}
    assert book(alice).get_json()["patient"]["display_name"] == "Ada Obi-Lind"


def make_old(services: Services, hospital: Hospital) -> None:
    """Let a day pass for what is known of everybody."""
    with services.database.begin(hospital.organisation_id) as db:
        for kind, table in (("patient", "patients"), ("provider", "providers")):
            for row in db.execute(text(f"SELECT * FROM clinical.{table}")).mappings().all():
                entry = {name: row[name] for name in DirectoryEntry.__slots__}
                directory.learn(
                    db,
                    kind=kind,
                    organisation_id=hospital.organisation_id,
                    entry=DirectoryEntry(**entry),
                    now=utc_now() - timedelta(days=1),
                )


FAULTS = ["silent", "garbage", 500, 503, 401, 301]


@pytest.mark.parametrize("fault", FAULTS)
def test_who_is_known_can_be_booked_whatever_the_service_does(
    services: Services, alice: Hospital, outside: HospitalService, fault: str | int
) -> None:
    """An outage of theirs stops nothing here."""
    assert book(alice).status_code == 201
    make_old(services, alice)
    outside.fault = fault
    assert book(alice).status_code == 201


@pytest.mark.parametrize("fault", FAULTS)
def test_who_is_not_known_must_wait_and_is_told_so(
    alice: Hospital, outside: HospitalService, fault: str | int
) -> None:
    """A 503 that says what to do, and no appointment."""
    outside.fault = fault
    answer = book(alice)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "directory_unavailable")
    assert answer.headers["Retry-After"]
    assert alice.get("/appointments").get_json()["items"] == []


def test_after_a_silence_nobody_waits_for_a_while(
    alice: Hospital, outside: HospitalService
) -> None:
    """The second is refused at once: ten callers must not wait the whole time each."""
    outside.fault = "silent"
    book(alice)
    outside.fault = ""
    outside.released.set()
    assert book(alice).get_json()["code"] == "directory_unavailable"
    assert outside.asked == []


def test_nobody_by_that_reference_is_nobody(alice: Hospital, outside: HospitalService) -> None:
    """The answer names the field."""
    answer = book(alice, patient_reference="nobody")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "person_unknown")
    assert answer.get_json()["field"] == "patient_reference"


def test_who_is_not_active_there_is_not_booked(alice: Hospital, outside: HospitalService) -> None:
    """They say who is a patient."""
    assert book(alice, patient_reference="gone").get_json()["code"] == "patient_inactive"


@pytest.mark.parametrize("reference", ["../admin", "a/b?c=d&e", "ä ö", "x#y"])
def test_a_reference_never_leaves_its_place_in_the_address(
    alice: Hospital, outside: HospitalService, protocol: str, reference: str
) -> None:
    """Whatever its signs are."""
    book(alice, patient_reference=reference)
    expected = reference if protocol == "rest" else f"Patient?{reference}"
    assert outside.asked[0] == expected


def test_another_hospital_is_not_asked_there(charlie: Hospital, outside: HospitalService) -> None:
    """Its people are its own, and it has no such service."""
    assert book(charlie).get_json()["code"] == "person_unknown"
    assert outside.asked == []


def test_after_disconnecting_nothing_is_asked(
    services: Services, alice: Hospital, outside: HospitalService
) -> None:
    """The operator's word counts at once."""
    with services.database.begin() as db:
        directory.disconnect(db, organisation_id=alice.organisation_id, now=utc_now())
    assert book(alice).get_json()["code"] == "person_unknown"
    assert outside.asked == []


def test_the_runtime_role_learns_for_its_own_transaction_only(
    services: Services, alice: Hospital, charlie: Hospital
) -> None:
    """The one way into the two tables is as narrow as row-level security."""
    entry = DirectoryEntry("x", "Mallory", None, None, None, is_active=True)
    alices = alice.organisation_id
    for scope in (charlie.organisation_id, "*", None):
        with (
            pytest.raises(DBAPIError, match="organisation of the transaction"),
            services.database.begin(scope) as db,
        ):
            directory.learn(db, kind="patient", organisation_id=alices, entry=entry, now=utc_now())


def test_the_token_is_not_in_the_database_as_it_is(
    services: Services, app: Flask, alice: Hospital, outside: HospitalService
) -> None:
    """Whoever reads a backup has none."""
    with services.database.begin() as db:
        row = directory.connection_of(db, alice.organisation_id)
    assert row is not None
    assert row.token is not None
    assert b"opensesame" not in row.token
    assert "opensesame" not in repr(directory.outside(services, row, "patient"))


@pytest.mark.parametrize("protocol", ["rest"], indirect=True)
@pytest.mark.parametrize("reference", [".", ".."])
def test_a_reference_leads_to_no_other_address(
    alice: Hospital, outside: HospitalService, reference: str
) -> None:
    """`/base/..` is the address above, which would get our token for that service."""
    answer = book(alice, patient_reference=reference)
    assert 400 <= answer.status_code < 500, answer.text
    assert not [one for one in outside.asked if one != NEW_DOCTOR]


@pytest.mark.parametrize("protocol", ["fhir"], indirect=True)
def test_a_comma_asks_for_nobody_else(alice: Hospital, outside: HospitalService) -> None:
    """To FHIR `p-77,nobody` means either: the person would be stored under a wrong number."""
    answer = book(alice, patient_reference=f"{NEW_PATIENT},nobody")
    assert 400 <= answer.status_code < 500, answer.text
    assert f"Patient?{NEW_PATIENT}\\,nobody" in outside.asked


FORGET = text("SELECT clinical.forget_people(:before, 50)")


def test_who_cannot_be_reached_any_more_is_nobody_known(
    services: Services, alice: Hospital, outside: HospitalService, postgres: LocalStack
) -> None:
    """When their address was deleted in time, an outage does not make a booking without any."""
    book(alice)
    with services.database.begin() as db:
        db.execute(text("UPDATE teleconference.sessions SET trimmed_at = now()"))
    age(postgres, alice)
    with services.database.begin(alice.organisation_id) as db:
        db.execute(FORGET, {"before": utc_now()})
        kept = db.execute(text("SELECT email, trimmed_at FROM clinical.patients")).all()
    assert any(email is None and trimmed for email, trimmed in kept)
    outside.fault = 503
    assert book(alice).get_json()["code"] == "directory_unavailable"


def test_whom_the_hospital_wrote_in_stays(
    services: Services, alice: Hospital, outside: HospitalService, postgres: LocalStack
) -> None:
    """Also once a service is connected: it may not know them."""
    with_directory(alice)
    age(postgres, alice)
    count = text("SELECT count(*) FROM clinical.patients WHERE is_active AND NOT learned")
    with services.database.begin(alice.organisation_id) as db:
        before = db.scalar(count)
        db.execute(FORGET, {"before": utc_now()})
        assert db.scalar(count) == before != 0


def age(postgres: LocalStack, hospital: Hospital) -> None:
    """Let nobody have been heard of for two days."""
    with postgres.postgres.as_admin() as admin:
        for table in ("patients", "providers"):
            admin.execute(
                f"UPDATE clinical.{table} SET updated_at = now() - interval '2 days'"
                " WHERE organisation_id = %s",
                (str(hospital.organisation_id),),
            )
