"""Nothing is done through the API without an entry, and nothing is refused without one.

Generated from the API document and the map of routes: a new route that writes and leaves no entry
fails here without anybody having thought of it.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from app.clock import utc_now
from app.factory import create_app
from app.services import Services
from app.sessions.schemas import MAX_CAPACITY
from tests.api import test_schema as document
from tests.api.hospital import Hospital, admit_hospital
from tests.api.prosody import ADMISSION, EVENTS, Prosody, invite
from tests.api.records import audit_of, code_of

WRITING = {"post", "put", "patch", "delete"}
PATHS: dict[str, dict[str, Any]] = document.DOCUMENT["paths"]
WRITES = sorted(
    f"{method.upper()} {path}"
    for path, item in PATHS.items()
    for method in WRITING.intersection(item)
)
GUARDED = sorted(
    f"{method.upper()} {path}"
    for path, item in PATHS.items()
    for method in document.METHODS.intersection(item)
    if item[method].get("security")
)
SIGN_IN = "POST /oauth/token"
CLICK = "POST /j/{code}/token"
# Of an open session they change nothing, or are refused.
OF_PLANNED = ("POST /sessions/{session_id}/start", "POST /sessions/{session_id}/cancel")
few = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True, scope="module")
def serve(services: Services) -> None:
    """Have the generated requests answered by an application of this run."""
    largest = replace(services.settings, max_room_size=MAX_CAPACITY)
    document.served.app = create_app(replace(services, settings=largest))


def entries(services: Services, organisation_id: UUID | None, outcome: str) -> set[UUID]:
    """Return the ids of an organisation's entries with this outcome."""
    found = audit_of(services, organisation_id)
    return {entry.id for entry in found if entry.outcome == outcome}


def prepare(case: Any, operation: str, hospital: Hospital) -> None:
    """Let the request be about something that exists, and be no repetition of another."""
    document.bring_to_life(case, hospital)
    if case.headers:
        case.headers.pop("Idempotency-Key", None)
    if operation in OF_PLANNED:
        later = (utc_now() + timedelta(hours=1)).isoformat()
        case.path_parameters["session_id"] = hospital.new_session(planned_start=later)["id"]
    if operation == CLICK:
        doctor = hospital.invite(hospital.new_session()["id"], "doctor")
        case.path_parameters["code"] = code_of(doctor)
    if operation == SIGN_IN:
        case.body = {
            "grant_type": "client_credentials",
            "client_id": str(hospital.client_id),
            "client_secret": hospital.client_secret,
        }


@pytest.mark.parametrize("operation", WRITES)
def test_every_write_leaves_an_entry(services: Services, alice: Hospital, operation: str) -> None:
    """Each request that was answered with success, whatever was in it."""
    method, path = operation.split()
    strategy = document.schema[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE)
    done = []

    @few
    @given(case=strategy)
    def check(case: Any) -> None:
        prepare(case, operation, alice)
        before = entries(services, alice.organisation_id, "done")
        answer = case.call(headers={"Authorization": f"Bearer {alice.token}"})
        if answer.status_code < 300:
            done.append(operation)
            assert entries(services, alice.organisation_id, "done") - before, answer.text

    check()
    assert done, "no generated request succeeded, so nothing was proved"


@pytest.mark.parametrize("operation", GUARDED)
def test_every_refusal_leaves_an_entry(app: Flask, services: Services, operation: str) -> None:
    """A program without the scope is turned away, and that is on record."""
    method, path = operation.split()
    nobody = admit_hospital(app, services, "Nobody", scopes=[])
    for name in ("session_id", "participant_id", "webhook_id"):
        path = path.replace("{" + name + "}", str(nobody.client_id))
    before = entries(services, nobody.organisation_id, "refused")
    answer = nobody.call(method, path.replace("{", "").replace("}", ""))
    assert answer.status_code == 403, answer.text
    assert len(entries(services, nobody.organisation_id, "refused") - before) == 1


Doing = Callable[[Hospital, Services, Prosody], Any]


def join(hospital: Hospital, services: Services, prosody: Prosody) -> None:
    """Prosody tells of somebody in the room."""
    person = invite(services, hospital, hospital.new_session())
    assert prosody.tell(person.joined()) == 1


def knock(hospital: Hospital, services: Services, prosody: Prosody) -> None:
    """Prosody asks about somebody who has no business in the room."""
    person = invite(services, hospital, hospital.new_session())
    answer = prosody.ask(**person.question(link_id=str(hospital.client_id)))
    assert answer["allow"] is False


# What is no part of the API's document: pages and Prosody.
UNDOCUMENTED: dict[str, tuple[Doing, str]] = {
    f"POST {EVENTS}": (join, "participant.joined"),
    f"POST {ADMISSION}": (knock, "room.entry_refused"),
}


def undocumented(app: Flask) -> set[str]:
    """Return the routes that write and are not in the API's document."""
    documented = {path.replace("{", "<").replace("}", ">") for path in PATHS}
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) & {method.upper() for method in WRITING}
        if rule.rule.replace("uuid:", "").replace("string:", "") not in documented
    }


def test_every_other_route_that_writes_is_known_here(app: Flask) -> None:
    """Who adds one says how it is used, and it is proved below that it leaves an entry."""
    assert undocumented(app) == set(UNDOCUMENTED)


@pytest.mark.parametrize("route", UNDOCUMENTED)
def test_what_pages_and_prosody_do_leaves_an_entry(
    services: Services, alice: Hospital, prosody: Prosody, route: str
) -> None:
    """Joins, and the refusals at the room's door."""
    do, action = UNDOCUMENTED[route]
    began = utc_now()
    do(alice, services, prosody)
    made = [entry for entry in audit_of(services, None) if entry.at >= began]
    made += audit_of(services, alice.organisation_id)
    assert action in {entry.action for entry in made}
