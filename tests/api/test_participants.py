"""Inviting, reading and changing people: TST-TC003-1 as far as the API alone can show it."""

import base64
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.adapters.memory import MemoryRooms
from app.localstack.supervisor import LocalStack
from app.participants.permissions import Role
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.records import audit_of, code_of, dump, events_of, links_of, orders_of, statements


@pytest.fixture
def session(alice: Hospital) -> dict[str, Any]:
    """An open session."""
    return alice.new_session()


def path_of(person: dict[str, Any]) -> str:
    """Return the address of a participant."""
    return f"/sessions/{person['session_id']}/participants/{person['id']}"


def change(hospital: Hospital, person: dict[str, Any], **body: Any) -> TestResponse:
    """PATCH a participant at the version that was read."""
    headers = {"If-Match": f'"{person["version"]}"'}
    return hospital.patch(path_of(person), json=body, headers=headers)


class TestInviting:
    """`POST /sessions/{id}/participants`."""

    @pytest.mark.parametrize("role", [str(role) for role in Role])
    def test_a_person_of_any_role_gets_a_link(
        self, alice: Hospital, session: dict[str, Any], role: str
    ) -> None:
        """The answer says who was invited and shows the link."""
        person = alice.invite(session["id"], role, display_name="Zoë  O'Neil-\u200cنام")
        assert (person["role"], person["state"], person["version"]) == (role, "invited", 1)
        assert person["display_name"] == "Zoë  O'Neil-\u200cنام"
        assert (person["locale"], person["email"], person["permissions"]) == ("en", None, {})
        base = alice.app.extensions["teleconsult"].settings.public_url
        assert person["link"].startswith(f"{base}/j/")
        code = code_of(person)
        assert len(code) == 26
        assert len(base64.b32decode(code.upper() + "======")) == 16

    def test_during_the_call_as_well(self, alice: Hospital, session: dict[str, Any]) -> None:
        """S3: the session is active, and one more comes."""
        assert session["state"] == "active"
        assert alice.invite(session["id"], "interpreter")["state"] == "invited"

    def test_it_is_told_and_audited_without_the_name(
        self, alice: Hospital, services: Services, session: dict[str, Any]
    ) -> None:
        """Ids, role and the hospital's own reference."""
        person = alice.invite(
            session["id"], display_name="Bob Secret", email="bob@secret.example", reference="p-1"
        )
        told = events_of(services, session["id"])[-1]
        assert told.type == "participant.invited"
        assert told.data == {
            "session_id": session["id"],
            "participant_id": person["id"],
            "role": "patient",
            "participant_reference": "p-1",
        }
        entry = audit_of(services, alice.organisation_id)[-1]
        assert (entry.action, str(entry.participant_id)) == ("participant.invited", person["id"])
        assert "ecret" not in str([entry.detail, told.data])

    def test_the_link_is_shown_once(self, alice: Hospital, session: dict[str, Any]) -> None:
        """Reading and listing do not show it again."""
        person = alice.invite(session["id"])
        shown = {k: v for k, v in person.items() if not k.startswith("link")}
        read = alice.get(path_of(person))
        listed = alice.get(f"/sessions/{session['id']}/participants")
        assert read.get_json() == shown
        assert listed.get_json()["items"] == [shown]
        assert code_of(person) not in read.text + listed.text

    def test_nothing_in_the_database_is_a_link(
        self, alice: Hospital, postgres: LocalStack, session: dict[str, Any]
    ) -> None:
        """Whoever steals a backup has hashes, and the key is not in it."""
        path = f"/sessions/{session['id']}/participants"
        body = {"role": "doctor", "display_name": "Dr. Alice"}
        person = alice.post(path, json=body, headers={"Idempotency-Key": "one"}).get_json()
        replaced = alice.post(f"{path_of(person)}/link").get_json()
        everything = dump(postgres)
        assert person["id"] in everything
        for code in (code_of(person), code_of(replaced)):
            raw = base64.b32decode(code.upper() + "======")
            assert code not in everything
            assert code.upper() not in everything
            assert raw.hex() not in everything

    def test_every_link_is_another_one(self, alice: Hospital, session: dict[str, Any]) -> None:
        """Also of two people with the same name in the same session."""
        codes = {code_of(alice.invite(session["id"])) for _ in range(5)}
        assert len(codes) == 5


