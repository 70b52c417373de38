"""Removing a person, by path, query or body: TST-TC003-2 as far as the API alone can show it."""

from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from app.adapters.memory import MemoryRooms
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.records import audit_of, code_of, links_of, orders_of, types_of


@pytest.fixture
def session(alice: Hospital) -> dict[str, Any]:
    """An open session."""
    return alice.new_session()


@pytest.fixture
def bob(alice: Hospital, session: dict[str, Any]) -> dict[str, Any]:
    """A patient in it."""
    return alice.invite(session["id"])


def by_path(hospital: Hospital, session: dict[str, Any], person: str) -> TestResponse:
    """DELETE with the participant in the path."""
    return hospital.delete(f"/sessions/{session['id']}/participants/{person}")


def by_query(hospital: Hospital, session: dict[str, Any], person: str) -> TestResponse:
    """DELETE with the participant in the query."""
    path = f"/sessions/{session['id']}/participants"
    return hospital.delete(path, query_string={"participant_id": person})


def by_body(hospital: Hospital, session: dict[str, Any], person: str) -> TestResponse:
    """DELETE with the participant in the body."""
    path = f"/sessions/{session['id']}/participants"
    return hospital.delete(path, json={"participant_id": person})


WAYS = [by_path, by_query, by_body]


@pytest.mark.parametrize("way", WAYS)
def test_who_is_removed_is_out_and_stays_out(
    alice: Hospital, live: MemoryRooms, session: dict[str, Any], bob: dict[str, Any], way: Any
) -> None:
    """State, link and room, whichever way it was asked."""
    live.enter(session["room_name"], bob["id"])
    answer = way(alice, session, bob["id"])
    assert answer.status_code == 200
    assert answer.get_json()["state"] == "removed"
    assert answer.get_json()["removed_at"] is not None
    assert live.rooms[session["room_name"]].occupants == {}
    assert live.rooms[session["room_name"]].banned == {bob["id"]}
    click = alice.app.test_client().post(f"/j/{code_of(bob)}/token")
    assert (click.status_code, click.get_json()["code"]) == (403, "participant_removed")


def test_a_removal_is_told_and_audited_and_kills_the_link(
    alice: Hospital, services: Services, session: dict[str, Any], bob: dict[str, Any]
) -> None:
    """One event, one entry, no live link."""
    by_path(alice, session, bob["id"])
    assert [link.revoked_at is not None for link in links_of(services, bob["id"])] == [True]
    assert types_of(services, session["id"])[-1] == "participant.removed"
    removal = [e for e in audit_of(services, alice.organisation_id) if e.action.endswith("removed")]
    assert [str(entry.participant_id) for entry in removal] == [bob["id"]]


def test_the_same_person_in_query_and_body_is_named_once(
    alice: Hospital, session: dict[str, Any], bob: dict[str, Any]
) -> None:
    """Saying it twice is no contradiction."""
    answer = alice.delete(
        f"/sessions/{session['id']}/participants",
        query_string={"participant_id": bob["id"]},
        json={"participant_id": bob["id"]},
    )
    assert answer.status_code == 200


def test_naming_nobody_or_two_removes_nobody(
    alice: Hospital, session: dict[str, Any], bob: dict[str, Any]
) -> None:
    """422 with the field."""
    other = alice.invite(session["id"])
    path = f"/sessions/{session['id']}/participants"
    answers = [
        alice.delete(path),
        alice.delete(path, json={}),
        alice.delete(
            path,
            query_string={"participant_id": bob["id"]},
            json={"participant_id": other["id"]},
        ),
    ]
    for answer in answers:
        assert (answer.status_code, answer.get_json()["code"]) == (422, "participant_not_named")
        assert answer.get_json()["field"] == "participant_id"
    states = {item["state"] for item in alice.get(path).get_json()["items"]}
    assert states == {"invited"}


@pytest.mark.parametrize("way", WAYS)
def test_a_person_who_is_not_in_this_session_cannot_be_removed_from_it(
    alice: Hospital, session: dict[str, Any], bob: dict[str, Any], way: Any
) -> None:
    """Unknown, or of another session of the same hospital: 404, and nothing happens to them."""
    elsewhere = alice.new_session()
    for person, place in ((str(uuid4()), session), (bob["id"], elsewhere)):
        answer = way(alice, place, person)
        assert (answer.status_code, answer.get_json()["code"]) == (404, "participant_not_found")
    kept = alice.get(f"/sessions/{session['id']}/participants/{bob['id']}").get_json()
    assert kept["state"] == "invited"


def test_removing_twice_is_no_error_and_tells_nothing_new(
    alice: Hospital, services: Services, session: dict[str, Any], bob: dict[str, Any]
) -> None:
    """The room is told again, which is harmless; the event is one."""
    first = by_path(alice, session, bob["id"])
    second = by_path(alice, session, bob["id"])
    assert (second.status_code, second.get_json()) == (200, first.get_json())
    assert types_of(services, session["id"]).count("participant.removed") == 1


def test_the_newest_removal_is_the_one_that_waits_for_the_room(
    alice: Hospital,
    services: Services,
    live: MemoryRooms,
    session: dict[str, Any],
    bob: dict[str, Any],
) -> None:
    """Repeated after it, an older one would bring back its own end."""
    live.alive = False
    path = f"/sessions/{session['id']}/participants/{bob['id']}"
    for body in ({"ban_s": 7 * 86_400}, {"ban_s": 60}, {}):
        assert alice.delete(path, json=body).status_code == 202
    *older, newest = orders_of(services, session["id"])
    assert [order.state for order in older] == ["failed", "failed"]
    assert (newest.state, newest.args.get("ban_until")) == ("pending", None)


def test_without_a_gateway_the_decision_holds_and_the_order_waits(
    alice: Hospital,
    services: Services,
    live: MemoryRooms,
    session: dict[str, Any],
    bob: dict[str, Any],
) -> None:
    """202: link and token are dead already, the room will be told."""
    live.enter(session["room_name"], bob["id"])
    live.alive = False
    answer = by_path(alice, session, bob["id"])
    assert (answer.status_code, answer.get_json()["state"]) == (202, "removed")
    (order,) = orders_of(services, session["id"])
    assert (order.name, order.state, order.attempts) == ("kick", "pending", 0)
    assert order.args["participant_id"] == bob["id"]
    assert order.args["ban"] is True
    click = alice.app.test_client().post(f"/j/{code_of(bob)}/token")
    assert click.get_json()["code"] == "participant_removed"


def test_who_was_removed_is_neither_changed_nor_given_a_link(
    alice: Hospital, session: dict[str, Any], bob: dict[str, Any]
) -> None:
    """Removed is final; a new invitation makes a new participant."""
    removed = by_path(alice, session, bob["id"]).get_json()
    path = f"/sessions/{session['id']}/participants/{bob['id']}"
    etag = {"If-Match": f'"{removed["version"]}"'}
    for answer in (
        alice.post(f"{path}/link"),
        alice.patch(path, json={"locale": "de"}, headers=etag),
    ):
        assert (answer.status_code, answer.get_json()["code"]) == (409, "participant_removed")


def test_the_list_can_leave_the_removed_out(
    alice: Hospital, session: dict[str, Any], bob: dict[str, Any]
) -> None:
    """The filter by state."""
    alice.invite(session["id"], "doctor")
    by_path(alice, session, bob["id"])
    path = f"/sessions/{session['id']}/participants"
    chosen = alice.get(path, query_string={"state": "removed"}).get_json()["items"]
    assert [item["id"] for item in chosen] == [bob["id"]]
    assert len(alice.get(path).get_json()["items"]) == 2
