"""The API document against the API: generated requests, good and bad, find nothing.

Every operation gets random requests that fit the document and others that do not; status, content
type, headers and body of each answer must be what the document says, unfit requests must be
refused, fit ones taken, and methods the document does not name answered with 405.
"""

import json
from dataclasses import replace
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import Case
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.hypothesis.builder import (
    HypothesisTestConfig,
    HypothesisTestMode,
    create_test,
)
from schemathesis.schemas import BaseSchema

from app.clock import from_unix
from app.factory import create_app
from app.services import Services
from app.sessions.schemas import MAX_CAPACITY
from app.signing import encode_secret
from app.web.schemas import EARLIEST, LATEST
from tests.api.clinic import appointment_in, make_appointment, with_directory
from tests.api.hospital import Hospital
from tests.api.records import code_of
from tests.conftest import repository

MAKE = "POST /appointments"
REMOVE = "DELETE /sessions/{session_id}/participants"
EXPORT = "GET /audit/export"
# That one moment comes after the other, and not too long, a schema cannot say either.
A_DAY = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}

# What the format of JSON Schema cannot say: our moments lie in two centuries.
LAST_S = int(LATEST.timestamp()) - 1
MOMENTS = st.integers(int(EARLIEST.timestamp()), LAST_S).map(lambda s: from_unix(s).isoformat())
schemathesis.openapi.format("date-time", MOMENTS)
schemathesis.openapi.format("date", MOMENTS.map(lambda moment: moment[:10]))
NUMBERS = ("+4930123456", "+33142685300", "+12025550123")
schemathesis.openapi.format("phone", st.sampled_from(NUMBERS))
schemathesis.openapi.format("time-zone", st.sampled_from(("UTC", "Europe/Berlin", "Asia/Tokyo")))


class Served:
    """The application behind the document: known to the test run only, not when it is collected."""

    def __init__(self) -> None:
        self.app: Flask | None = None

    def __call__(self, *request: Any) -> Any:
        """Pass a WSGI request on."""
        assert self.app is not None
        return self.app(*request)


served = Served()
METHODS = {"get", "post", "put", "patch", "delete"}
# The committed document, which is at hand before there is an application; it is current, see below.
DOCUMENT = json.loads((repository() / "docs" / "openapi.json").read_text())
OPERATIONS = sorted(
    f"{method.upper()} {path}"
    for path, item in DOCUMENT["paths"].items()
    for method in METHODS.intersection(item)
)


@cache
def api() -> BaseSchema:
    """Return the API as its document describes it."""
    loaded = schemathesis.openapi.from_dict(DOCUMENT)
    loaded.app = served
    # RFC 6585: the right answer to a change without `If-Match`, which schemathesis does not expect.
    loaded.config.checks.missing_required_header.expected_statuses = ["401", "422", "428"]
    return loaded


@pytest.fixture(autouse=True, scope="module")
def serve(services: Services) -> None:
    """Have the generated requests answered by an application of this run, whose operator allows
    rooms as large as the document does."""
    settings = replace(services.settings, max_room_size=MAX_CAPACITY)
    served.app = create_app(replace(services, settings=settings))


def is_fit(case: Case[Any], *locations: ParameterLocation) -> bool:
    """Tell whether these parts of a generated request fit the document."""
    meta = case.meta
    assert meta is not None
    return not any(meta.is_negative_at(location) for location in locations)


def bring_to_life(case: Case[Any], hospital: Hospital) -> None:
    """Let a fit request be about something that exists, so that it gets further than 404."""
    if is_fit(case, ParameterLocation.PATH) and case.path_parameters:
        ids = existing(hospital, frozenset(case.path_parameters))
        case.path_parameters.update(ids)
    if is_fit(case, ParameterLocation.HEADER) and "If-Match" in (case.headers or {}):
        # Everything else is as it was made.
        is_own = case.operation.path == "/organisation"
        case.headers["If-Match"] = (
            hospital.get("/organisation").headers["ETag"] if is_own else '"1"'
        )
    if is_fit(case, ParameterLocation.QUERY) and case.query:
        case.query.pop("cursor", None)
        case.query.pop("after", None)
    if case.operation.label == EXPORT and is_fit(case, ParameterLocation.QUERY):
        case.query.update(A_DAY)
    if case.operation.label == REMOVE and is_fit(case, *ParameterLocation):
        name_somebody(case, hospital)
    if is_fit(case, ParameterLocation.BODY) and isinstance(case.body, dict):
        if case.operation.label == MAKE:
            directory_of(hospital)
        make_possible(case.body, is_new=case.operation.label == MAKE)


