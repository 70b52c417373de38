"""What moderators do in a running call, over the API and from the page behind their link; and what
their clients did in the room, as Prosody tells it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from app.adapters.memory import MemoryRooms
from app.clock import utc_now
from app.participants.removals import end_removals
from app.rooms import commands
from app.services import Services
from app.web.auth import SCOPES
from tests.api.hospital import Hospital, admit_hospital
from tests.api.prosody import Prosody, Someone, invite
from tests.api.records import audit_of, code_of, events_of, orders_of, types_of


@pytest.fixture
def session(alice: Hospital) -> dict[str, Any]:
    """An open session."""
    return alice.new_session()


@pytest.fixture
def bob(alice: Hospital, session: dict[str, Any]) -> dict[str, Any]:
    """A patient in it."""
    return alice.invite(session["id"])


@pytest.fixture
def doctor(alice: Hospital, session: dict[str, Any]) -> dict[str, Any]:
    """A doctor in it."""
    return alice.invite(session["id"], "doctor")


@dataclass(frozen=True, slots=True)
class Scene:
    """The hospital, what is behind it, and the people of one session."""

    alice: Hospital
    services: Services
    live: MemoryRooms
    session: dict[str, Any]
    bob: dict[str, Any]
    doctor: dict[str, Any]


@pytest.fixture
def scene(request: pytest.FixtureRequest) -> Scene:
    """All of them."""
    return Scene(*(request.getfixturevalue(name) for name in Scene.__dataclass_fields__))


def path_of(person: dict[str, Any], what: str = "") -> str:
    """Return the address of a participant, or of something about them."""
    return f"/sessions/{person['session_id']}/participants/{person['id']}{what}"


def data_of(services: Services, session: dict[str, Any], type_: str) -> list[dict[str, Any]]:
    """Return what a session's events of one type say besides the session."""
    found = [e.data for e in events_of(services, session["id"]) if e.type == type_]
    return [{k: v for k, v in data.items() if k != "session_id"} for data in found]


# --- over the API

WRITES = [
    ("POST", "/mute", {"media": "video"}, "participant.muted"),
    ("POST", "/unmute-request", {"media": "video"}, "participant.unmute_asked"),
    ("POST", "/moderator", None, "participant.moderator_changed"),
]


