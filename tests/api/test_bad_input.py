"""Bad input: always a problem document with a code, and the field where there is one; never 500."""

import base64
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.hospital import Hospital

SESSIONS = "/sessions"
GOOD_ID = "01977f3e-6c00-7000-8000-000000000002"


def problem(answer: TestResponse, status: int, code: str, field: str | None = None) -> None:
    """Check that an answer is this problem, and whole."""
    assert answer.content_type == "application/problem+json", answer.text
    body = answer.get_json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body.get("field") == field, body
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    assert body["retryable"] is False
    assert "Traceback" not in answer.text


def create(hospital: Hospital, body: Any) -> TestResponse:
    """Create a session."""
    return hospital.post(SESSIONS, json=body)


def send(hospital: Hospital, data: bytes | str, content_type: str = "application/json") -> Any:
    """Create a session from raw bytes."""
    return hospital.post(SESSIONS, data=data, content_type=content_type)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"{'kind': 'consultation'}",
        b'{"kind": "consultation",}',
        b'{"capacity": NaN}',
        b'{"capacity": Infinity}',
        b"\xff\xfe",
        b'{"reference": "\xff"}',
        rb'{"reference": "\ud800"}',
        rb'{"reference": "\udc00\ud800"}',
        b'{"reference": "a\x00b"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"capacity": ' + b"9" * 5000 + b"}",
        b" ",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_no_json_is_refused(alice: Hospital, data: bytes) -> None:
    """400, however it is broken: also nested deeper than a parser's stack."""
    problem(send(alice, data), 400, "invalid_json")


@pytest.mark.parametrize("data", ["[]", '"text"', "1", "null", "true", "[{}]", "9" * 19])
def test_json_that_is_no_object_is_refused(alice: Hospital, data: str) -> None:
    """422."""
    problem(send(alice, data), 422, "invalid_request", "_schema")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "party"}, "kind"),
        ({"kind": None}, "kind"),
        ({"kind": 1}, "kind"),
        ({"kind": ["consultation"]}, "kind"),
        ({"capacity": 0}, "capacity"),
        ({"capacity": -1}, "capacity"),
        ({"capacity": 101}, "capacity"),
        ({"capacity": 2**31}, "capacity"),
        ({"capacity": 2**63}, "capacity"),
        ({"capacity": 1.5}, "capacity"),
        ({"capacity": "10"}, "capacity"),
        ({"capacity": True}, "capacity"),
        ({"capacity": None}, "capacity"),
        ({"capacity": {}}, "capacity"),
        ({"reference": ""}, "reference"),
        ({"reference": 4711}, "reference"),
        ({"reference": "x" * 65}, "reference"),
        ({"reference": "x" * 200_000}, "reference"),
        ({"reference": "a\u0000b"}, "reference"),
        ({"reference": "a\nb"}, "reference"),
        ({"reference": "a\n"}, "reference"),
        ({"reference": "a\u202eb"}, "reference"),
        ({"reference": "a\u0085b"}, "reference"),
        ({"planned_start": "tomorrow"}, "planned_start"),
        ({"planned_start": "2050-01-01"}, "planned_start"),
        ({"planned_start": "2050-01-01T10:00:00"}, "planned_start"),
        ({"planned_start": "2050-13-01T10:00:00Z"}, "planned_start"),
        ({"planned_start": "2050-02-30T10:00:00Z"}, "planned_start"),
        ({"planned_start": "2050-01-01T25:00:00Z"}, "planned_start"),
        ({"planned_start": "2050-01-01T10:00:00+25:00"}, "planned_start"),
        ({"planned_start": "0001-01-01T00:00:00+23:59"}, "planned_start"),
        ({"planned_start": "0001-01-01T00:00:00Z"}, "planned_start"),
        ({"planned_start": "1999-12-31T23:59:59Z"}, "planned_start"),
        ({"planned_start": "2200-01-01T00:00:00Z"}, "planned_start"),
        ({"planned_start": "9999-12-31T23:59:59-23:59"}, "planned_start"),
        ({"planned_start": "10000-01-01T00:00:00Z"}, "planned_start"),
        ({"planned_start": 2524644000}, "planned_start"),
        ({"planned_start": {}}, "planned_start"),
        ({"unknown": 1}, "unknown"),
        ({"state": "ended"}, "state"),
        ({"id": GOOD_ID}, "id"),
    ],
    ids=lambda value: repr(value)[:48],
)
def test_a_field_that_is_not_acceptable_is_named(
    alice: Hospital, body: dict[str, Any], field: str
) -> None:
    """422; `errors` says why."""
    answer = create(alice, body)
    problem(answer, 422, "invalid_request", field)
    assert [one["field"] for one in answer.get_json()["errors"]][:1] == [field]


