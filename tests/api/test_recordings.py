"""Recordings over REST and as Prosody asks and tells: nobody is recorded without consent."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from flask import Flask

from app.adapters.memory import MemoryRooms
from app.clock import utc_now
from app.consents.texts import ours
from app.recordings import sweep
from app.recordings.states import LIVE, TRANSITIONS, State, Step
from app.rooms import commands
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.prosody import Prosody, Someone, invite
from tests.api.records import alter, audit_of, code_of, events_of, links_of, types_of

GATE = "/internal/rooms/recording"
TEXT = ours("recording", "en")


class Call:
    """A doctor and a patient in the room of one session."""

    def __init__(self, hospital: Hospital, services: Services, prosody: Prosody) -> None:
        self.hospital, self.services, self.prosody = hospital, services, prosody
        self.session = hospital.new_session()
        self.doctor = invite(services, hospital, self.session, "doctor")
        self.patient = invite(services, hospital, self.session)
        for person in (self.doctor, self.patient):
            self.enter(person)

    def enter(self, person: Someone) -> None:
        """Let somebody come in."""
        assert isinstance(self.services.rooms, MemoryRooms)
        self.services.rooms.enter(person.room, person.id)
        assert self.prosody.tell(person.joined()) == 1

    def say(self, person: Someone, act: str) -> None:
        """Let somebody say something about being recorded."""
        body = {"participant_id": person.id, "act": act, "text_sha256": TEXT.sha256}
        answer = self.hospital.post(f"/sessions/{self.session['id']}/consents", json=body)
        assert answer.status_code == 201, answer.text

    def agree(self) -> None:
        """Let both agree."""
        self.say(self.doctor, "given")
        self.say(self.patient, "given")

    def record(self, **body: Any) -> Any:
        """Ask for a recording."""
        return self.hospital.post(f"/sessions/{self.session['id']}/recordings", json=body)

    @property
    def recordings(self) -> list[dict[str, Any]]:
        """All of the session, newest first."""
        path = f"/sessions/{self.session['id']}/recordings"
        return list(self.hospital.get(path).get_json()["items"])

    @property
    def stands(self) -> Any:
        """State and reason of the newest."""
        newest = self.recordings[0]
        return newest["state"], newest["reason"]

    @property
    def told(self) -> list[str]:
        """What the room was told."""
        assert isinstance(self.services.rooms, MemoryRooms)
        return [what for what, _ in self.services.rooms.rooms[self.session["room_name"]].recorded]

    def gate(self, *occupants: str | None, **asked: Any) -> dict[str, Any]:
        """Ask as the room does before it asks for a recorder."""
        question = {"room": self.session["room_name"], "occupants": list(occupants), **asked}
        return dict(self.prosody.post(GATE, orjson.dumps(question)).get_json())

    def starts(self) -> str:
        """Pass the gate with those inside, and return the recording's id."""
        recording = self.recordings[0]["id"]
        answer = self.gate(self.doctor.id, self.patient.id, recording_id=recording)
        assert answer == {"allow": True, "recording_id": recording}
        return str(recording)

    def focus(self, status: str, **more: Any) -> None:
        """Let the focus say where the recording stands."""
        event = self.doctor.event("recording.status", status=status, **more)
        assert self.prosody.tell(event) == 1

    def runs(self) -> None:
        """Let it be recorded."""
        self.agree()
        assert self.record().status_code == 202
        self.starts()
        self.focus("pending", reference="jitsi-1")
        self.focus("on", reference="jitsi-1")
        assert self.stands == ("active", None)

    def look(self, seconds: float = 0) -> None:
        """Let the relay look, so many seconds later."""
        sweep.sweep(self.services, now=utc_now() + timedelta(seconds=seconds))


@pytest.fixture
def call(alice: Hospital, services: Services, prosody: Prosody) -> Call:
    return Call(alice, services, prosody)


@pytest.fixture
def late(call: Call) -> Callable[[str], Someone]:
    """Invites somebody to the call."""
    return lambda role: invite(call.services, call.hospital, call.session, role)


