"""The waiting room over REST, from the page, and as Prosody tells it: one state for all three."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import orjson
import pytest
from flask import Flask

from app.adapters.memory import MemoryRooms
from app.services import Services
from app.web.auth import SCOPES
from tests.api.clicks import click, entered
from tests.api.hospital import Hospital, admit_hospital
from tests.api.prosody import Prosody, Someone, invite
from tests.api.records import alter, audit_of, code_of, events_of, orders_of, types_of

IN_CALL = "/internal/rooms/waiting"


@pytest.fixture
def session(alice: Hospital) -> dict[str, Any]:
    """A session where people wait to be admitted; that is what a session does unless told."""
    answer = alice.post("/sessions", json={})
    assert answer.get_json()["waiting_room"] is True
    return dict(answer.get_json())


@pytest.fixture
def patient(alice: Hospital, session: dict[str, Any]) -> dict[str, Any]:
    return alice.invite(session["id"])


def path(session: dict[str, Any], rest: str = "") -> str:
    return f"/sessions/{session['id']}/waiting{rest}"


def queue(hospital: Hospital, session: dict[str, Any]) -> list[str]:
    items = hospital.get(path(session)).get_json()["items"]
    assert [item["place"] for item in items] == list(range(1, len(items) + 1))
    return [item["participant_id"] for item in items]


def state(app: Flask, person: dict[str, Any]) -> dict[str, Any]:
    answer = app.test_client().get(f"/j/{code_of(person)}/state")
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def pass_time(services: Services, person: dict[str, Any], seconds: int) -> None:
    """Let somebody have been silent for so long, and have come so much earlier."""
    alter(
        services,
        "UPDATE teleconference.waiting SET since = since - :s * interval '1 second',"
        " present_until = present_until - :s * interval '1 second' WHERE participant_id = :id",
        s=seconds,
        id=person["id"],
    )


def test_who_opens_the_link_waits_and_is_told_the_place(
    app: Flask, alice: Hospital, session: dict[str, Any], patient: dict[str, Any]
) -> None:
    """The queue is in the order of arrival, whoever was invited first."""
    relative = alice.invite(session["id"], "relative")
    first, second = entered(app, relative), entered(app, patient)
    assert (first["state"], first["reason"]) == ("waiting", "not-admitted")
    assert (first["waiting"]["place"], first["waiting"]["ahead"]) == (1, 0)
    assert (second["waiting"]["place"], second["waiting"]["estimate_s"]) == (2, None)
    assert queue(alice, session) == [relative["id"], patient["id"]]
    told = state(app, patient)
    assert (told["may_enter"], told["reason"]) == (False, "not-admitted")
    assert told["waiting"] == second["waiting"]


def test_waiting_is_told_once_however_often_the_page_asks(
    app: Flask,
    alice: Hospital,
    services: Services,
    session: dict[str, Any],
    patient: dict[str, Any],
) -> None:
    entered(app, patient)
    state(app, patient)
    entered(app, patient)
    assert types_of(services, session["id"]).count("participant.waiting") == 1
    entries = [e.action for e in audit_of(services, alice.organisation_id)]
    assert entries.count("participant.waiting") == 1


def test_hosts_do_not_wait(app: Flask, alice: Hospital, session: dict[str, Any]) -> None:
    doctor = alice.invite(session["id"], "doctor")
    assert entered(app, doctor)["state"] == "ready"
    assert queue(alice, session) == []
    answer = alice.post(path(session, f"/{doctor['id']}/admit"))
    assert (answer.status_code, answer.get_json()["code"]) == (409, "not_waiting")


def test_without_a_waiting_room_people_wait_for_the_host_only(
    app: Flask, alice: Hospital, services: Services, prosody: Prosody
) -> None:
    """And it can be switched off while somebody waits."""
    made = alice.post("/sessions", json={}).get_json()
    patient = alice.invite(made["id"])
    entered(app, patient)
    changed = alice.patch(
        f"/sessions/{made['id']}", json={"waiting_room": False}, headers={"If-Match": '"1"'}
    )
    assert changed.get_json()["waiting_room"] is False
    assert entered(app, patient)["reason"] == "waiting-for-host"
    doctor = invite(services, alice, made, "doctor")
    prosody.tell(doctor.joined())
    assert entered(app, patient)["state"] == "ready"


def test_the_organisations_policy_decides_for_who_says_nothing(
    alice: Hospital, services: Services
) -> None:
    """And the session's own word is above it."""
    alter(
        services,
        "UPDATE teleconference.organisations SET settings = :settings WHERE id = :id",
        settings='{"waiting_room": false}',
        id=alice.organisation_id,
    )
    given = [alice.post("/sessions", json=body).get_json() for body in ({}, {"waiting_room": True})]
    assert [made["waiting_room"] for made in given] == [False, True]