def test_the_edges_of_time_are_taken(alice: Hospital) -> None:
    """Far plans are odd, but no fault; links and early entry are counted from them."""
    for moment in ("2000-01-01T00:00:00Z", "2199-12-31T23:59:59Z", "2050-01-01T00:00:00+23:59"):
        session = alice.new_session(planned_start=moment)
        assert alice.invite(session["id"], "doctor")["link_expires_at"]


def test_every_wrong_field_is_listed(alice: Hospital) -> None:
    """Nobody corrects one mistake at a time."""
    body = {"kind": "party", "capacity": 0, "colour": "red"}
    errors = create(alice, body).get_json()["errors"]
    assert {error["field"] for error in errors} == {"kind", "capacity", "colour"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "role"),
        ({"role": "king", "display_name": "X"}, "role"),
        ({"role": "doctor"}, "display_name"),
        ({"role": "doctor", "display_name": ""}, "display_name"),
        ({"role": "doctor", "display_name": "x" * 81}, "display_name"),
        ({"role": "doctor", "display_name": "Dr.\u0000"}, "display_name"),
        ({"role": "doctor", "display_name": "X", "email": "nobody"}, "email"),
        ({"role": "doctor", "display_name": "X", "email": "a@b.example\r\nBcc: c@d.e"}, "email"),
        ({"role": "doctor", "display_name": "X", "email": '"\u0001"@b.example'}, "email"),
        ({"role": "doctor", "display_name": "X", "email": "a" * 250 + "@b.example"}, "email"),
        ({"role": "doctor", "display_name": "X", "locale": "xx"}, "locale"),
        ({"role": "doctor", "display_name": "X", "state": "joined"}, "state"),
        ({"role": "doctor", "display_name": "X", "permissions": {}}, "permissions"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_person_that_cannot_be_invited_is_refused(
    alice: Hospital, body: dict[str, Any], field: str
) -> None:
    """422 with the field."""
    path = f"/sessions/{alice.new_session()['id']}/participants"
    answer = alice.post(path, json=body)
    problem(answer, 422, "invalid_request", field)


@pytest.mark.parametrize(
    ("permissions", "field"),
    [
        ({"fly": True}, "permissions.fly"),
        ({"chat": "yes"}, "permissions.chat"),
        ({"chat": 1}, "permissions.chat"),
        ({"chat": None}, "permissions.chat"),
        ([], "permissions._schema"),
        (None, "permissions"),
    ],
)
def test_permissions_are_known_names_and_true_or_false(
    alice: Hospital, permissions: Any, field: str
) -> None:
    """`"yes"` is no permission."""
    person = alice.invite(alice.new_session()["id"])
    answer = alice.patch(
        f"/sessions/{person['session_id']}/participants/{person['id']}",
        json={"permissions": permissions},
        headers={"If-Match": '"1"'},
    )
    problem(answer, 422, "invalid_request", field)


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


def test_a_whole_number_is_one_however_it_is_written(alice: Hospital) -> None:
    """JSON knows one kind of number, and some languages write 4 as 4.0."""
    assert send(alice, b'{"capacity": 4.0}').get_json()["capacity"] == 4


def test_json_by_another_name_is_json(alice: Hospital) -> None:
    """`charset` and `+json` are fine."""
    for name in ("application/json; charset=utf-8", "application/merge-patch+json"):
        assert send(alice, b"{}", name).status_code == 201


def test_a_huge_body_is_not_read(alice: Hospital) -> None:
    """413."""
    problem(create(alice, {"reference": "x" * 300_000}), 413, "body_too_large")
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