def test_without_consent_nothing_is_even_asked_of_the_room(call: Call) -> None:
    """409 with roles and no name; on record."""
    answer = call.record()
    problem = answer.get_json()
    assert (answer.status_code, problem["code"]) == (409, "consent_missing")
    assert "doctor, patient" in problem["detail"]
    call.say(call.doctor, "given")
    assert "doctor" not in call.record().get_json()["detail"]
    call.say(call.patient, "refused")
    assert call.record(ask_first=True).get_json()["code"] == "consent_refused"
    refused = [
        e for e in audit_of(call.services, call.hospital.organisation_id) if e.outcome == "refused"
    ]
    assert [(e.action, e.detail["roles"]) for e in refused] == [
        ("recording.refused", ["doctor", "patient"]),
        ("recording.refused", ["patient"]),
        ("recording.refused", ["patient"]),
    ]
    assert (call.recordings, call.told) == ([], [])


def test_with_consent_the_room_is_told_and_asks_again(call: Call) -> None:
    call.agree()
    assert call.record().get_json()["state"] == "requested"
    assert call.told == ["start"]
    call.starts()
    assert call.stands == ("starting", None)
    call.focus("pending", reference="jitsi-1")
    call.focus("on", reference="jitsi-1")
    call.focus("on", reference="jitsi-1")
    assert call.stands == ("active", None)
    stopped = call.hospital.post(f"/recordings/{call.recordings[0]['id']}/stop")
    assert (stopped.status_code, stopped.get_json()["state"]) == (202, "stopping")
    assert call.told == ["start", "stop"]
    call.focus("off", reference="jitsi-1")
    assert call.stands == ("processing", "stopped")
    kinds = [t for t in types_of(call.services, call.session["id"]) if t.startswith("recording.")]
    assert kinds == [f"recording.{what}" for what in (
        "requested", "starting", "started", "stopping", "stopped"
    )]  # fmt: skip


def test_asking_first_waits_for_every_word_and_starts_by_itself(call: Call) -> None:
    """Also when the last one who was silent leaves."""
    answer = call.record(ask_first=True).get_json()
    assert (answer["state"], answer["reason"]) == ("requested", "consent_missing")
    assert call.record(ask_first=True).get_json()["code"] == "recording_live"
    call.say(call.doctor, "given")
    assert call.told == []
    assert call.prosody.tell(call.patient.left()) == 1
    call.look()
    assert call.told == ["start"]


def test_a_refusal_ends_the_wish(call: Call) -> None:
    call.record(ask_first=True)
    call.say(call.doctor, "given")
    call.say(call.patient, "refused")
    assert call.stands == ("failed", "consent_refused")
    assert call.told == []


def test_the_gate_counts_who_is_really_inside(call: Call, late: Callable[[str], Someone]) -> None:
    """Somebody more than the service knows of, or nobody it knows."""
    call.agree()
    recording = call.record().get_json()["id"]
    inside = (call.doctor.id, call.patient.id)
    for more in (
        late("relative").id,
        None,
        call.hospital.invite(call.hospital.new_session()["id"])["id"],
    ):
        answer = call.gate(*inside, more, recording_id=recording)
        assert (answer["allow"], answer["code"]) == (False, "consent-missing")
    assert call.gate(*inside, recording_id=recording)["allow"] is True
    assert call.gate(*inside, recording_id=recording)["code"] == "already-recording"


@pytest.mark.parametrize("way", ["stranger", "other", "over"])
def test_an_order_that_is_not_wanted_any_more_starts_nothing(call: Call, way: str) -> None:
    call.agree()
    recording = call.record().get_json()["id"]
    if way == "other":
        call.hospital.post(f"/recordings/{recording}/stop")
    if way == "over":
        call.hospital.post(f"/sessions/{call.session['id']}/end", json={})
    asked = {"recording_id": call.doctor.id if way == "stranger" else recording}
    code = {"over": "session-ended"}.get(way, "not-requested")
    assert call.gate(call.doctor.id, **asked)["code"] == code


def test_a_moderators_own_button_asks_everybody_first(call: Call) -> None:
    """The wish stays, and what the client sent is refused."""
    inside = (call.doctor.id, call.patient.id)
    assert call.gate(*inside, actor_id=call.patient.id)["code"] == "recording-not-allowed"
    assert call.recordings == []
    assert call.gate(*inside, actor_id=call.doctor.id)["code"] == "consent-missing"
    assert call.stands == ("requested", "consent_missing")
    call.agree()
    assert call.told == ["start"]
    assert call.gate(*inside, actor_id=call.doctor.id)["allow"] is True


def test_withdrawal_stops_and_marks(call: Call) -> None:
    """Whoever is seen in it may also have left before."""
    call.runs()
    assert call.prosody.tell(call.patient.left()) == 1
    call.say(call.patient, "withdrawn")
    assert call.stands == ("stopping", "consent_withdrawn")
    assert call.told == ["start", "stop"]
    assert call.recordings[0]["withdrawn_at"]
    call.focus("off")
    assert call.stands == ("processing", "consent_withdrawn")