def test_admitted_is_admitted_for_the_session(
    alice: Hospital, prosody: Prosody, session: dict[str, Any], patient: dict[str, Any]
) -> None:
    """With a host inside the link opens, now and after every reload; events and audit say who."""
    entered(alice.app, patient)
    answer = alice.post(path(session, f"/{patient['id']}/admit"))
    assert (answer.status_code, answer.get_json()["state"]) == (200, "admitted")
    assert (
        entered(alice.app, patient)["reason"] == "waiting-for-host"
    )  # nobody enters an empty room
    prosody.tell(invite(prosody.services, alice, session, "doctor").joined())
    assert [entered(alice.app, patient)["state"] for _ in range(2)] == ["ready", "ready"]
    assert queue(alice, session) == []
    told = next(
        e for e in events_of(prosody.services, session["id"]) if e.type.endswith("admitted")
    )
    assert (told.data["by"], told.data["participant_id"]) == ("client", patient["id"])
    entry = next(
        e
        for e in audit_of(prosody.services, alice.organisation_id)
        if e.action.endswith("admitted")
    )
    assert (entry.actor_kind, entry.actor_id) == ("client", str(alice.client_id))


def test_admitting_twice_changes_nothing_more(
    app: Flask,
    alice: Hospital,
    services: Services,
    session: dict[str, Any],
    patient: dict[str, Any],
) -> None:
    entered(app, patient)
    first, second = (alice.post(path(session, f"/{patient['id']}/admit")) for _ in range(2))
    assert first.get_json() == second.get_json()
    assert types_of(services, session["id"]).count("participant.admitted") == 1


def test_denied_is_told_with_the_message_to_that_person_only(
    app: Flask,
    alice: Hospital,
    services: Services,
    session: dict[str, Any],
    patient: dict[str, Any],
) -> None:
    entered(app, patient)
    message = "Please come to room 12 instead."
    answer = alice.post(path(session, f"/{patient['id']}/deny"), json={"message": message})
    assert answer.get_json()["state"] == "denied"
    refused = click(app, patient)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "participant_denied")
    told = state(app, patient)
    assert (told["reason"], told["message"], told["waiting"]) == ("denied", message, None)
    assert queue(alice, session) == []
    written = [e.data for e in events_of(services, session["id"])]
    written += [e.detail for e in audit_of(services, alice.organisation_id)]
    assert message not in str(written)


def test_a_denied_person_may_be_admitted_after_all_and_the_other_way_round(
    app: Flask,
    alice: Hospital,
    services: Services,
    session: dict[str, Any],
    patient: dict[str, Any],
) -> None:
    """The last word counts; an older order that the room has not heard is dropped."""
    entered(app, patient)
    for what in ("deny", "admit", "deny"):
        assert alice.post(path(session, f"/{patient['id']}/{what}")).status_code == 200
    assert click(app, patient).status_code == 403
    assert types_of(services, session["id"])[-3:] == [
        "participant.denied", "participant.admitted", "participant.denied",
    ]  # fmt: skip


def test_an_unheard_order_does_not_undo_a_newer_one(
    alice: Hospital,
    services: Services,
    live: MemoryRooms,
    session: dict[str, Any],
    patient: dict[str, Any],
) -> None:
    entered(alice.app, patient)
    live.alive = False
    for what in ("deny", "admit"):
        assert alice.post(path(session, f"/{patient['id']}/{what}")).status_code == 200
    waiting = [o.name for o in orders_of(services, session["id"]) if o.state == "pending"]
    assert waiting == ["admit"]


def test_next_is_who_came_first_and_nobody_is_a_conflict(
    app: Flask, alice: Hospital, session: dict[str, Any]
) -> None:
    people = [alice.invite(session["id"]) for _ in range(2)]
    for person in reversed(people):
        entered(app, person)
    admitted = [alice.post(path(session, "/admit-next")).get_json() for _ in range(3)]
    assert [one.get("participant_id") for one in admitted[:2]] == [people[1]["id"], people[0]["id"]]
    assert (admitted[2]["status"], admitted[2]["code"]) == (409, "nobody_waiting")