def name_somebody(case: Case[Any], hospital: Hospital) -> None:
    """Name the person to remove once: either place is optional, and one is not."""
    assert case.path_parameters is not None
    person = hospital.invite(case.path_parameters["session_id"])["id"]
    case.query = {"participant_id": person}
    case.body = {}


directory_of = cache(with_directory)


@cache
def existing(hospital: Hospital, names: frozenset[str]) -> dict[str, str]:
    """Return ids of things just made, for the names of a path: the same until forgotten."""
    ids: dict[str, str] = {}
    if "session_id" in names:
        ids["session_id"] = hospital.new_session()["id"]
    if "participant_id" in names:
        session_id = ids.get("session_id") or hospital.new_session()["id"]
        ids["participant_id"] = hospital.invite(session_id)["id"]
    if "appointment_id" in names:
        # Long begun, so that staff may also note that nobody came.
        ids["appointment_id"] = make_appointment(directory_of(hospital), -5)["id"]
    if "webhook_id" in names:
        address = {"url": f"https://hospital.example/{uuid4()}"}
        ids["webhook_id"] = hospital.post("/webhooks", json=address).get_json()["id"]
    if "file_id" in names:
        ids |= existing_file(hospital, names)
    return ids


def existing_file(hospital: Hospital, names: frozenset[str]) -> dict[str, str]:
    """Return ids of a file that was just announced, by the person whose page is asked for it."""
    session_id = hospital.new_session()["id"]
    person = hospital.invite(session_id, "doctor")
    announced = {"kind": "image", "name": "a.jpg", "size_bytes": 9}
    path = f"/j/{code_of(person)}/files"
    file = hospital.app.test_client().post(path, json=announced).get_json()
    ids = {"session_id": session_id, "code": code_of(person), "file_id": file["id"]}
    return {name: ids[name] for name in names}


def make_possible(body: dict[str, Any], *, is_new: bool) -> None:
    """Put right what a schema cannot say: an end comes after its start, an address is https and
    public, a secret is long, a file has the size of its kind."""
    start, end = body.get("planned_start"), body.get("planned_end")
    if end and not (start and start < end):
        del body["planned_end"]
    if "start" in body:
        plan(body, is_new=is_new)
    if isinstance(body.get("policy"), dict):
        decide(body["policy"])
    if {"since", "until"} <= body.keys():
        body["since"], body["until"] = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    if "size_bytes" in body:
        body |= {"kind": "report", "size_bytes": 9, "supersedes_id": None}
        if "author_id" in body:
            body["author_id"] = None
    if "url" in body:
        body["url"] = f"https://hospital.example/{uuid4()}"
    if body.get("secret") is not None:
        body["secret"] = encode_secret(bytes(32))


def plan(body: dict[str, Any], *, is_new: bool) -> None:
    """Let an appointment be ahead and not last for years, with people the directory knows."""
    times = appointment_in()
    body |= {name: times[name] for name in ("start", "end")}
    if is_new:
        body.pop("patient_id", None)
        body.pop("provider_id", None)
        body |= {name: times[name] for name in ("patient_reference", "provider_reference")}


def decide(policy: dict[str, Any]) -> None:
    """Name a time zone there is, and kinds of visits as they are written."""
    if policy.get("timezone") is not None:
        policy["timezone"] = "Europe/Berlin"
    if policy.get("visit_types"):
        policy["visit_types"] = {"follow-up": next(iter(policy["visit_types"].values()))}


@pytest.mark.parametrize("examples", [5, pytest.param(50, marks=pytest.mark.long)])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_generated_is_answered_as_documented(
    operation: str, examples: int, alice: Hospital
) -> None:
    """The requests at the edges of the schema first, then random ones. They are made here, not by
    schemathesis' own collector: that would make those of every operation in every worker."""
    described = api().find_operation_by_label(operation)
    assert described is not None

    def check(case: Case[Any]) -> None:
        bring_to_life(case, alice)
        case.call_and_validate(headers={"Authorization": f"Bearer {alice.token}"})
        if is_fit(case, *ParameterLocation):  # it may have ended what it was about
            existing.cache_clear()

    generated = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    config = HypothesisTestConfig(api().config, list(HypothesisTestMode), settings=generated)
    create_test(operation=described, test_func=check, config=config)()


def test_the_committed_document_is_current(app: Flask) -> None:
    """The tests above are made from it: an operation that it lacked would go untested."""
    assert app.test_client().get("/openapi.json").get_json() == DOCUMENT


def test_the_document_is_valid_openapi(app: Flask) -> None:
    """3.1, as its first line says."""
    document = app.test_client().get("/openapi.json").get_json()
    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
