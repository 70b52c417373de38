"""Bad requests around the body: query, content type, size, address, method; never 500."""

import base64
from typing import Any

import pytest

from tests.api.hospital import Hospital
from tests.api.problems import problem

SESSIONS = "/sessions"
GOOD_ID = "01977f3e-6c00-7000-8000-000000000002"


def send(hospital: Hospital, data: bytes | str, content_type: str = "application/json") -> Any:
    """Create a session from raw bytes."""
    return hospital.post(SESSIONS, data=data, content_type=content_type)


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("limt=5", "invalid_request", "limt"),
        ("state=open", "invalid_request", "state"),
        ("kind=", "invalid_request", "kind"),
        ("limit=0", "invalid_request", "limit"),
        ("limit=201", "invalid_request", "limit"),
        ("limit=-1", "invalid_request", "limit"),
        ("limit=ten", "invalid_request", "limit"),
        ("limit=1.5", "invalid_request", "limit"),
        ("limit=" + "9" * 30, "invalid_request", "limit"),
        ("limit=" + "9" * 5000, "invalid_request", "limit"),
        ("reference=%00", "invalid_request", "reference"),
        ("reference=" + "x" * 65, "invalid_request", "reference"),
        ("cursor=nonsense", "cursor_invalid", "cursor"),
        ("cursor=%F0%9F%98%80", "cursor_invalid", "cursor"),
        ("cursor=%00", "cursor_invalid", "cursor"),
        ("cursor=" + "x" * 201, "invalid_request", "cursor"),
        # "0001-01-01T00:00:00+23:59 <id>", which is before all time in UTC
        (
            "cursor=MDAwMS0wMS0wMVQwMDowMDowMCsyMzo1OSAwMTk3N2YzZS02YzAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDI=",
            "cursor_invalid",
            "cursor",
        ),
        # "2026-01-01T00:00:00 <id>", without a zone
        (
            "cursor=MjAyNi0wMS0wMVQwMDowMDowMCAwMTk3N2YzZS02YzAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDI=",
            "cursor_invalid",
            "cursor",
        ),
    ],
    ids=lambda value: str(value)[:32],
)
def test_a_query_that_cannot_be_meant_is_refused(
    alice: Hospital, query: str, code: str, field: str
) -> None:
    """422; a mistyped argument is not silently ignored."""
    problem(alice.get(f"{SESSIONS}?{query}"), 422, code, field)


def test_a_cursor_with_an_offset_only_python_knows_is_no_fault(alice: Hospital) -> None:
    """PostgreSQL takes none beyond 16 hours."""
    cursor = base64.urlsafe_b64encode(f"2026-01-01T00:00:00+23:59 {GOOD_ID}".encode()).decode()
    assert alice.get(SESSIONS, query_string={"cursor": cursor}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/sessions/{GOOD_ID}?verbose=1"),
        ("POST", f"/sessions/{GOOD_ID}/start?force=1"),
        ("DELETE", f"/sessions/{GOOD_ID}/participants/{GOOD_ID}?ban=1"),
        ("GET", "/health?x=1"),
    ],
)
def test_an_operation_without_arguments_takes_none(alice: Hospital, method: str, path: str) -> None:
    """Somebody who writes `?force=1` believes that it does something."""
    field = path.partition("?")[2].partition("=")[0]
    problem(alice.call(method, path), 422, "invalid_request", field)


def test_an_operation_without_a_body_takes_none(alice: Hospital) -> None:
    """An empty object is nothing, though, and some clients always send one."""
    path = f"/sessions/{alice.new_session()['id']}/start"
    problem(alice.post(path, json={"at": "noon"}), 422, "invalid_request")
    assert alice.post(path, json={}).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", ""]
)
def test_a_body_of_another_type_is_refused(alice: Hospital, content_type: str) -> None:
    """415; it would otherwise count as no body, and an immediate session would be opened."""
    answer = send(alice, b'{"planned_start": "2050-01-01T10:00:00Z"}', content_type)
    problem(answer, 415, "unsupported_media_type")
    optional = f"/sessions/{alice.new_session()['id']}/end"
    answer = alice.post(optional, data=b'{"reason": "x"}', content_type=content_type)
    problem(answer, 415, "unsupported_media_type")
    assert len(alice.get(SESSIONS).get_json()["items"]) == 1