def test_what_was_recorded_is_marked_later_too(call: Call) -> None:
    call.runs()
    call.focus("off")
    assert call.stands == ("processing", "stopped_by_jitsi")
    call.say(call.patient, "withdrawn")
    assert call.recordings[0]["withdrawn_at"]


def test_a_newcomer_agrees_before_they_come_in(
    app: Flask, call: Call, late: Callable[[str], Someone]
) -> None:
    """Hosts, too; and a wish alone keeps nobody out."""
    nurse = late("nurse")
    call.agree()
    call.record()
    answer = call.prosody.ask(**nurse.question())
    assert (answer["allow"], answer["consented"]) == (True, False)
    call.starts()
    refused = call.prosody.ask(**nurse.question(stage="conference"))
    assert (refused["allow"], refused["code"]) == (False, "consent-missing")
    row = call.hospital.invite(call.session["id"], "nurse")
    entry = app.test_client().post(f"/j/{code_of(row)}/token").get_json()
    assert (entry["state"], entry["reason"]) == ("waiting", "consent-missing")
    assert app.test_client().get(f"/j/{code_of(row)}/state").get_json()["recording"] == {
        "state": "starting",
        "reason": None,
        "consent": "missing",
        "is_asked": True,
    }
    call.say(nurse, "given")
    answer = call.prosody.ask(**nurse.question())
    assert (answer["allow"], answer["consented"]) == (True, True)


@pytest.mark.parametrize("way", ["room", "page"])
def test_a_recording_yields_to_a_newcomer_where_the_organisation_says_so(
    app: Flask, call: Call, late: Callable[[str], Someone], way: str
) -> None:
    """Told once; they are in when it is over. Who is inside already is no newcomer."""
    policy = {"policy": {"recording_yields": True}}
    call.hospital.patch("/organisation", json=policy, headers={"If-Match": '"1"'})
    call.runs()
    call.prosody.ask(**call.patient.question())
    nurse, row = late("nurse"), call.hospital.invite(call.session["id"], "nurse")
    assert call.prosody.ask(**nurse.question(stage="login"))["code"] == "consent-missing"
    assert call.stands[0] == "active"
    for _ in range(2):
        if way == "room":
            assert call.prosody.ask(**nurse.question())["code"] == "consent-missing"
        else:
            app.test_client().get(f"/j/{code_of(row)}/consents?language=en")
    assert call.stands == ("stopping", "newcomer")
    commands.sweep(call.services, now=utc_now())
    assert call.told == ["start", "stop"]
    call.focus("off")
    assert call.prosody.ask(**nurse.question())["allow"] is True


@pytest.mark.parametrize(
    ("status", "code", "stands"),
    [
        ("off", "busy", ("requested", "busy")),
        ("refused", "busy", ("requested", "busy")),
        ("refused", "no-recorder", ("failed", "no_recorder")),
        ("off", "error", ("failed", "recorder_failed")),
        ("off", "", ("failed", "stopped_by_jitsi")),
        ("refused", "newcomer", ("requested", "consent_missing")),
        ("refused", "unavailable", ("requested", "unavailable")),
        ("refused", "stopped", ("requested", "unavailable")),
    ],
)
def test_what_went_wrong_at_the_start_is_said(
    call: Call, status: str, code: str, stands: tuple[str, str]
) -> None:
    call.agree()
    call.record()
    call.starts()
    call.focus(status, code=code)
    assert call.stands == stands
    told = events_of(call.services, call.session["id"])[-1]
    assert told.data["reason"] == stands[1]


def test_who_waits_for_a_recorder_is_tried_again(call: Call) -> None:
    """Until there is one, or nobody wants it any more."""
    call.agree()
    call.record()
    call.starts()
    call.focus("off", code="busy")
    call.look()
    assert call.told == ["start"]
    call.look(6)
    assert call.told == ["start", "start"]
    call.starts()
    call.focus("on")
    assert call.stands == ("active", None)


def test_a_lost_recorder_is_told_and_its_successor_goes_on(call: Call) -> None:
    call.runs()
    call.prosody.tell(call.doctor.event("recording.recorder_left"))
    assert call.stands == ("active", "recorder_lost")
    assert types_of(call.services, call.session["id"])[-1] == "recording.recorder_lost"
    call.focus("off", code="error")
    assert call.stands == ("processing", "recorder_failed")


