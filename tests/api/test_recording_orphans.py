"""Files whose recording becomes known later: they come to it, and leave nothing behind."""

from pathlib import Path
from uuid import UUID

import pytest

from app.adapters.files_local import LocalFiles
from app.clock import utc_now
from app.recording_files import sweep
from app.recording_files.models import RecordingFile
from app.storage import sweep as erasing
from app.storage.models import StoredFile
from tests.api.recorded import folder_of, shown
from tests.api.recorder import Recorder
from tests.api.records import alter, audit_of, types_of
from tests.api.test_recording_work import PAST, Dying, with_store
from tests.api.test_recordings import Call
from workers.jobs.recordings import process

UNKNOWN = "UPDATE teleconference.recordings SET jitsi_session = NULL WHERE id = :id"
KNOWN = "UPDATE teleconference.recordings SET jitsi_session = :folder WHERE id = :id"


def orphan(call: Call, recorder: Recorder, content: bytes, **more: object) -> RecordingFile:
    """Hand over a file before anybody said of which recording its folder is."""
    alter(call.services, UNKNOWN, id=call.recordings[0]["id"])
    row = recorder.hand_over(content, folder_of(call), **more)
    assert (row.state, row.reason) == ("orphaned", "recording_unknown")
    return row


def focus_says(call: Call) -> None:
    """Let it become known, as the room tells it."""
    alter(call.services, KNOWN, id=call.recordings[0]["id"], folder=folder_of(call))


def stored(recorder: Recorder, stored_id: UUID | None) -> StoredFile:
    """Return what the database has of a stored file."""
    with recorder.services.database.begin() as db:
        return db.get_one(StoredFile, stored_id)


def keys_in(recorder: Recorder) -> set[str]:
    """Return what lies in the store once everything that nobody can read is erased."""
    storage = recorder.services.storage
    while erasing.sweep(recorder.services.database, storage.store, now=utc_now()):
        continue
    return set(storage.store.keys())


def test_an_orphan_comes_to_its_recording(call: Call, recorder: Recorder, plain: bytes) -> None:
    """Under its hospital's name, with its sum; who has it, hears of it and sees it."""
    row = orphan(call, recorder, plain)
    nobodys = stored(recorder, row.content_id)
    focus_says(call)
    assert sweep.recognise(call.services, now=utc_now()) == 1
    assert sweep.recognise(call.services, now=utc_now()) == 0
    recorder.work(folder_of(call))
    assert (shown(call)["id"], call.stands) == (str(row.id), ("available", None))
    hospital = str(call.hospital.organisation_id)
    now = stored(recorder, recorder.row(folder_of(call)).content_id)
    assert now.key.startswith(f"{hospital}/")
    assert recorder.content(now.id) == plain
    assert stored(recorder, nobodys.id).wrapped_key is None
    assert {key.partition("/")[0] for key in keys_in(recorder)} == {hospital}
    (entry,) = [
        one
        for one in audit_of(call.services, call.hospital.organisation_id)
        if one.action == "recording.file_registered"
    ]
    assert (entry.actor_kind, entry.detail["was"]) == ("service", "orphaned")
    told = types_of(call.services, call.session["id"])
    assert "recording.file_registered" in told
    assert told[-1] == "recording.available"


def test_a_recorder_says_later_whose_it_is(call: Call, recorder: Recorder, plain: bytes) -> None:
    """Its first call came before Jibri had written down anything."""
    orphan(call, recorder, plain, metadata=b"")
    id_ = call.recordings[0]["id"]
    noted = {"participants": [], "recording_id": id_}
    assert recorder.tell(plain, folder_of(call), metadata=noted)["state"] == "kept"
    assert sweep.recognise(call.services, now=utc_now()) == 1
    recorder.work(folder_of(call))
    assert (shown(call)["state"], shown(call)["findings"]) == ("available", [])


def test_an_orphan_of_a_recording_that_was_deleted(
    call: Call, recorder: Recorder, plain: bytes
) -> None:
    """It is destroyed with it, and its recorder is told to forget it."""
    orphan(call, recorder, plain)
    focus_says(call)
    deleted = call.hospital.delete(f"/recordings/{call.recordings[0]['id']}")
    assert deleted.status_code < 300, deleted.text
    assert sweep.recognise(call.services, now=utc_now()) == 1
    recorder.work(folder_of(call))
    row = recorder.row(folder_of(call))
    assert (row.state, row.reason, row.recording_id) == ("deleted", "deleted", None)
    assert keys_in(recorder) == set()
    assert recorder.tell(plain, folder_of(call))["state"] == "kept"


def test_a_worker_that_dies_as_it_takes_one_over(
    call: Call, recorder: Recorder, plain: bytes, tmp_path: Path
) -> None:
    """The next one does it; of what the first left nothing can be read."""
    row = orphan(call, recorder, plain)
    focus_says(call)
    sweep.recognise(call.services, now=utc_now())
    with pytest.raises(KeyboardInterrupt):
        process(with_store(recorder, Dying(LocalFiles(str(tmp_path)), dies_at=1)), row.id)
    assert recorder.content(row.content_id) == plain
    alter(call.services, PAST.format("recording_files"), folder=folder_of(call))
    recorder.work(folder_of(call))
    assert call.stands == ("available", None)
    assert stored(recorder, row.content_id).wrapped_key is None
