"""Starting, ending and cancelling over REST: every step from every state, twice, and at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.adapters.memory import MemoryRooms
from app.localstack.process import wait_until
from app.services import Services
from app.sessions import service as sessions
from app.sessions.states import TRANSITIONS, State, Step
from tests.api.hospital import Hospital
from tests.api.records import audit_of, code_of, events_of, orders_of, types_of

# How a session gets into each state.
WAYS: dict[State, list[Step]] = {
    State.SCHEDULED: [],
    State.ACTIVE: [Step.START],
    State.ENDED: [Step.START, Step.END],
    State.CANCELLED: [Step.CANCEL],
}
TOLD = {
    Step.START: "session.started",
    Step.END: "session.ended",
    Step.CANCEL: "session.cancelled",
}
REPEATS = {
    (State.ACTIVE, Step.START),
    (State.ENDED, Step.END),
    (State.CANCELLED, Step.CANCEL),
}


def step(hospital: Hospital, session: dict[str, Any], name: str, **options: Any) -> TestResponse:
    """Take one step."""
    return hospital.post(f"/sessions/{session['id']}/{name}", **options)


def session_in(hospital: Hospital, state: State) -> dict[str, Any]:
    """Return a session brought into a state by the ways the API has."""
    session = hospital.new_session(planned_start="2050-01-01T10:00:00Z")
    for name in WAYS[state]:
        answer = step(hospital, session, name)
        assert answer.status_code == 200, answer.text
        session = dict(answer.get_json())
    assert session["state"] == state
    return session


def at_once(count: int, call: Any) -> list[TestResponse]:
    """Call from `count` threads that begin together."""
    gate = Barrier(count)

    def begin(_: int) -> TestResponse:
        gate.wait()
        answer: TestResponse = call()
        return answer

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


@pytest.mark.parametrize(("state", "name"), list(product(State, Step)))
def test_every_step_from_every_state_does_what_the_table_says(
    alice: Hospital, services: Services, state: State, name: Step
) -> None:
    """It leads on, or it is a harmless repeat, or it is refused and changes nothing."""
    session = session_in(alice, state)
    before = types_of(services, session["id"])
    answer = step(alice, session, name)
    if (state, name) in TRANSITIONS:
        assert (answer.status_code, answer.get_json()["state"]) == (200, TRANSITIONS[state, name])
        assert answer.get_json()["version"] == session["version"] + 1
        assert types_of(services, session["id"]) == [*before, TOLD[name]]
        return
    assert types_of(services, session["id"]) == before
    if (state, name) in REPEATS:
        assert (answer.status_code, answer.get_json()) == (200, session)
    else:
        assert (answer.status_code, answer.get_json()["code"]) == (409, f"session_{state}")
        assert answer.get_json()["field"] == "state"


def test_the_moments_and_the_reason_are_kept(alice: Hospital, services: Services) -> None:
    """And told, and audited with who did it."""
    session = session_in(alice, State.ACTIVE)
    assert session["started_at"] is not None
    ended = step(alice, session, "end", json={"reason": "All said."}).get_json()
    assert (ended["end_reason"], ended["ended_at"] >= ended["started_at"]) == ("All said.", True)
    assert events_of(services, session["id"])[-1].data == {
        "session_id": session["id"],
        "reference": None,
        "reason": "All said.",
    }
    entry = audit_of(services, alice.organisation_id)[-1]
    assert (entry.action, entry.actor_kind) == ("session.ended", "client")
    assert entry.detail == {"reason": "All said."}


def test_a_second_end_keeps_the_first_reason(alice: Hospital) -> None:
    """A repeat is a repeat, whatever it says."""
    session = session_in(alice, State.ACTIVE)
    first = step(alice, session, "end", json={"reason": "First."}).get_json()
    assert step(alice, session, "end", json={"reason": "Second."}).get_json() == first


@pytest.mark.parametrize("name", [Step.START, Step.END, Step.CANCEL])
def test_the_same_step_from_several_threads_happens_once(
    alice: Hospital, services: Services, name: Step
) -> None:
    """Everybody is told the same, and there is one event and one audit entry."""
    state = next(source for source, possible in TRANSITIONS if possible is name)
    session = session_in(alice, state)
    answers = at_once(4, lambda: step(alice, session, name))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.text for answer in answers}) == 1
    assert types_of(services, session["id"]).count(TOLD[name]) == 1
    entries = [e.action for e in audit_of(services, alice.organisation_id)]
    assert entries.count(TOLD[name]) == 1


def test_of_starting_and_cancelling_at_once_one_wins(alice: Hospital, services: Services) -> None:
    """Never both."""
    for _ in range(5):
        session = session_in(alice, State.SCHEDULED)
        names = iter(["start", "cancel"])
        answers = at_once(2, lambda s=session, n=names: step(alice, s, next(n)))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        told = Counter(types_of(services, session["id"]))
        assert told["session.started"] + told["session.cancelled"] == 1


def test_events_of_a_session_are_numbered_without_gaps(alice: Hospital, services: Services) -> None:
    """Also when many things happen at once, and when some of them fail."""
    session = alice.new_session()
    path = f"/sessions/{session['id']}/participants"

    def add() -> TestResponse:
        alice.post(path, json={"role": "king", "display_name": "X"})
        return alice.post(path, json={"role": "relative", "display_name": "X"})

    answers = at_once(4, add) + at_once(4, add)
    assert {answer.status_code for answer in answers} == {201}
    sequence = [event.sequence for event in events_of(services, session["id"])]
    assert sequence == list(range(1, 10))


class TestEnding:
    """TST-TC001-3: everybody is out, and nobody comes back."""

    def test_links_and_their_state_say_that_it_is_over(self, alice: Hospital) -> None:
        """410 at the click, `ended` for the page that waits."""
        session = alice.new_session()
        code = code_of(alice.invite(session["id"], "doctor"))
        browser = alice.app.test_client()
        assert browser.post(f"/j/{code}/token").status_code == 200
        step(alice, session, "end")
        answer = browser.post(f"/j/{code}/token")
        assert (answer.status_code, answer.get_json()["code"]) == (410, "session_ended")
        state = browser.get(f"/j/{code}/state").get_json()
        assert (state["session_state"], state["may_enter"]) == ("ended", False)
        assert state["reason"] == "session-ended"

    def test_a_cancelled_sessions_link_says_so(self, alice: Hospital) -> None:
        """Cancelled is not ended."""
        session = session_in(alice, State.SCHEDULED)
        code = code_of(alice.invite(session["id"]))
        step(alice, session, "cancel", json={"reason": "Ill."})
        answer = alice.app.test_client().post(f"/j/{code}/token")
        assert (answer.status_code, answer.get_json()["code"]) == (410, "session_cancelled")

    def test_the_room_is_closed_before_the_answer(
        self, alice: Hospital, services: Services, live: MemoryRooms
    ) -> None:
        """200: the room confirmed it, and the order is done."""
        session = alice.new_session()
        live.enter(session["room_name"], "somebody")
        answer = step(alice, session, "end", json={"reason": "Over."})
        assert answer.status_code == 200
        assert session["room_name"] not in live.rooms
        (order,) = orders_of(services, session["id"])
        assert (order.name, order.state) == ("end", "confirmed")
        assert order.args == {"room": session["room_name"], "reason": "Over."}
        assert order.result == {"existed": True}

    def test_without_a_gateway_it_is_over_all_the_same(
        self, alice: Hospital, services: Services, live: MemoryRooms
    ) -> None:
        """202: decided and stored; the order waits for the gateway."""
        session = alice.new_session()
        live.enter(session["room_name"], "somebody")
        live.alive = False
        answer = step(alice, session, "end")
        assert (answer.status_code, answer.get_json()["state"]) == (202, "ended")
        assert [order.state for order in orders_of(services, session["id"])] == ["pending"]
        assert session["room_name"] in live.rooms

    def test_nobody_is_invited_to_what_is_over(self, alice: Hospital) -> None:
        """409, and no participant is left behind."""
        session = session_in(alice, State.ENDED)
        path = f"/sessions/{session['id']}/participants"
        answer = alice.post(path, json={"role": "doctor", "display_name": "Dr. Late"})
        assert (answer.status_code, answer.get_json()["code"]) == (409, "session_ended")
        assert alice.get(path).get_json()["items"] == []


class TestMessages:
    """`POST /sessions/{id}/messages`."""

    def test_a_message_reaches_everybody_in_the_room(
        self, alice: Hospital, services: Services, live: MemoryRooms
    ) -> None:
        """It is told and audited that one was sent, and its text is kept nowhere."""
        session = alice.new_session()
        live.enter(session["room_name"], "a")
        live.enter(session["room_name"], "b")
        answer = step(alice, session, "messages", json={"text": "Two minutes left."})
        assert (answer.status_code, answer.get_json()) == (200, {"delivered": 2})
        assert live.rooms[session["room_name"]].said == [(None, "Two minutes left.")]
        assert types_of(services, session["id"])[-1] == "room.message_sent"
        entry = audit_of(services, alice.organisation_id)[-1]
        assert (entry.action, entry.detail) == ("room.message_sent", {})

    def test_a_message_can_be_for_one(self, alice: Hospital, live: MemoryRooms) -> None:
        """The others do not hear it."""
        session = alice.new_session()
        person = alice.invite(session["id"])
        live.enter(session["room_name"], person["id"])
        live.enter(session["room_name"], "b")
        body = {"text": "For you.", "participant_id": person["id"]}
        assert step(alice, session, "messages", json=body).get_json() == {"delivered": 1}

    def test_it_is_said_when_nothing_can_go_wrong_any_more(
        self, alice: Hospital, services: Services, live: MemoryRooms
    ) -> None:
        """Not before its session is free: what fails after that would be said again."""
        session = alice.new_session()
        live.enter(session["room_name"], "a")
        with ThreadPoolExecutor(1) as pool, services.database.begin(alice.organisation_id) as db:
            sessions.lock(db, organisation_id=alice.organisation_id, session_id=UUID(session["id"]))
            answer = pool.submit(step, alice, session, "messages", json={"text": "Once."})
            waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            assert wait_until(lambda: bool(db.scalar(waits)), 20)
            assert live.rooms[session["room_name"]].said == []
            db.commit()
            assert answer.result().get_json() == {"delivered": 1}
        assert live.rooms[session["room_name"]].said == [(None, "Once.")]

    def test_without_a_gateway_it_is_not_said(
        self, alice: Hospital, services: Services, live: MemoryRooms
    ) -> None:
        """503: now or not at all, so nothing is told either."""
        session = alice.new_session()
        live.alive = False
        answer = step(alice, session, "messages", json={"text": "Hello?"})
        assert (answer.status_code, answer.get_json()["code"]) == (503, "gateway_down")
        assert answer.get_json()["retryable"] is True
        assert int(answer.headers["Retry-After"]) > 0
        assert types_of(services, session["id"]) == ["session.created"]

    def test_nothing_is_said_in_a_room_that_is_closed(self, alice: Hospital) -> None:
        """409."""
        session = session_in(alice, State.ENDED)
        answer = step(alice, session, "messages", json={"text": "Hello?"})
        assert (answer.status_code, answer.get_json()["code"]) == (409, "session_ended")