@pytest.mark.parametrize("act", WRITES)
def test_an_act_is_told_audited_ordered_and_done_once_per_key(
    scene: Scene, act: tuple[str, str, Any, str]
) -> None:
    """One event, one entry, one order; a repeat gets the first answer."""
    alice, services, live = scene.alice, scene.services, scene.live
    session, bob = scene.session, scene.bob
    method, what, body, type_ = act
    live.enter(session["room_name"], bob["id"])
    key = {"Idempotency-Key": str(uuid4())}
    first, again = (
        alice.call(method, path_of(bob, what), json=body, headers=key) for _ in range(2)
    )
    assert (first.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert types_of(services, session["id"]).count(type_) == 1
    done = [e for e in audit_of(services, alice.organisation_id) if e.action == type_]
    assert [(e.actor_kind, str(e.participant_id)) for e in done] == [("client", bob["id"])]
    assert [o.state for o in orders_of(services, session["id"])] == ["confirmed"]


@pytest.mark.parametrize("act", WRITES)
def test_what_the_room_has_not_confirmed_is_202(
    scene: Scene, act: tuple[str, str, Any, str]
) -> None:
    """Decided and stored all the same."""
    method, what, body, _ = act
    scene.live.alive = False
    assert scene.alice.call(method, path_of(scene.bob, what), json=body).status_code == 202


@pytest.mark.parametrize("act", WRITES)
def test_nobody_is_moderated_who_is_elsewhere_gone_or_not_the_callers(
    scene: Scene, charlie: Hospital, act: tuple[str, str, Any, str]
) -> None:
    """404, 404 and 409."""
    alice, bob = scene.alice, scene.bob
    method, what, body, _ = act
    nobody = {**bob, "id": str(uuid4())}
    assert alice.call(method, path_of(nobody, what), json=body).status_code == 404
    assert charlie.call(method, path_of(bob, what), json=body).status_code == 404
    alice.delete(path_of(bob))
    gone = alice.call(method, path_of(bob, what), json=body)
    assert (gone.status_code, gone.get_json()["code"]) == (409, "participant_removed")


def test_moderating_takes_its_scope(
    alice: Hospital, services: Services, session: dict[str, Any]
) -> None:
    """All other scopes together are not enough."""
    scopes = [scope for scope in SCOPES if scope != "rooms:moderate"]
    other = admit_hospital(alice.app, services, "Without", scopes=scopes)
    answer = other.post(f"/sessions/{session['id']}/mute")
    assert (answer.status_code, answer.get_json()["code"]) == (403, "scope_missing")


def test_muting_all_spares_moderators_and_the_named(
    alice: Hospital, services: Services, prosody: Prosody, session: dict[str, Any]
) -> None:
    """Of those who are in the room; the answer says who is meant."""
    people = {role: invite(services, alice, session, role) for role in ("doctor", "patient")}
    spared, absent = (invite(services, alice, session) for _ in range(2))
    prosody.tell(*(one.joined() for one in (*people.values(), spared)))
    path = f"/sessions/{session['id']}/mute"
    answer = alice.post(path, json={"spared": [spared.id]})
    assert answer.get_json() == {"participants": [people["patient"].id]}
    everybody = alice.post(path, json={"moderators": True, "media": "video"})
    assert absent.id not in everybody.get_json()["participants"]
    assert len(everybody.get_json()["participants"]) == 3


def test_a_mute_that_nobody_heard_is_not_said_much_later(
    alice: Hospital, services: Services, live: MemoryRooms, bob: dict[str, Any]
) -> None:
    """By then the person may be speaking for good reason."""
    live.alive = False
    alice.post(path_of(bob, "/mute"))
    live.alive = True
    commands.sweep(services, now=utc_now() + timedelta(minutes=1))
    assert [o.state for o in orders_of(services, bob["session_id"])] == ["failed"]


class TestAvModeration:
    """`/sessions/{id}/av-moderation`."""

    def test_it_is_free_until_somebody_says_otherwise(
        self, alice: Hospital, session: dict[str, Any]
    ) -> None:
        """Nothing stored is nothing moderated."""
        answer = alice.get(f"/sessions/{session['id']}/av-moderation")
        free = {"audio": False, "video": False, "audio_allowed": [], "video_allowed": []}
        assert answer.get_json() == free

    def test_the_whole_state_is_replaced_and_told_when_it_changes(
        self,
        alice: Hospital,
        services: Services,
        live: MemoryRooms,
        session: dict[str, Any],
        bob: dict[str, Any],
    ) -> None:
        """Exceptions of what is free are dropped; the same again is no event."""
        live.enter(session["room_name"], bob["id"])
        path = f"/sessions/{session['id']}/av-moderation"
        wanted = {"audio": True, "video": False, "audio_allowed": [bob["id"]]}
        for _ in range(2):
            assert alice.put(path, json={**wanted, "video_allowed": [bob["id"]]}).status_code == 200
        state = {**wanted, "video_allowed": []}
        assert alice.get(path).get_json() == state
        assert data_of(services, session, "room.av_moderation_changed") == [state]
        assert live.rooms[session["room_name"]].moderated == state

    def test_only_people_of_the_session_are_allowed(
        self, alice: Hospital, session: dict[str, Any]
    ) -> None:
        """Not of another, and nobody unknown."""
        other = alice.invite(alice.new_session()["id"])
        body = {"audio": True, "video": True, "audio_allowed": [other["id"]]}
        answer = alice.put(f"/sessions/{session['id']}/av-moderation", json=body)
        assert (answer.status_code, answer.get_json()["code"]) == (404, "participant_not_found")

    def test_who_is_asked_is_allowed_where_it_is_moderated(
        self, alice: Hospital, session: dict[str, Any], bob: dict[str, Any]
    ) -> None:
        """Otherwise asking would be mocking."""
        path = f"/sessions/{session['id']}/av-moderation"
        alice.put(path, json={"audio": True, "video": False})
        for media in ("audio", "video"):
            alice.post(path_of(bob, "/unmute-request"), json={"media": media})
        assert alice.get(path).get_json()["audio_allowed"] == [bob["id"]]
        assert alice.get(path).get_json()["video_allowed"] == []

    def test_a_room_made_anew_is_ordered_so_at_once(
        self, alice: Hospital, services: Services, prosody: Prosody, session: dict[str, Any]
    ) -> None:
        """Only where something is moderated."""
        someone = invite(services, alice, session)
        prosody.tell(someone.event("room.created", participant_id=None))
        assert orders_of(services, session["id"]) == []
        alice.put(f"/sessions/{session['id']}/av-moderation", json={"audio": False, "video": True})
        prosody.tell(someone.event("room.created", participant_id=None))
        orders = orders_of(services, session["id"])
        assert [o.name for o in orders] == ["av_moderation", "av_moderation"]
        assert orders[-1].next_attempt_at <= utc_now()

    def test_a_room_moderated_and_made_anew_in_one_batch_is_ordered_so(
        self, alice: Hospital, services: Services, prosody: Prosody, session: dict[str, Any]
    ) -> None:
        """What the batch itself tells counts as what was known before it."""
        doctor = invite(services, alice, session, "doctor")
        prosody.tell(
            doctor.event(
                "room.av_moderation", by=doctor.id, media="audio", on=True, participant_id=None
            ),
            doctor.event("room.created", participant_id=None),
        )
        assert [o.name for o in orders_of(services, session["id"])] == ["av_moderation"]


def end_all_removals(services: Services) -> None:
    """Let whoever other tests removed for a time come back."""
    while end_removals(services, now=utc_now() + timedelta(days=30)):
        pass


def test_a_removal_for_a_time_ends(
    alice: Hospital, services: Services, live: MemoryRooms, session: dict[str, Any],
    bob: dict[str, Any],
) -> None:  # fmt: skip
    """Until then the link is refused, and after it the same link works."""
    end_all_removals(services)
    answer = alice.delete(path_of(bob), json={"ban_s": 60})
    assert answer.get_json()["removed_until"] is not None
    click = alice.app.test_client().post(f"/j/{code_of(bob)}/token")
    assert click.get_json()["code"] == "participant_removed"
    assert end_removals(services, now=utc_now() + timedelta(seconds=59)) == 0
    assert end_removals(services, now=utc_now() + timedelta(seconds=61)) == 1
    click = alice.app.test_client().post(f"/j/{code_of(bob)}/token")
    assert click.status_code == 200
    told = data_of(services, session, "participant.removed")
    assert told[0]["until"] is not None
    assert live.carried_out[-1].args["ban_until"] > utc_now().timestamp()


def test_for_good_is_the_last_word(
    alice: Hospital, services: Services, bob: dict[str, Any]
) -> None:
    """A time can become for good; for good does not become a time."""
    end_all_removals(services)
    for body in ({"ban_s": 60}, None, {"ban_s": 60}):
        answer = alice.delete(path_of(bob), json=body)
        assert answer.get_json()["state"] == "removed"
    assert answer.get_json()["removed_until"] is None
    assert end_removals(services, now=utc_now() + timedelta(days=30)) == 0


# --- from the page


def control(hospital: Hospital, person: dict[str, Any], what: str, **options: Any) -> TestResponse:
    """Press a button on the page behind somebody's link."""
    return hospital.app.test_client().post(f"/j/{code_of(person)}/controls/{what}", **options)


def test_a_page_does_what_its_person_may_and_the_record_names_them(scene: Scene) -> None:
    """All buttons, with the same effect as over the API."""
    alice, services = scene.alice, scene.services
    bob, doctor = scene.bob, scene.doctor
    scene.live.enter(scene.session["room_name"], bob["id"])
    about = {"participant_id": bob["id"]}
    for what, body in [
        ("mute", about),
        ("mute-all", {}),
        ("unmute-request", about),
        ("av-moderation", {"audio": True, "video": False}),
        ("moderator", {**about, "moderator": True}),
        ("message", {"text": "Hello."}),
        ("remove", {**about, "ban_s": 60}),
        ("end", {"reason": "Done."}),
    ]:
        answer = control(alice, doctor, what, json=body)
        assert answer.status_code == 200, (what, answer.text)
    done = [e for e in audit_of(services, alice.organisation_id) if e.actor_id == doctor["id"]]
    assert [e.action for e in done] == [
        "participant.muted",
        "participant.unmute_asked",
        "room.av_moderation_changed",
        "participant.moderator_changed",
        "room.message_sent",
        "participant.removed",
        "session.ended",
    ]


def test_a_page_lists_who_is_in_the_room(
    alice: Hospital, services: Services, prosody: Prosody, session: dict[str, Any],
    doctor: dict[str, Any],
) -> None:  # fmt: skip
    """In order of arrival, with what a panel shows."""
    inside = [invite(services, alice, session, role) for role in ("patient", "nurse")]
    prosody.tell(*(one.joined() for one in inside))
    answer = alice.app.test_client().get(f"/j/{code_of(doctor)}/people")
    people = answer.get_json()["people"]
    assert [(p["participant_id"], p["role"], p["moderator"]) for p in people] == [
        (inside[0].id, "patient", False),
        (inside[1].id, "nurse", True),
    ]
    assert people[0]["display_name"] == "Some patient"


def test_a_page_is_refused_what_its_person_may_not_and_that_is_on_record(
    alice: Hospital, services: Services, bob: dict[str, Any], doctor: dict[str, Any]
) -> None:
    """403, and one entry."""
    answer = control(alice, bob, "remove", json={"participant_id": doctor["id"]})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "not_permitted")
    entry = audit_of(services, alice.organisation_id)[-1]
    assert (entry.action, entry.outcome, entry.actor_id) == ("link.used", "refused", bob["id"])
    assert entry.detail == {"code": "not_permitted", "act": "remove"}