def test_jitsis_own_stop_says_who(call: Call) -> None:
    call.runs()
    call.prosody.tell(call.doctor.event("recording.stop_asked", by=call.doctor.id))
    call.focus("off")
    assert call.stands == ("processing", "stopped")
    entry = [
        e
        for e in audit_of(call.services, call.hospital.organisation_id)
        if e.action == "recording.stopping"
    ][-1]
    assert entry.actor_id == call.doctor.id


@pytest.mark.parametrize("how", ["room.destroyed", "room.created", "server.started"])
def test_news_of_an_older_room_end_no_newer_recording(call: Call, how: str) -> None:
    """They may have waited while the service was away."""
    late = call.doctor.event(how)
    call.runs()
    call.prosody.tell(late, source="another run" if how == "server.started" else "")
    assert call.stands == ("active", None)


@pytest.mark.parametrize("how", ["room.destroyed", "room.created", "server.started"])
def test_with_the_room_the_recording_is_over(call: Call, how: str) -> None:
    call.runs()
    source = "another run" if how == "server.started" else ""
    call.prosody.tell(call.doctor.event(how), source=source)
    assert call.stands == ("processing", "room_closed")


def test_nothing_hangs(call: Call) -> None:
    """An order nobody heard, a stop nobody confirmed."""
    call.agree()
    call.record()
    call.starts()
    call.look(101)
    assert (call.stands, call.told) == (("stopping", "no_answer"), ["start", "stop"])
    alter(
        call.services,
        "UPDATE teleconference.recordings SET changed_at = changed_at - interval '1 hour'"
        " WHERE id = :id",
        id=call.recordings[0]["id"],
    )
    call.look(0)
    assert call.stands == ("failed", "no_answer")


@pytest.mark.parametrize("status", ["pending", "on"])
def test_what_is_recorded_although_it_is_over_is_stopped(call: Call, status: str) -> None:
    """The room says of which recording it speaks; what is said of a stranger's is no news."""
    call.runs()
    recording = call.recordings[0]["id"]
    call.focus("off", recording_id=recording)
    call.focus(status)
    commands.sweep(call.services, now=utc_now())
    assert call.told == ["start"]
    call.focus(status, recording_id=recording)
    commands.sweep(call.services, now=utc_now())
    assert call.told == ["start", "stop"]


def test_a_late_word_about_an_older_recording_ends_no_newer_one(call: Call) -> None:
    call.runs()
    older = call.recordings[0]["id"]
    call.focus("off", recording_id=older)
    call.runs()
    call.focus("off", recording_id=older)
    assert call.stands == ("active", None)


def test_a_stop_nobody_heard_is_not_over(call: Call) -> None:
    """However long that lasts, the door stays shut for who has not agreed; it is over when the room
    has heard it, and says no more."""
    call.runs()
    assert isinstance(call.services.rooms, MemoryRooms)
    call.services.rooms.alive = False
    call.say(call.patient, "withdrawn")
    for seconds in (11, 61, 3600):
        call.look(seconds)
        assert call.stands == ("stopping", "consent_withdrawn")
    assert call.prosody.ask(**call.patient.question())["code"] == "consent-missing"
    call.services.rooms.alive = True
    commands.sweep(call.services, now=utc_now() + timedelta(seconds=3600))
    call.look(11)
    assert call.stands == ("stopping", "consent_withdrawn")
    call.look(61)
    assert call.stands == ("processing", "consent_withdrawn")
    assert call.told == ["start", "stop", "stop"]


def test_a_stop_that_finds_no_room_is_the_end_of_it(call: Call) -> None:
    call.runs()
    assert isinstance(call.services.rooms, MemoryRooms)
    del call.services.rooms.rooms[call.session["room_name"]]
    call.hospital.post(f"/recordings/{call.recordings[0]['id']}/stop")
    call.look(11)
    assert call.stands == ("processing", "stopped")


@pytest.mark.parametrize("begun", [False, True])
def test_a_stop_that_overtook_the_start_is_confirmed(call: Call, begun: bool) -> None:
    """By the room: it has not asked for a recorder. What was recorded all the same is kept."""
    call.agree()
    call.record()
    call.starts()
    call.say(call.patient, "withdrawn")
    if begun:
        call.focus("on")
    call.focus("refused", code="stopped")
    assert call.stands == ("processing" if begun else "failed", "consent_withdrawn")
    assert bool(call.recordings[0]["started_at"]) is begun