def test_next_with_a_key_admits_one(app: Flask, alice: Hospital, session: dict[str, Any]) -> None:
    """A click that was sent twice is one click."""
    for _ in range(2):
        entered(app, alice.invite(session["id"]))
    headers = {"Idempotency-Key": "next"}
    one, same = (alice.post(path(session, "/admit-next"), headers=headers) for _ in range(2))
    assert one.get_json() == same.get_json()
    assert len(queue(alice, session)) == 1


def test_many_at_once_admit_each_person_once(
    app: Flask, alice: Hospital, services: Services, session: dict[str, Any]
) -> None:
    """Six moderators press at the same moment, and four people wait."""
    people = [alice.invite(session["id"]) for _ in range(4)]
    for person in people:
        entered(app, person)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: alice.post(path(session, "/admit-next")), range(6)))
    admitted = [a.get_json()["participant_id"] for a in answers if a.status_code == 200]
    assert sorted(admitted) == sorted(person["id"] for person in people)
    assert [a.status_code for a in answers].count(409) == 2
    assert types_of(services, session["id"]).count("participant.admitted") == 4


def test_admit_and_deny_at_once_leave_one_of_both(
    app: Flask,
    alice: Hospital,
    services: Services,
    session: dict[str, Any],
    patient: dict[str, Any],
) -> None:
    """Whoever is last wins, and the door says the same as the events."""
    entered(app, patient)
    with ThreadPoolExecutor(2) as threads:
        ways = [path(session, f"/{patient['id']}/{what}") for what in ("admit", "deny")]
        answers = list(threads.map(alice.post, ways))
    assert [a.status_code for a in answers] == [200, 200]
    door = {"participant.admitted": "waiting-for-host", "participant.denied": "denied"}
    assert state(app, patient)["reason"] == door[types_of(services, session["id"])[-1]]


def test_two_tabs_that_come_at_once_are_one_person(
    app: Flask,
    alice: Hospital,
    services: Services,
    session: dict[str, Any],
    patient: dict[str, Any],
) -> None:
    with ThreadPoolExecutor(4) as threads:
        places = list(threads.map(lambda _: entered(app, patient)["waiting"]["place"], range(4)))
    assert places == [1, 1, 1, 1]
    assert types_of(services, session["id"]).count("participant.waiting") == 1


def test_who_is_silent_is_out_of_the_queue_and_keeps_the_place_for_a_while(
    app: Flask,
    alice: Hospital,
    services: Services,
    session: dict[str, Any],
    patient: dict[str, Any],
) -> None:
    second = alice.invite(session["id"])
    entered(app, patient)
    entered(app, second)
    pass_time(services, patient, 60)
    assert queue(alice, session) == [second["id"]]
    assert state(app, second)["waiting"]["place"] == 1
    # The next is who is there.
    assert state(app, patient)["waiting"]["place"] == 1
    assert queue(alice, session) == [patient["id"], second["id"]]
    assert types_of(services, session["id"]).count("participant.waiting") == 2

    pass_time(services, patient, 600)
    assert state(app, patient)["waiting"]["place"] == 2
    assert queue(alice, session) == [second["id"], patient["id"]]
    assert types_of(services, session["id"]).count("participant.waiting") == 3


def test_admitted_while_away_lets_in_at_the_return(
    app: Flask,
    alice: Hospital,
    services: Services,
    session: dict[str, Any],
    patient: dict[str, Any],
) -> None:
    """The moderator pressed while the phone lost its network."""
    entered(app, patient)
    pass_time(services, patient, 1000)
    assert alice.post(path(session, f"/{patient['id']}/admit")).status_code == 200
    assert state(app, patient)["reason"] == "waiting-for-host"


def test_nobody_is_admitted_to_what_is_over(
    app: Flask, alice: Hospital, session: dict[str, Any], patient: dict[str, Any]
) -> None:
    """And the page of who waits says that it is over."""
    entered(app, patient)
    alice.post(f"/sessions/{session['id']}/end")
    for rest in (f"/{patient['id']}/admit", f"/{patient['id']}/deny", "/admit-next"):
        answer = alice.post(path(session, rest))
        assert (answer.status_code, answer.get_json()["code"]) == (409, "session_ended")
    assert state(app, patient)["reason"] == "session-ended"


