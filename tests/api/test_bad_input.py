"""Bad input: always a problem document with a code, and the field where there is one; never 500."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.hospital import Hospital
from tests.api.problems import problem

SESSIONS = "/sessions"
GOOD_ID = "01977f3e-6c00-7000-8000-000000000002"


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
    problem(send(alice, data), 422, "invalid_request", "body")


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
        ([], "permissions"),
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


def test_a_whole_number_is_one_however_it_is_written(alice: Hospital) -> None:
    """JSON knows one kind of number, and some languages write 4 as 4.0."""
    assert send(alice, b'{"capacity": 4.0}').get_json()["capacity"] == 4
