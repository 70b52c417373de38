"""Break-glass: entered uninvited, told to the room, and signed off by somebody else."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.adapters.memory import MemoryRooms
from app.clock import utc_now
from app.participants.permissions import IN_AN_EMERGENCY, Permission, Role
from app.services import Services
from app.web.auth import SCOPES, issue_token
from tests.api.hospital import Hospital, admit_hospital
from tests.api.prosody import Prosody, invite
from tests.api.records import audit_of, dump, events_of, types_of

REASON = "Cardiac arrest at Hauptstrasse, the team asks for a doctor."
BODY = {"reason": REASON, "display_name": "Medic 7"}


@pytest.fixture
def session(alice: Hospital) -> dict[str, Any]:
    """An open emergency."""
    return alice.new_session(kind="emergency")


@pytest.fixture
def reviewer(app: Flask, services: Services, alice: Hospital) -> Hospital:
    """Another program of the same hospital."""
    other = admit_hospital(app, services, "Reviewers of Alice")
    return Hospital(app, alice.organisation_id, other.client_id, "", _token(services, alice, other))


def _token(services: Services, alice: Hospital, other: Hospital) -> str:
    return issue_token(
        client_id=other.client_id,
        organisation_id=alice.organisation_id,
        scopes=tuple(SCOPES),
        secret=services.settings.api_token_secret[0],
        ttl_s=900,
        now=utc_now(),
    )


def enter(hospital: Hospital, session: dict[str, Any], **body: Any) -> TestResponse:
    """Ask for an entry."""
    return hospital.post(f"/sessions/{session['id']}/emergency-entries", json={**BODY, **body})


def click(hospital: Hospital, entered: dict[str, Any]) -> TestResponse:
    """Open the link of an answer."""
    code = entered["participant"]["link"].rsplit("/", 1)[1]
    return hospital.app.test_client().post(f"/j/{code}/token")


def test_the_link_works_at_once_and_alone(alice: Hospital, session: dict[str, Any]) -> None:
    """Nobody has to be there first, and nobody has to let them in."""
    entered = enter(alice, session)
    assert entered.status_code == 201, entered.text
    assert entered.get_json()["participant"]["role"] == "paramedic"
    assert click(alice, entered.get_json()).get_json()["state"] == "ready"


def test_a_planned_emergency_begins_with_it(alice: Hospital) -> None:
    """Its door would open too late."""
    session = alice.new_session(kind="emergency", planned_start="2100-01-01T09:00:00Z")
    entered = enter(alice, session).get_json()
    assert alice.get(f"/sessions/{session['id']}").get_json()["state"] == "active"
    assert click(alice, entered).get_json()["state"] == "ready"


def test_each_moderator_inside_is_told_in_their_language(
    services: Services,
    alice: Hospital,
    prosody: Prosody,
    live: MemoryRooms,
    session: dict[str, Any],
) -> None:
    """And nobody else: a patient is not made to worry."""
    doctor = invite(services, alice, session, "doctor")
    alice.patch(
        f"/sessions/{session['id']}/participants/{doctor.id}",
        json={"locale": "de"},
        headers={"If-Match": '"1"'},
    )
    patient = invite(services, alice, session, "patient")
    prosody.tell(doctor.joined(), patient.joined(connection="c2"))
    for person in (doctor, patient):
        live.enter(session["room_name"], person.id)
    enter(alice, session)
    said = live.rooms[session["room_name"]].said
    assert [person for person, _ in said] == [doctor.id]
    assert "Medic 7 (Rettungsdienst) betritt diesen Notfall ohne Einladung" in said[0][1]


def test_without_a_gateway_the_link_is_given_all_the_same(
    alice: Hospital, live: MemoryRooms, session: dict[str, Any]
) -> None:
    """Telling the room is not worth a delay."""
    live.alive = False
    assert enter(alice, session).status_code == 201


def test_the_reason_is_for_the_reviewers_only(
    alice: Hospital, services: Services, session: dict[str, Any]
) -> None:
    """Events and audit entries name the entry, not what somebody wrote of a patient."""
    entry = enter(alice, session).get_json()["entry"]
    told = [e for e in events_of(services, session["id"]) if e.type == "emergency.entered"]
    assert [e.data["entry_id"] for e in told] == [entry["id"]]
    entries = [e for e in audit_of(services, alice.organisation_id) if "emergency" in e.action]
    assert [(e.action, e.outcome) for e in entries] == [("emergency.entered", "done")]
    kept = [str(e.data) for e in told] + [str(e.detail) for e in entries]
    assert not any("Cardiac" in text for text in kept)


def test_the_queue_holds_it_until_it_is_signed_off(
    alice: Hospital, reviewer: Hospital, services: Services, session: dict[str, Any]
) -> None:
    """Then it is in the list of the reviewed."""
    entry = enter(alice, session).get_json()["entry"]
    assert queue(reviewer) == [entry["id"]]
    assert queue(reviewer, session_id=session["id"]) == [entry["id"]]
    verdict = {"outcome": "justified", "note": "Confirmed by the control centre."}
    answer = reviewer.post(f"/emergency-entries/{entry['id']}/review", json=verdict)
    assert answer.status_code == 200
    assert answer.get_json()["reviewed_by"] == str(reviewer.client_id)
    assert queue(reviewer) == []
    assert queue(reviewer, reviewed="true") == [entry["id"]]
    assert types_of(services, session["id"])[-1] == "emergency.reviewed"


def queue(hospital: Hospital, **query: Any) -> list[str]:
    """Return the ids in the queue of reviews."""
    answer = hospital.get("/emergency-entries", query_string={"reviewed": "false", **query})
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.get_json()["items"]]


def test_whoever_entered_does_not_review(alice: Hospital, session: dict[str, Any]) -> None:
    """Four eyes."""
    entry = enter(alice, session).get_json()["entry"]
    answer = alice.post(f"/emergency-entries/{entry['id']}/review", json={"outcome": "justified"})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "own_entry")


def test_a_verdict_stands(
    alice: Hospital, reviewer: Hospital, services: Services, session: dict[str, Any]
) -> None:
    """The same again changes nothing and is told once; another one is refused."""
    entry = enter(alice, session).get_json()["entry"]
    path = f"/emergency-entries/{entry['id']}/review"
    first = reviewer.post(path, json={"outcome": "unjustified"}).get_json()
    assert reviewer.post(path, json={"outcome": "unjustified"}).get_json() == first
    other = reviewer.post(path, json={"outcome": "justified"})
    assert (other.status_code, other.get_json()["code"]) == (409, "already_reviewed")
    assert types_of(services, session["id"]).count("emergency.reviewed") == 1


def test_of_two_verdicts_at_once_one_stands(
    alice: Hospital, reviewer: Hospital, session: dict[str, Any]
) -> None:
    """The other is told so."""
    entry = enter(alice, session).get_json()["entry"]
    path = f"/emergency-entries/{entry['id']}/review"
    bodies = [{"outcome": "justified"}, {"outcome": "unjustified"}] * 2
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda body: reviewer.post(path, json=body), bodies))
    assert sorted({a.status_code for a in answers}) == [200, 409]
    assert len({a.get_json()["outcome"] for a in answers if a.status_code == 200}) == 1


def test_a_consultation_is_not_entered_uninvited(alice: Hospital) -> None:
    """There is time to invite."""
    answer = enter(alice, alice.new_session())
    assert (answer.status_code, answer.get_json()["code"]) == (409, "not_an_emergency")


def test_an_ended_emergency_is_not_entered(alice: Hospital, session: dict[str, Any]) -> None:
    """It is over for everybody."""
    alice.post(f"/sessions/{session['id']}/end")
    answer = enter(alice, session)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "session_ended")


@pytest.mark.parametrize("role", list(Role))
def test_the_table_says_which_roles_may(
    alice: Hospital, session: dict[str, Any], role: Role
) -> None:
    """As everywhere; a changed table changes this test."""
    may = Permission.ENTER_UNINVITED in IN_AN_EMERGENCY.get(role, frozenset())
    answer = enter(alice, session, role=str(role))
    assert answer.status_code == (201 if may else 403)
    assert may or answer.get_json()["code"] == "role_may_not_enter"


def test_a_repeat_makes_no_second_person(
    alice: Hospital, services: Services, session: dict[str, Any]
) -> None:
    """With the same key it is the same entry and the same link."""
    path, key = f"/sessions/{session['id']}/emergency-entries", {"Idempotency-Key": "siren"}
    first, second = (alice.post(path, json=BODY, headers=key).get_json() for _ in range(2))
    assert first == second
    assert types_of(services, session["id"]).count("emergency.entered") == 1


def test_another_hospital_sees_and_reviews_nothing(
    alice: Hospital, charlie: Hospital, session: dict[str, Any]
) -> None:
    """Its ids are unknown there."""
    entry = enter(alice, session).get_json()["entry"]
    assert enter(charlie, session).status_code == 404
    assert charlie.get(f"/emergency-entries/{entry['id']}").status_code == 404
    verdict = charlie.post(
        f"/emergency-entries/{entry['id']}/review", json={"outcome": "justified"}
    )
    assert verdict.get_json()["code"] == "emergency_entry_not_found"
    assert queue(charlie) == []


@pytest.mark.parametrize(
    "body", [{"reason": "!"}, {"reason": "x" * 1001}, {"role": "boss"}, {"severity": 1}]
)
def test_a_strange_entry_is_refused(
    alice: Hospital, session: dict[str, Any], body: dict[str, Any]
) -> None:
    """With the field's name, and nobody is let in."""
    answer = enter(alice, session, **body)
    assert answer.status_code == 422
    assert answer.get_json()["field"] == next(iter(body))
    assert alice.get(f"/sessions/{session['id']}/participants").get_json()["items"] == []


@pytest.mark.parametrize(
    ("scope", "path"),
    [("emergency:review", "/sessions/{id}/emergency-entries"), ("emergency:enter", "")],
)
def test_entering_and_reviewing_are_two_scopes(
    app: Flask, services: Services, scope: str, path: str
) -> None:
    """Whoever has one of them cannot do the other."""
    hospital = admit_hospital(app, services, "Narrow", scopes=["sessions:write", scope])
    session = hospital.new_session(kind="emergency")
    answer = (
        hospital.post(path.format(id=session["id"]), json=BODY)
        if path
        else hospital.get("/emergency-entries")
    )
    assert (answer.status_code, answer.get_json()["code"]) == (403, "scope_missing")


def test_names_and_reasons_are_not_in_what_leaves(
    alice: Hospital, postgres: Any, session: dict[str, Any]
) -> None:
    """The words are in the table of entries, once."""
    words = "Unmistakable words about the patient in Lindenweg."
    assert enter(alice, session, reason=words).status_code == 201
    assert dump(postgres).count(words) == 1