def test_only_our_own_page_may_press_the_buttons(alice: Hospital, doctor: dict[str, Any]) -> None:
    """No form of another site, no script of another origin, no dead link."""
    form = control(alice, doctor, "mute-all", data={"media": "audio"})
    assert (form.status_code, form.get_json()["code"]) == (415, "unsupported_media_type")
    evil = {"Origin": "https://evil.example"}
    foreign = control(alice, doctor, "mute-all", json={}, headers=evil)
    assert (foreign.status_code, foreign.get_json()["code"]) == (403, "origin_foreign")
    ours = {"Origin": "http://localhost"}
    assert control(alice, doctor, "mute-all", json={}, headers=ours).status_code in (200, 202)
    alice.delete(path_of(doctor))
    dead = control(alice, doctor, "mute-all", json={})
    assert (dead.status_code, dead.get_json()["code"]) == (403, "participant_removed")


# --- as Prosody tells it


@pytest.fixture
def nurse(alice: Hospital, services: Services, session: dict[str, Any]) -> Someone:
    """A moderator in the room."""
    return invite(services, alice, session, "nurse")


@pytest.fixture
def patient(alice: Hospital, services: Services, session: dict[str, Any]) -> Someone:
    """Somebody to be moderated."""
    return invite(services, alice, session)


