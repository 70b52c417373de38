"""The hospital's own services hear where visits stand: through outages, kills, and never an older
state after a newer one."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from app.appointments import filling
from app.clock import utc_now
from app.db.engine import Database
from app.directory import service as directory
from app.localstack.supervisor import LocalStack
from app.organisations import clients
from app.organisations import service as organisations
from app.services import Services
from app.web.auth import SCOPES
from tests.api.clinic import DIRECTORY, DOCTOR, PATIENT, appointment_in
from tests.conftest import services_of
from tests.flow.clinic import until
from tests.hospital_services import HospitalService, serving
from tests.stack_client import StackClient, sign_in

WITHIN_S = 40.0


@pytest.fixture(scope="module")
def services(stack: LocalStack) -> Iterator[Services]:
    """The stack's collaborators, in this process."""
    built = services_of(stack)
    yield built
    built.database.dispose()


@pytest.fixture(params=["rest", "fhir"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Each of both ways."""
    return str(request.param)


@pytest.fixture
def outside(protocol: str) -> Iterator[HospitalService]:
    """The hospital's own service."""
    with serving(protocol) as service:
        yield service


@pytest.fixture
def clinic(
    stack: LocalStack, services: Services, outside: HospitalService, protocol: str
) -> StackClient:
    """A hospital connected to it."""
    now = utc_now()
    with services.database.begin() as db:
        hospital = organisations.create_organisation(db, name="North", locale="en", now=now)
        made = clients.create_client(
            db, organisation_id=hospital.id, name="EHR", scopes=tuple(SCOPES), now=now
        )
        directory.connect(
            db,
            organisation_id=hospital.id,
            protocol=protocol,
            patients_url=outside.url,
            providers_url=outside.url,
            token=None,
            now=now,
        )
    owner = Database(services.settings.migration_database_url, pool_size=1, application="tests")
    with owner.begin() as db:
        lines = [orjson.dumps(person) for person in DIRECTORY]
        filling.fill(db, organisation_id=hospital.id, lines=lines, now=now)
    owner.dispose()
    return sign_in(stack, str(made.client.id), made.secret)


def statuses(outside: HospitalService, appointment: dict[str, Any], protocol: str) -> list[str]:
    """Return the states the service was told of an appointment, in the order it heard them."""
    path = {
        "rest": f"/{PATIENT}/visits/{appointment['id']}",
        "fhir": f"Encounter/{appointment['id']}",
    }[protocol]
    return [body["status"] for where, body in outside.told if where == path]


def book(clinic: StackClient) -> dict[str, Any]:
    """Make an appointment that may begin now."""
    return clinic.make("/appointments", appointment_in(minutes=1))


def move(clinic: StackClient, appointment: dict[str, Any], step: str) -> None:
    """Start or end the visit."""
    answer = clinic.call("POST", f"/visits/{appointment['id']}/{step}")
    assert answer.status_code in (200, 202), answer.text


LAST = {"rest": "completed", "fhir": "finished"}


def hears_the_end(
    outside: HospitalService, appointment: dict[str, Any], protocol: str, within_s: float = WITHIN_S
) -> bool:
    """Wait until the last thing the service heard is the visit's end."""
    return until(
        lambda: statuses(outside, appointment, protocol)[-1:] == [LAST[protocol]], within_s
    )


def test_both_services_hear_of_every_state(
    clinic: StackClient, outside: HospitalService, protocol: str
) -> None:
    """Planned, under way, over; in that order, with the times of the visit."""
    appointment = book(clinic)
    seen = {"rest": ["scheduled", "in_progress"], "fhir": ["planned", "in-progress"]}[protocol]
    assert until(lambda: statuses(outside, appointment, protocol) == seen[:1], WITHIN_S)
    move(clinic, appointment, "start")
    assert until(lambda: statuses(outside, appointment, protocol) == seen, WITHIN_S)
    move(clinic, appointment, "end")
    assert hears_the_end(outside, appointment, protocol)
    other = {
        "rest": f"/{DOCTOR}/visits/{appointment['id']}",
        "fhir": f"Appointment/{appointment['id']}",
    }[protocol]
    assert until(lambda: any(where == other for where, _ in outside.told), WITHIN_S)
    final = (
        outside.told[-1][1]
        if protocol == "rest"
        else outside.latest(f"Encounter/{appointment['id']}")
    )
    times = final if protocol == "rest" else final["period"]
    began, ended = ("started_at", "ended_at") if protocol == "rest" else ("start", "end")
    assert times[began] < times[ended]


@pytest.mark.parametrize("fault", ["silent", 302, 503])
def test_after_an_outage_the_service_hears_how_things_are(
    clinic: StackClient, outside: HospitalService, protocol: str, fault: str | int
) -> None:
    """The visit goes on meanwhile, and afterwards the newest state is told."""
    outside.fault = fault
    appointment = book(clinic)
    move(clinic, appointment, "start")
    move(clinic, appointment, "end")
    outside.fault = ""
    outside.released.set()
    assert hears_the_end(outside, appointment, protocol)
    assert statuses(outside, appointment, protocol)[-1] == LAST[protocol]


def test_a_killed_worker_loses_nothing(
    stack: LocalStack, clinic: StackClient, outside: HospitalService, protocol: str
) -> None:
    """What it held is told by the next."""
    outside.fault = "silent"
    appointment = book(clinic)
    worker = stack.part("worker")
    worker.kill()
    move(clinic, appointment, "start")
    move(clinic, appointment, "end")
    outside.fault = ""
    outside.released.set()
    worker.start()
    assert hears_the_end(outside, appointment, protocol, within_s=90.0)
