"""A file that is withheld is seen by nobody until somebody answers for it."""

from uuid import uuid4

import pytest

from app.clock import utc_now
from app.recording_files import service
from app.recording_files.states import TRANSITIONS, State, Step, sources_of, target_of
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.left import keep
from tests.api.prosody import Prosody
from tests.api.records import audit_of, types_of
from tests.api.test_recordings import Call

WHY = {"reason": "The patient agreed on the phone."}


@pytest.fixture
def call(alice: Hospital, services: Services, prosody: Prosody) -> Call:
    """A recording that is over."""
    made = Call(alice, services, prosody)
    made.runs()
    made.hospital.post(f"/recordings/{made.recordings[0]['id']}/stop")
    made.focus("off")
    return made


def done(call: Call) -> str:
    """Let there be a file of it, and return its id."""
    recording = call.recordings[0]["id"]
    file = keep(call.services, recording, b"film")
    with call.services.database.begin() as db:
        service.keep(db, service.lock_recording(db, file.recording_id or uuid4()), now=utc_now())
    return str(file.id)


def known(call: Call) -> dict[str, str]:
    """Return what a release says of the recording as it is read now."""
    answer = call.hospital.get(f"/recordings/{call.recordings[0]['id']}")
    return {"If-Match": answer.headers["ETag"]}


def test_what_is_known_of_a_file_is_shown_with_its_recording(call: Call) -> None:
    file_id = done(call)
    (recording,) = call.recordings
    (file,) = recording["files"]
    assert (file["id"], file["state"], file["size_bytes"]) == (file_id, "available", 4)
    assert len(file["sha256"]) == 64
    assert (recording["state"], recording["reason"]) == ("available", None)
    assert call.hospital.get(f"/recordings/{recording['id']}").get_json() == recording


def test_who_takes_consent_back_afterwards_has_the_file_withheld(call: Call) -> None:
    """Until somebody answers for it, with a reason that only the audit log keeps."""
    file_id = done(call)
    call.say(call.patient, "withdrawn")
    (recording,) = call.recordings
    (file,) = recording["files"]
    assert (file["state"], file["findings"]) == ("withheld", ["consent_withdrawn"])
    assert (recording["state"], recording["reason"]) == ("available", "withheld")
    path = f"/recordings/{recording['id']}/files/{file_id}/release"
    answer = call.hospital.post(path, json=WHY, headers=known(call))
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["reason"] is None
    assert [one["state"] for one in answer.get_json()["files"]] == ["available"]
    told = types_of(call.services, call.session["id"])
    assert told[-2:] == ["recording.file_withheld", "recording.file_released"]
    entry = audit_of(call.services, call.hospital.organisation_id)[-1]
    assert (entry.action, entry.detail["why"]) == ("recording.file_released", WHY["reason"])
    again = call.hospital.post(path, json=WHY)
    assert (again.status_code, again.get_json()["code"]) == (409, "recording_file_not_withheld")


def test_what_was_released_stays_so_until_somebody_says_something_new(call: Call) -> None:
    """The same answer once more is no news; another person's is."""
    file_id = done(call)
    path = f"/recordings/{call.recordings[0]['id']}/files/{file_id}/release"
    call.say(call.patient, "withdrawn")
    assert call.hospital.post(path, json=WHY, headers=known(call)).status_code == 200
    call.say(call.patient, "withdrawn")
    assert call.recordings[0]["files"][0]["state"] == "available"
    call.say(call.doctor, "withdrawn")
    assert call.recordings[0]["files"][0]["state"] == "withheld"


def test_nobody_decides_about_what_is_not_theirs(call: Call, charlie: Hospital) -> None:
    """Neither another hospital, nor by the id of another recording."""
    file_id, recording = done(call), call.recordings[0]["id"]
    stranger = charlie.post(f"/recordings/{recording}/files/{file_id}/release", json=WHY)
    assert stranger.get_json()["code"] == "recording_not_found"
    other = call.hospital.post(f"/recordings/{recording}/files/{uuid4()}/release", json=WHY)
    assert other.get_json()["code"] == "recording_file_not_found"


def test_the_life_of_a_file_has_no_holes() -> None:
    """Each step leads to one state, and every state but the first is reached."""
    assert set(TRANSITIONS.values()) == set(State)
    for (state, step), target in TRANSITIONS.items():
        assert state in sources_of(step)
        assert target == target_of(step)
    assert {step for _, step in TRANSITIONS} == set(Step)