class TestReplacingALink:
    """`POST …/link`."""

    def test_the_old_link_is_dead_and_the_new_one_works(
        self, alice: Hospital, services: Services, session: dict[str, Any]
    ) -> None:
        """410 with the reason for the old one."""
        old = alice.invite(session["id"], "doctor")
        answer = alice.post(f"{path_of(old)}/link")
        assert answer.status_code == 201
        browser = alice.app.test_client()
        click = browser.post(f"/j/{code_of(old)}/token")
        assert (click.status_code, click.get_json()["code"]) == (410, "link_revoked")
        assert browser.post(f"/j/{code_of(answer.get_json())}/token").status_code == 200
        assert events_of(services, session["id"])[-1].type == "link.replaced"
        assert audit_of(services, alice.organisation_id)[-2].action == "link.opened"

    def test_who_is_in_the_room_on_the_old_link_is_put_out_but_not_banned(
        self, alice: Hospital, session: dict[str, Any], live: MemoryRooms
    ) -> None:
        """Whoever found the old link is out; the person comes back on the new one."""
        person = alice.invite(session["id"])
        live.enter(session["room_name"], person["id"])
        assert alice.post(f"{path_of(person)}/link").status_code == 201
        room = live.rooms[session["room_name"]]
        assert (room.occupants, room.banned) == ({}, set())

    def test_there_is_never_more_than_one_live_link(
        self, alice: Hospital, services: Services, session: dict[str, Any]
    ) -> None:
        """Also when it is replaced several times."""
        person = alice.invite(session["id"])
        for _ in range(3):
            assert alice.post(f"{path_of(person)}/link").status_code == 201
        alive = [link.revoked_at is None for link in links_of(services, person["id"])]
        assert alive == [False, False, False, True]


class TestChanging:
    """`PATCH …/participants/{id}`."""

    def test_only_what_is_named_changes(self, alice: Hospital, session: dict[str, Any]) -> None:
        """And the version grows."""
        person = alice.invite(session["id"], email="bob@example.org")
        answer = change(alice, person, display_name="Robert", locale="fr")
        assert answer.status_code == 200
        changed = answer.get_json()
        assert (changed["display_name"], changed["locale"]) == ("Robert", "fr")
        assert (changed["email"], changed["version"]) == ("bob@example.org", 2)
        assert change(alice, changed, email=None).get_json()["email"] is None

    def test_an_old_version_changes_nothing(self, alice: Hospital, session: dict[str, Any]) -> None:
        """412, and 428 without one."""
        person = alice.invite(session["id"])
        change(alice, person, locale="de")
        assert change(alice, person, locale="fr").get_json()["code"] == "version_outdated"
        answer = alice.patch(path_of(person), json={"locale": "fr"})
        assert answer.get_json()["code"] == "precondition_required"
        assert alice.get(path_of(person)).get_json()["locale"] == "de"

    def test_moderating_is_granted_and_taken_in_the_live_room(
        self, alice: Hospital, session: dict[str, Any], live: MemoryRooms
    ) -> None:
        """S9: the room follows at once."""
        person = alice.invite(session["id"])
        live.enter(session["room_name"], person["id"])
        occupants = live.rooms[session["room_name"]].occupants
        granted = change(alice, person, permissions={"moderate": True})
        assert (granted.status_code, occupants) == (200, {person["id"]: "owner"})
        taken = change(alice, granted.get_json(), permissions={})
        assert (taken.status_code, occupants) == (200, {person["id"]: "member"})

    def test_without_a_gateway_the_room_will_be_told(
        self, alice: Hospital, services: Services, session: dict[str, Any], live: MemoryRooms
    ) -> None:
        """202, and only the newest order waits."""
        person = alice.invite(session["id"])
        live.alive = False
        first = change(alice, person, permissions={"moderate": True})
        second = change(alice, first.get_json(), permissions={"moderate": False})
        assert (first.status_code, second.status_code) == (202, 202)
        states = [(o.args["affiliation"], o.state) for o in orders_of(services, session["id"])]
        assert states == [("owner", "failed"), ("member", "pending")]

    def test_a_new_name_does_not_disturb_the_room(
        self, alice: Hospital, services: Services, session: dict[str, Any]
    ) -> None:
        """Nothing the room would have to know."""
        person = alice.invite(session["id"])
        change(alice, person, display_name="Robert")
        assert orders_of(services, session["id"]) == []

    def test_what_changed_is_audited_by_name_of_the_field_only(
        self, alice: Hospital, services: Services, session: dict[str, Any]
    ) -> None:
        """The log says that the address changed, not to what."""
        change(alice, alice.invite(session["id"]), email="new@secret.example")
        entry = audit_of(services, alice.organisation_id)[-1]
        assert (entry.action, entry.detail) == ("participant.updated", {"fields": ["email"]})
        assert "secret" not in str(events_of(services, session["id"])[-1].data)


def test_pages_of_participants_hold_everybody_once(
    alice: Hospital, session: dict[str, Any]
) -> None:
    """Newest first, as sessions."""
    made = [alice.invite(session["id"])["id"] for _ in range(5)]
    path = f"/sessions/{session['id']}/participants"
    walked: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while query:
        page = alice.get(path, query_string=query).get_json()
        walked += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        query = {"limit": 2, "cursor": cursor} if cursor else {}
    assert walked == made[::-1]


def test_a_list_costs_the_same_number_of_statements_whatever_its_length(
    alice: Hospital, services: Services, session: dict[str, Any]
) -> None:
    """No query per row."""
    path = f"/sessions/{session['id']}/participants"
    counts = []
    for _ in range(2):
        with statements(services) as seen:
            alice.get(path)
        counts.append(len(seen))
        for _ in range(5):
            alice.invite(session["id"])
    assert counts[0] == counts[1]