def test_what_a_client_did_is_kept_like_an_order_of_the_api(
    scene: Scene, prosody: Prosody, nurse: Someone, patient: Someone
) -> None:
    """All deeds of one batch, by the nurse; also one about somebody who was removed by it."""
    alice, services, session = scene.alice, scene.services, scene.session
    prosody.tell(nurse.joined(), patient.joined())
    prosody.tell(
        patient.event("participant.muted", by=nurse.id, media="video"),
        nurse.event("room.av_moderation", by=nurse.id, media="audio", on=True, participant_id=None),
        patient.event("room.av_moderation", by=nurse.id, media="audio", on=True),
        patient.event("participant.moderator", by=nurse.id, on=True),
        patient.event("participant.kicked", by=nurse.id),
        patient.event("participant.moderator", by=nurse.id, on=False),
        patient.left("kicked"),
    )
    done = [e for e in audit_of(services, alice.organisation_id) if e.actor_id == nurse.id]
    assert [e.action for e in done] == [
        "participant.muted",
        "room.av_moderation_changed",
        "room.av_moderation_changed",
        "participant.moderator_changed",
        "participant.removed",
    ]
    row = alice.get(f"/sessions/{session['id']}/participants/{patient.id}").get_json()
    assert (row["state"], row["permissions"]) == ("removed", {"moderate": True})
    allowed = data_of(services, session, "room.av_moderation_changed")[-1]["audio_allowed"]
    assert allowed == [patient.id]


def test_a_deed_by_or_to_a_stranger_is_none(
    scene: Scene, prosody: Prosody, nurse: Someone, patient: Someone
) -> None:
    """Of another session, or unknown: passed over, and the batch is taken."""
    alice, services, session = scene.alice, scene.services, scene.session
    other = invite(services, alice, alice.new_session())
    strange: tuple[dict[str, str], ...] = {"by": str(uuid4())}, {"by": other.id}, {}
    kicks = [patient.event("participant.kicked", **one) for one in strange]
    kicks.append(nurse.event("participant.kicked", by=nurse.id, participant_id=other.id))
    kicks.append(nurse.event("room.av_moderation", by=other.id, media="audio", on=True))
    assert prosody.tell(*kicks) == len(kicks)
    assert "participant.removed" not in types_of(services, session["id"])
    assert "room.av_moderation_changed" not in types_of(services, session["id"])


def test_refused_attempts_are_entries_with_their_number(
    alice: Hospital, services: Services, prosody: Prosody, patient: Someone
) -> None:
    """What was tried, why it was refused, how often."""
    tried = {"code": "not-moderator", "act": "kick", "count": 40}
    prosody.tell(patient.event("participant.refused", **tried))
    entry = audit_of(services, alice.organisation_id)[-1]
    assert (entry.action, entry.outcome) == ("room.act_refused", "refused")
    assert entry.detail == tried
