"""The click: a personal link becomes a Jitsi token, a reason to wait, or a refusal."""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from app.clock import utc_now
from app.services import Services
from tests.api.clicks import claims_of, click, entered
from tests.api.hospital import Hospital
from tests.api.prosody import Prosody, invite
from tests.api.records import alter, audit_of, code_of, statements

JITSI = {
    "public_url": "",
    "domain": "meet.localhost",
    "muc": "conference.meet.localhost",
    "focus": "focus.meet.localhost",
    "hidden": "recorder.meet.localhost",
}


def in_seconds(seconds: float) -> str:
    """Return a moment from now as the API takes it."""
    return (utc_now() + timedelta(seconds=seconds)).isoformat()


class TestWhoMayEnter:
    """States of session, person, link and room."""

    def test_a_doctor_gets_everything_a_client_needs(self, app: Flask, alice: Hospital) -> None:
        """Contract, section 8: these members and no others."""
        session = alice.new_session()
        doctor = alice.invite(session["id"], "doctor", display_name="Dr. Alice", locale="de")
        answer = click(app, doctor)
        assert answer.headers["Cache-Control"] == "no-store"
        body = answer.get_json()
        token, expires_at = body.pop("jwt"), datetime.fromisoformat(body.pop("expires_at"))
        jitsi = body.pop("jitsi")
        assert jitsi.pop("websocket_url").startswith("ws://meet.localhost:")
        assert jitsi == JITSI
        assert body == {
            "state": "ready",
            "room": session["room_name"],
            "display_name": "Dr. Alice",
            "role": "doctor",
            "permissions": sorted(body["permissions"]),
            "language": "de",
            "links": {},
        }
        assert "moderate" in body["permissions"]
        assert claims_of(app, token)["exp"] == int(expires_at.timestamp())

    @pytest.mark.parametrize(
        "role", ["patient", "paramedic", "interpreter", "relative", "observer"]
    )
    def test_who_is_no_host_waits_for_one(
        self, app: Flask, alice: Hospital, prosody: Prosody, services: Services, role: str
    ) -> None:
        """200 `waiting`; ready while a host is in the room, and waiting again when not."""
        session = alice.new_session()
        guest = alice.invite(session["id"], role)
        doctor = invite(services, alice, session, "doctor")
        waiting = {"state": "waiting", "reason": "waiting-for-host", "opens_at": None, "poll_s": 2}
        assert entered(app, guest) == waiting
        prosody.tell(doctor.joined())
        assert entered(app, guest)["state"] == "ready"
        prosody.tell(doctor.left())
        assert entered(app, guest) == waiting

    def test_another_guest_in_the_room_is_no_host(
        self, app: Flask, alice: Hospital, prosody: Prosody, services: Services
    ) -> None:
        """Two patients do not open the door for each other."""
        session = alice.new_session()
        guest = alice.invite(session["id"])
        prosody.tell(invite(services, alice, session, "relative").joined())
        assert entered(app, guest)["state"] == "waiting"

    def test_a_paramedic_is_a_host_in_an_emergency(self, app: Flask, alice: Hospital) -> None:
        """And nobody has to be there first."""
        session = alice.new_session(kind="emergency")
        assert entered(app, alice.invite(session["id"], "paramedic"))["state"] == "ready"

    def test_before_the_time_everybody_waits(self, app: Flask, alice: Hospital) -> None:
        """Also the doctor; the answer says when the door opens."""
        start = utc_now().replace(microsecond=0) + timedelta(hours=2)
        session = alice.new_session(planned_start=start.isoformat())
        body = entered(app, alice.invite(session["id"], "doctor"))
        assert (body["state"], body["reason"]) == ("waiting", "too-early")
        assert datetime.fromisoformat(body["opens_at"]) == start - timedelta(seconds=900)

    def test_the_door_opens_a_quarter_of_an_hour_early(self, app: Flask, alice: Hospital) -> None:
        """`EARLY_JOIN_S`, on either side of the edge."""
        inside = alice.new_session(planned_start=in_seconds(890))
        outside = alice.new_session(planned_start=in_seconds(930))
        assert entered(app, alice.invite(inside["id"], "doctor"))["state"] == "ready"
        assert entered(app, alice.invite(outside["id"], "doctor"))["state"] == "waiting"

    def test_an_expired_link_is_gone(self, app: Flask, alice: Hospital, services: Services) -> None:
        """410."""
        person = alice.invite(alice.new_session()["id"], "doctor")
        alter(
            services,
            "UPDATE teleconference.links SET expires_at = now() WHERE participant_id = :id",
            id=UUID(person["id"]),
        )
        answer = click(app, person)
        assert (answer.status_code, answer.get_json()["code"]) == (410, "link_expired")

    @pytest.mark.parametrize("code", ["a" * 26, "x", "%00", "a" * 5000, "%ff%fe", "Ünïcode", "'--"])
    def test_a_guessed_link_is_unknown(self, app: Flask, code: str) -> None:
        """404, and a stranger's try is audited without the code."""
        answer = app.test_client().post(f"/j/{code}/token")
        assert (answer.status_code, answer.get_json()["code"]) == (404, "link_unknown")
        assert app.test_client().get(f"/j/{code}/state").status_code == 404

    def test_every_click_is_audited(self, app: Flask, alice: Hospital, services: Services) -> None:
        """Who got in with which outcome, and strangers too."""
        session = alice.new_session()
        doctor = alice.invite(session["id"], "doctor")
        entered(app, doctor)
        alice.delete(f"/sessions/{session['id']}/participants/{doctor['id']}")
        click(app, doctor)
        opened = [e for e in audit_of(services, alice.organisation_id) if e.action == "link.opened"]
        assert [(e.outcome, e.detail) for e in opened] == [
            ("done", {}),
            ("refused", {"code": "participant_removed"}),
        ]
        assert {(e.actor_kind, e.actor_id) for e in opened} == {("participant", doctor["id"])}
        before = len(audit_of(services, None))
        app.test_client().post("/j/nobodys/token")
        stranger = audit_of(services, None)[-1]
        assert len(audit_of(services, None)) == before + 1
        assert (stranger.actor_kind, stranger.detail) == ("stranger", {"code": "link_unknown"})