def test_a_removed_person_is_not_admitted(
    app: Flask, alice: Hospital, session: dict[str, Any], patient: dict[str, Any]
) -> None:
    entered(app, patient)
    alice.delete(f"/sessions/{session['id']}/participants/{patient['id']}")
    answer = alice.post(path(session, f"/{patient['id']}/admit"))
    assert (answer.status_code, answer.get_json()["code"]) == (409, "participant_removed")


def test_another_hospital_and_another_scope_see_nothing(
    alice: Hospital,
    charlie: Hospital,
    services: Services,
    session: dict[str, Any],
    patient: dict[str, Any],
) -> None:
    entered(alice.app, patient)
    less = admit_hospital(
        alice.app, services, "Less", scopes=sorted(set(SCOPES) - {"rooms:moderate"})
    )
    for rest in (f"/{patient['id']}/admit", f"/{patient['id']}/deny", "/admit-next"):
        assert charlie.post(path(session, rest)).status_code == 404
        assert less.post(path(session, rest)).status_code == 403
    assert charlie.get(path(session)).status_code == 404
    assert queue(alice, session) == [patient["id"]]


class TestFromThePage:
    """With a link instead of a token; the seat's right to moderate decides."""

    def test_a_moderator_sees_and_lets_in(
        self, app: Flask, alice: Hospital, services: Services, session: dict[str, Any]
    ) -> None:
        nurse = alice.invite(session["id"], "nurse")
        people = [alice.invite(session["id"]) for _ in range(3)]
        for person in people:
            entered(app, person)
        page, mine = app.test_client(), f"/j/{code_of(nurse)}/waiting"
        seen = [one["participant_id"] for one in page.get(mine).get_json()["items"]]
        assert seen == [person["id"] for person in people]
        assert page.post(f"{mine}/{people[1]['id']}/admit").get_json()["state"] == "admitted"
        denied = page.post(f"{mine}/{people[2]['id']}/deny", json={"message": "Later."})
        assert denied.get_json()["state"] == "denied"
        assert page.post(f"{mine}/admit-next").get_json()["participant_id"] == people[0]["id"]
        assert page.post(f"{mine}/admit-next").get_json()["code"] == "nobody_waiting"
        by = {e.actor_id for e in audit_of(services, alice.organisation_id) if "mitted" in e.action}
        assert by == {nurse["id"]}

    @pytest.mark.parametrize(
        "role", ["patient", "paramedic", "interpreter", "relative", "observer"]
    )
    def test_nobody_else_may(
        self, app: Flask, alice: Hospital, services: Services, session: dict[str, Any], role: str
    ) -> None:
        """Not even list; each try is on record, and nobody lets themselves in."""
        person = alice.invite(session["id"], role)
        entered(app, person)
        page, mine = app.test_client(), f"/j/{code_of(person)}/waiting"
        answers = [
            page.get(mine),
            page.post(f"{mine}/admit-next"),
            page.post(f"{mine}/{person['id']}/admit"),
            page.post(f"{mine}/{person['id']}/deny", json={}),
        ]
        assert {(a.status_code, a.get_json()["code"]) for a in answers} == {(403, "not_permitted")}
        tries = [e for e in audit_of(services, alice.organisation_id) if e.action == "link.used"]
        assert [str(entry.participant_id) for entry in tries] == [person["id"]] * 4
        assert queue(alice, session) == [person["id"]]

    def test_a_dead_link_moderates_nothing(
        self, app: Flask, alice: Hospital, session: dict[str, Any]
    ) -> None:
        doctor = alice.invite(session["id"], "doctor")
        page, mine = app.test_client(), f"/j/{code_of(doctor)}/waiting"
        alice.delete(f"/sessions/{session['id']}/participants/{doctor['id']}")
        assert page.get(mine).get_json()["code"] == "participant_removed"
        assert page.get("/j/nobodyslink/waiting").get_json()["code"] == "link_unknown"

    def test_a_message_that_is_none_is_refused(
        self, app: Flask, alice: Hospital, session: dict[str, Any], patient: dict[str, Any]
    ) -> None:
        entered(app, patient)
        doctor = alice.invite(session["id"], "doctor")
        way = f"/j/{code_of(doctor)}/waiting/{patient['id']}/deny"
        answer = app.test_client().post(way, json={"message": ["no"]})
        assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_request")
        assert queue(alice, session) == [patient["id"]]