def test_json_by_another_name_is_json(alice: Hospital) -> None:
    """`charset` and `+json` are fine."""
    for name in ("application/json; charset=utf-8", "application/merge-patch+json"):
        assert send(alice, b"{}", name).status_code == 201


def test_a_huge_body_is_not_read(alice: Hospital) -> None:
    """413."""
    problem(alice.post(SESSIONS, json={"reference": "x" * 300_000}), 413, "body_too_large")
    answer = alice.app.test_client().post("/oauth/token", data={"scope": "x" * 300_000})
    problem(answer, 413, "body_too_large")


@pytest.mark.parametrize(
    "path",
    [
        "/sessions/1",
        "/sessions/not-an-id",
        "/sessions/00000000-0000-0000-0000-00000000000",
        "/sessions/{01977f3e-6c00-7000-8000-000000000002}",
        "/sessions/%00",
        "/sessions/" + "a" * 5000,
        "/sessions/",
        "/nowhere",
        "/sessions/../metrics/x",
        f"/sessions/{GOOD_ID}/participants/1",
    ],
)
def test_an_address_that_is_none_is_not_found(alice: Hospital, path: str) -> None:
    """404; an id that is no id is an address that does not exist."""
    problem(alice.get(path), 404, "not_found")


@pytest.mark.parametrize("bad", [GOOD_ID.upper(), "ffffffff-ffff-ffff-ffff-ffffffffffff"])
def test_an_id_that_could_be_one_is_looked_for(alice: Hospital, bad: str) -> None:
    """404 in the words of the resource."""
    problem(alice.get(f"/sessions/{bad}"), 404, "session_not_found")


@pytest.mark.parametrize("where", ["query", "json"])
@pytest.mark.parametrize("value", ["", "1", "not-an-id", "x" * 5000, "\u0000"])
def test_a_participant_named_by_what_is_no_id_is_refused(
    alice: Hospital, where: str, value: str
) -> None:
    """422 with the field, in the query and in the body."""
    path = f"/sessions/{alice.new_session()['id']}/participants"
    named = {"participant_id": value}
    options: dict[str, Any] = {"query_string" if where == "query" else "json": named}
    answer = alice.delete(path, **options)
    problem(answer, 422, "invalid_request", "participant_id")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/sessions", {"GET", "POST"}),
        ("DELETE", "/sessions", {"GET", "POST"}),
        ("TRACE", "/sessions", {"GET", "POST"}),
        ("BREW", "/sessions", {"GET", "POST"}),
        ("PUT", f"/sessions/{GOOD_ID}", {"GET", "PATCH"}),
        ("GET", f"/sessions/{GOOD_ID}/start", {"POST"}),
        ("GET", "/oauth/token", {"POST"}),
        ("POST", "/health", {"GET"}),
    ],
)
def test_another_method_is_answered_with_those_there_are(
    alice: Hospital, method: str, path: str, allowed: set[str]
) -> None:
    """405 with `Allow`."""
    answer = alice.call(method, path)
    problem(answer, 405, "method_not_allowed")
    named = {name.strip() for name in answer.headers["Allow"].split(",")}
    assert named - {"HEAD", "OPTIONS"} == allowed


def test_every_answer_names_its_request(alice: Hospital) -> None:
    """`X-Request-Id` leads from a report to the log."""
    first, second = alice.get("/nowhere"), alice.get(SESSIONS)
    ids = {first.headers["X-Request-Id"], second.headers["X-Request-Id"]}
    assert len(ids) == 2
    assert "" not in ids