def test_a_room_without_a_moderator_is_waited_for(call: Call) -> None:
    call.agree()
    call.record()
    call.focus("refused", code="no-moderator")
    assert call.stands == ("requested", "no_moderator")
    call.look(6)
    assert call.told == ["start", "start"]


@pytest.mark.parametrize("way", ["over", "deserted"])
def test_a_recording_nobody_is_in_is_stopped(call: Call, way: str) -> None:
    """When the news that the room is gone were lost."""
    call.runs()
    if way == "over":
        call.hospital.post(f"/sessions/{call.session['id']}/end", json={})
        call.look()
    else:
        call.prosody.tell(call.doctor.left(), call.patient.left())
        call.look(59)
        assert call.stands == ("active", None)
        call.look(62)
    assert call.stands == ("stopping", "session_over" if way == "over" else "room_empty")


def test_who_refuses_what_they_agreed_to_takes_it_back(call: Call) -> None:
    """Whatever the page calls it: what runs stops, and what there is is marked."""
    call.runs()
    call.focus("off")
    call.runs()
    call.say(call.patient, "refused")
    assert call.stands == ("stopping", "consent_withdrawn")
    assert all(one["withdrawn_at"] for one in call.recordings)
    call.say(call.patient, "withdrawn")


def test_who_was_removed_may_take_back_their_consent(call: Call) -> None:
    call.runs()
    call.hospital.delete(f"/sessions/{call.session['id']}/participants/{call.patient.id}")
    call.say(call.patient, "withdrawn")
    assert call.stands == ("stopping", "consent_withdrawn")
    assert call.recordings[0]["withdrawn_at"]


def test_a_wish_is_forgotten_after_a_quarter_of_an_hour(call: Call) -> None:
    call.record(ask_first=True)
    call.look(901)
    assert call.stands == ("failed", "not_started")


def test_somebody_inside_without_consent_stops_it(
    call: Call, late: Callable[[str], Someone]
) -> None:
    """However they came in: while the service was away, for instance."""
    call.runs()
    call.enter(late("relative"))
    call.look()
    assert call.stands == ("stopping", "consent_missing")
    assert call.told == ["start", "stop"]


def test_who_no_page_asked_is_asked_in_the_room(call: Call) -> None:
    """Once, with their own link; the link is stored nowhere."""
    call.record(ask_first=True)
    page = f"/j/{code_of_link(call)}/consents?language=en"
    assert call.hospital.app.test_client().get(page).status_code == 200
    for _ in range(2):
        call.look(6)
    assert isinstance(call.services.rooms, MemoryRooms)
    said = call.services.rooms.rooms[call.session["room_name"]].said
    assert [person for person, _ in said] == [call.patient.id]
    assert said[0][1].endswith("/consent")
    told = [e for e in events_of(call.services, call.session["id"]) if e.type == "consent.asked"]
    assert [e.data["consent_channel"] for e in told] == ["page", "room"]


def code_of_link(call: Call) -> str:
    """Replace the doctor's link, and return the code of the new one."""
    path = f"/sessions/{call.session['id']}/participants/{call.doctor.id}/link"
    row = call.hospital.post(path).get_json()
    assert links_of(call.services, call.doctor.id)
    return code_of(row)


def test_a_session_that_plans_it_asks_who_came_by_another_client(
    alice: Hospital, services: Services, prosody: Prosody
) -> None:
    session = alice.new_session(recording="planned")
    patient = invite(services, alice, session)
    prosody.tell(patient.joined())
    sweep.sweep(services, now=utc_now() + timedelta(seconds=6))
    asked = [e for e in events_of(services, session["id"]) if e.type == "consent.asked"]
    assert [e.data["participant_id"] for e in asked] == [patient.id]


def test_only_one_recording_at_a_time(call: Call) -> None:
    """The database says so, whatever the code above it does."""
    call.agree()
    assert [call.record().status_code for _ in range(2)] == [202, 409]


def test_every_state_can_be_left_but_the_ends() -> None:
    """And what is live never comes back from what is not."""
    left = {state for state, _ in TRANSITIONS}
    assert set(State) - left == {State.EXPIRED, State.DELETED}
    assert not {s for s, _ in TRANSITIONS if s not in LIVE and TRANSITIONS[s, _] in LIVE}
    assert {step for _, step in TRANSITIONS} == set(Step)