class TestFromProsody:
    """The lobby asks for who waits there, and tells what moderators do with Jitsi's controls."""

    @pytest.fixture
    def waiter(
        self, alice: Hospital, services: Services, session: dict[str, Any], prosody: Prosody
    ) -> Someone:
        someone = invite(services, alice, session)
        assert prosody.ask(**someone.question())["code"] == "not-admitted"
        return someone

    def decide(self, prosody: Prosody, room: str, actor: str, person: str, what: str) -> Any:
        body = {"room": room, "actor_id": actor, "participant_id": person, "decision": what}
        return prosody.post(IN_CALL, orjson.dumps(body)).get_json()

    def test_asking_is_a_sign_of_life_and_no_refusal(
        self, alice: Hospital, services: Services, session: dict[str, Any], waiter: Someone
    ) -> None:
        assert queue(alice, session) == [waiter.id]
        actions = [e.action for e in audit_of(services, alice.organisation_id)]
        assert "participant.waiting" in actions
        assert "room.entry_refused" not in actions

    def test_leaving_the_lobby_ends_the_wait(
        self, alice: Hospital, session: dict[str, Any], prosody: Prosody, waiter: Someone
    ) -> None:
        prosody.tell(waiter.event("lobby.left"))
        assert queue(alice, session) == []
        prosody.ask(**waiter.question())
        assert queue(alice, session) == [waiter.id]

    @pytest.mark.parametrize("what", ["admitted", "denied"])
    def test_a_moderators_decision_counts(
        self, session: dict[str, Any], prosody: Prosody, waiter: Someone, what: str
    ) -> None:
        doctor = invite(prosody.services, waiter.hospital, session, "doctor")
        answer = self.decide(prosody, waiter.room, doctor.id, waiter.id, what)
        assert answer == {"done": True, "code": ""}
        asked = prosody.ask(**waiter.question())
        assert asked["allow"] is (what == "admitted")
        assert asked.get("code") == (None if asked["allow"] else "denied")
        told = next(
            e for e in events_of(prosody.services, session["id"]) if e.type.endswith(f".{what}")
        )
        assert told.data["by"] == "participant"

    def test_nobody_elses_does(
        self,
        alice: Hospital,
        services: Services,
        session: dict[str, Any],
        prosody: Prosody,
        waiter: Someone,
    ) -> None:
        """Of another room, removed, without the right, unknown: whatever the room believes."""
        stranger = invite(services, alice, alice.new_session(), "doctor")
        removed = invite(prosody.services, waiter.hospital, session, "doctor")
        alice.delete(f"/sessions/{session['id']}/participants/{removed.id}")
        relative = invite(services, alice, session, "relative")
        for actor in (stranger.id, removed.id, relative.id, waiter.id, str(uuid4()), "x"):
            answer = self.decide(prosody, waiter.room, actor, waiter.id, "admitted")
            assert answer == {"done": False, "code": "not_moderator"}
        doctor = invite(prosody.services, waiter.hospital, session, "doctor")
        for person, code in ((relative.id, "not_waiting"), (stranger.id, "participant_not_found")):
            answer = self.decide(prosody, waiter.room, doctor.id, person, "admitted")
            assert answer == {"done": False, "code": code}
        assert queue(alice, session) == [waiter.id]

    def test_only_prosody_tells(self, app: Flask, alice: Hospital) -> None:
        assert app.test_client().post(IN_CALL, data=b"{}").status_code == 401

    def test_a_denied_person_does_not_come_back_on_an_old_link(
        self,
        alice: Hospital,
        services: Services,
        session: dict[str, Any],
        prosody: Prosody,
        waiter: Someone,
    ) -> None:
        """The rule for who was inside when the link ran out opens no door that was shut."""
        alice.post(path(session, f"/{waiter.id}/deny"))
        alter(
            services,
            "UPDATE teleconference.links SET expires_at = now() - interval '1 s' WHERE id = :id",
            id=waiter.link_id,
        )
        alter(
            services,
            "UPDATE teleconference.participants SET state = 'left' WHERE id = :id",
            id=waiter.id,
        )
        assert prosody.ask(**waiter.question())["code"] == "denied"
