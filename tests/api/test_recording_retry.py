"""What failed of a recording is worked on again when an operator says so."""

from uuid import uuid4

import orjson
import pytest

from app.localstack.supervisor import LocalStack
from app.recording_files import processing
from tests.api.recorded import folder_of, shown
from tests.api.recorder import NAME, Recorder
from tests.api.records import alter, audit_of, types_of
from tests.api.test_recordings import Call
from tests.command_line import Ended, run

TRIED = "UPDATE teleconference.recording_files SET tries = :number WHERE folder = :folder"


def given_up(call: Call, recorder: Recorder, content: bytes) -> str:
    """Let work on a file fail as often as it may; return the recording's id."""
    folder = folder_of(call)
    upload = recorder.tell(content, folder)["upload"]
    assert recorder.send(upload, content).status_code == 204
    alter(recorder.services, TRIED, folder=folder, number=processing.MOST_TRIES)
    recorder.work(folder)
    assert call.stands == ("failed", "processing_failed")
    return str(call.recordings[0]["id"])


def retry(postgres: LocalStack, recording_id: str) -> Ended:
    """Do as an operator does."""
    return run(postgres, "recordings", "retry", recording_id, "--json")


def test_what_failed_becomes_available(
    call: Call, recorder: Recorder, plain: bytes, postgres: LocalStack
) -> None:
    """It has all its tries again; who said so is noted, and hospitals hear that it goes on."""
    recording_id = given_up(call, recorder, plain)
    (file,) = orjson.loads(retry(postgres, recording_id).stdout)
    assert (file["id"], file["state"]) == (shown(call)["id"], "processing")
    assert call.stands == ("processing", None)
    assert recorder.row(folder_of(call)).tries == 0
    assert types_of(call.services, call.session["id"])[-1] == "recording.found"
    (noted,) = [
        entry
        for entry in audit_of(call.services, call.hospital.organisation_id)
        if entry.action == "recording.file_retried"
    ]
    assert (noted.actor_kind, noted.detail["why"]) == ("operator", "processing_failed")
    recorder.work(folder_of(call))
    assert call.stands == ("available", None)


def test_a_second_time_changes_nothing(
    call: Call, recorder: Recorder, plain: bytes, postgres: LocalStack
) -> None:
    """While the work goes on it answers the same; when it is done there is nothing to do."""
    recording_id = given_up(call, recorder, plain)
    first, second = retry(postgres, recording_id), retry(postgres, recording_id)
    assert (second.exit_code, second.stdout) == (0, first.stdout)
    assert types_of(call.services, call.session["id"]).count("recording.found") == 1
    recorder.work(folder_of(call))
    third = retry(postgres, recording_id)
    assert (third.exit_code, third.stdout) == (1, "")
    assert "No file of this recording failed." in third.stderr


def test_one_of_two_files_beside_one_that_can_be_seen(
    call: Call, recorder: Recorder, plain: bytes, postgres: LocalStack
) -> None:
    """The recording stays what it is, available, and gets the other file, too."""
    recorder.hand_over(b"cut off", folder_of(call), is_partial=True)
    recorder.hand_over(plain, folder_of(call), name=f"later-{NAME}")
    assert call.stands == ("available", None)
    (file,) = orjson.loads(retry(postgres, call.recordings[0]["id"]).stdout)
    assert file["file"] == NAME
    assert call.stands == ("available", None)
    recorder.work(folder_of(call))
    assert [one["state"] for one in call.recordings[0]["files"]] == ["failed", "available"]


@pytest.mark.parametrize("is_known", [True, False])
def test_where_nothing_failed(call: Call, postgres: LocalStack, *, is_known: bool) -> None:
    """Or of a recording that is not there."""
    ended = retry(postgres, str(call.recordings[0]["id"] if is_known else uuid4()))
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith("teleconsult: ")