class TestPermissions:
    """What the token lets a person do."""

    def test_the_organisation_decides_differently(
        self, app: Flask, alice: Hospital, services: Services
    ) -> None:
        """Its nurses prescribe; its doctors do not chat."""
        alter(
            services,
            "UPDATE teleconference.organisations SET permissions = CAST(:p AS jsonb)"
            " WHERE id = :id",
            p='{"nurse": {"share_prescriptions": true}, "doctor": {"chat": false}}',
            id=alice.organisation_id,
        )
        session = alice.new_session()
        nurse = entered(app, alice.invite(session["id"], "nurse"))
        doctor = entered(app, alice.invite(session["id"], "doctor"))
        assert "share_prescriptions" in nurse["permissions"]
        assert "chat" not in doctor["permissions"]
        assert claims_of(app, doctor["jwt"])["context"]["features"]["send-groupchat"] is False

    def test_a_single_person_is_granted_and_refused(self, app: Flask, alice: Hospital) -> None:
        """A patient who may come alone and moderate, but not chat."""
        session = alice.new_session()
        person = alice.invite(session["id"])
        granted = {"enter_without_host": True, "moderate": True, "chat": False}
        alice.patch(
            f"/sessions/{session['id']}/participants/{person['id']}",
            json={"permissions": granted},
            headers={"If-Match": '"1"'},
        )
        body = entered(app, person)
        permissions = set(body["permissions"])
        assert permissions >= {"enter_without_host", "moderate", "share_files"}
        assert "chat" not in permissions
        assert claims_of(app, body["jwt"])["context"]["user"]["affiliation"] == "owner"


class TestState:
    """`GET /j/{code}/state`, which the waiting page asks every two seconds."""

    def test_it_says_who_may_enter_and_why_not(
        self, app: Flask, alice: Hospital, prosody: Prosody, services: Services
    ) -> None:
        """Waiting, then welcome."""
        session = alice.new_session()
        guest = alice.invite(session["id"])
        path = f"/j/{code_of(guest)}/state"
        state: dict[str, Any] = {"session_state": "active", "participant_state": "invited"}
        nothing = {"state": "", "reason": None, "consent": "missing", "is_asked": False}
        state |= {"waiting": None, "message": None, "recording": nothing}
        waiting = {**state, "may_enter": False, "reason": "waiting-for-host"}
        assert app.test_client().get(path).get_json() == waiting
        prosody.tell(invite(services, alice, session, "nurse").joined())
        welcome = {**state, "may_enter": True, "reason": ""}
        assert app.test_client().get(path).get_json() == welcome

    def test_it_is_cheap_and_leaves_no_trace(
        self, app: Flask, alice: Hospital, services: Services
    ) -> None:
        """One statement, no audit entry: it is asked thirty times a minute."""
        path = f"/j/{code_of(alice.invite(alice.new_session()['id']))}/state"
        before = len(audit_of(services, alice.organisation_id))
        app.test_client().get(path)
        with statements(services) as seen:
            app.test_client().get(path)
        assert len(seen) == 1
        assert len(audit_of(services, alice.organisation_id)) == before


def test_an_exchange_takes_at_most_three_statements(
    app: Flask, alice: Hospital, services: Services
) -> None:
    """The goal of the issue; with the key at hand it takes two."""
    doctor = alice.invite(alice.new_session()["id"], "doctor")
    entered(app, doctor)
    with statements(services) as seen:
        entered(app, doctor)
    assert len(seen) <= 3
    assert all(statement.startswith("EXECUTE ") for statement in seen)


def test_neither_code_nor_token_nor_name_is_logged(
    app: Flask,
    alice: Hospital,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Good and bad clicks, at the most talkative level."""
    session = alice.new_session()
    doctor = alice.invite(
        session["id"], "doctor", display_name="Zebedee Quagga", email="z.quagga@example.org"
    )
    with caplog.at_level(logging.DEBUG):
        token = entered(app, doctor)["jwt"]
        app.test_client().get(f"/j/{code_of(doctor)}/state")
        alice.delete(f"/sessions/{session['id']}/participants/{doctor['id']}")
        click(app, doctor)
    out, err = capfd.readouterr()
    written = caplog.text + out + err
    for secret in (code_of(doctor), token, "Quagga", "quagga", alice.token):
        assert secret not in written
