"""The end of a recording: nothing readable is left anywhere, and that can be shown."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.clock import utc_now
from app.errors import Gone
from app.localstack.supervisor import LocalStack
from app.recording_files.parts import RecordedBytes
from app.recordings import deletion
from app.retention import sweep as retention
from app.storage import sweep
from app.storage.service import announce, record
from tests.api.filing import Archive
from tests.api.hospital import Hospital
from tests.api.locking import until_waited_for
from tests.api.problems import problem
from tests.api.prosody import Prosody
from tests.api.recorded import folder_of, recorded
from tests.api.recorder import Recorder, film, recorder_of
from tests.api.records import types_of
from tests.api.test_recordings import Call
from tests.api.watching import Cinema, cinema_of

FILM = b"a film " * 2000


@pytest.fixture
def cinema(archive: Archive, alice: Hospital, prosody: Prosody) -> Cinema:
    """A recording that can be watched."""
    return cinema_of(archive, replace(alice, app=archive.app), prosody, FILM)


def erase(cinema: Cinema) -> None:
    """Do what a worker does after a deletion."""
    sweep.sweep(cinema.services.database, cinema.services.storage.store, now=utc_now())


def test_the_proof_says_what_when_and_by_whom(cinema: Cinema) -> None:
    """First the keys, and when the store has answered, the bytes."""
    hospital, path = cinema.call.hospital, f"/recordings/{cinema.recording}"
    problem(hospital.get(f"{path}/deletion"), 409, "recording_not_deleted")
    hospital.delete(path)
    proof = hospital.get(f"{path}/deletion").get_json()
    assert (proof["state"], proof["deleted_by"]) == ("deleted", str(hospital.client_id))
    (stored,) = proof["stored_files"]
    assert stored["key_destroyed_at"] == proof["deleted_at"]
    assert stored["erased_at"] is None
    erase(cinema)
    (stored,) = hospital.get(f"{path}/deletion").get_json()["stored_files"]
    assert stored["erased_at"] >= stored["key_destroyed_at"]
    assert types_of(cinema.services, cinema.call.session["id"])[-1] == "recording.deleted"


def test_a_second_deletion_changes_nothing(cinema: Cinema) -> None:
    """Nor does its time when it comes."""
    hospital, path = cinema.call.hospital, f"/recordings/{cinema.recording}"
    first = hospital.delete(path).get_json()
    assert hospital.delete(path).get_json() == first
    with cinema.services.database.begin() as db:
        assert not deletion.expire(db, first["id"], now=utc_now())
    assert types_of(cinema.services, cinema.call.session["id"]).count("recording.deleted") == 1
    assert len(cinema.entries("recording.deleted")) == 1


def test_links_die_with_the_recording(cinema: Cinema) -> None:
    """They are listed as revoked, and no new one is made."""
    cinema.link()
    cinema.call.hospital.delete(f"/recordings/{cinema.recording}")
    (link,) = cinema.call.hospital.get(cinema.links).get_json()["items"]
    assert link["revoked_at"] is not None
    problem(cinema.make(), 410, "recording_deleted")


def test_a_hold_and_a_deletion_at_once_never_both_win(cinema: Cinema) -> None:
    """Whoever locks the session first: what is held is there, and what is gone was not held."""
    hospital, path = cinema.call.hospital, f"/recordings/{cinema.recording}"
    place = f"/sessions/{cinema.call.session['id']}/holds"
    acts = [
        lambda: hospital.delete(path).status_code,
        lambda: hospital.post(place, json={"reason": "authority"}).status_code,
    ]
    with ThreadPoolExecutor(2) as pool:
        deleted, held = [one.result() for one in [pool.submit(act) for act in acts]]
    assert held == 201
    recording = hospital.get(path).get_json()
    stands = recording["state"]
    assert (deleted, stands) in {(200, "deleted"), (409, "available")}
    order = types_of(cinema.services, cinema.call.session["id"])[-2:]
    assert (order == ["recording.deleted", "hold.placed"]) == (deleted == 200)


def test_a_live_recording_is_stopped_first(
    archive: Archive, alice: Hospital, prosody: Prosody
) -> None:
    """Nobody deletes what is still being made."""
    call = Call(replace(alice, app=archive.app), archive.services, prosody)
    call.runs()
    path = f"/recordings/{call.recordings[0]['id']}"
    problem(call.hospital.delete(path), 409, "recording_live")


def test_deletion_is_for_who_may_and_in_their_hospital(cinema: Cinema, charlie: Hospital) -> None:
    """Another hospital finds nothing to delete, and no proof."""
    path = f"/recordings/{cinema.recording}"
    other: Any = replace(charlie, app=cinema.app)
    problem(other.delete(path), 404, "recording_not_found")
    problem(other.get(f"{path}/deletion"), 404, "recording_not_found")
    assert cinema.watcher().begin().get("bytes=0-3").get_data() == FILM[:4]


@pytest.fixture
def recorder(archive: Archive, tmp_path: Path) -> Recorder:
    """A recorder that hands over to an application with a folder of its own."""
    return recorder_of(archive.services, tmp_path / "store")


@pytest.fixture
def call(recorder: Recorder, alice: Hospital, prosody: Prosody) -> Call:
    """A call that was recorded, whose file has not come yet."""
    here = replace(alice, app=recorder.app)
    return recorded(here, recorder.services, prosody)


def bytes_of(recorder: Recorder, call: Call) -> list[str]:
    """Return what the store has of a hospital."""
    store = recorder.services.storage.store
    return list(store.keys(str(call.hospital.organisation_id)))


def test_everything_that_was_made_of_a_film_goes(
    call: Call, recorder: Recorder, tmp_path: Path
) -> None:
    """The stretches it came in, the file itself, the version for players, and the picture."""
    plain = film(tmp_path / "film.mp4")
    recorder.hand_over(plain, folder_of(call))
    path = f"/recordings/{call.recordings[0]['id']}"
    assert call.hospital.delete(path).status_code == 200
    sweep.sweep(recorder.services.database, recorder.services.storage.store, now=utc_now())
    assert bytes_of(recorder, call) == []
    traces = call.hospital.get(f"{path}/deletion").get_json()["stored_files"]
    assert len(traces) == 4
    assert all(one["erased_at"] for one in traces)


def test_a_stretch_that_comes_while_its_recording_is_deleted(
    call: Call, recorder: Recorder, postgres: LocalStack
) -> None:
    """The deletion waits for who notes it, and then destroys it, too."""
    content, folder = b"a" * 20, folder_of(call)
    assert recorder.send(recorder.tell(content, folder)["upload"], content[:10]).status_code == 204
    file, path = recorder.row(folder), f"/recordings/{call.recordings[0]['id']}"
    database, storage = recorder.services.database, recorder.services.storage
    bytes_ = RecordedBytes(database, storage, organisation_id=file.organisation_id, file_id=file.id)
    with ThreadPoolExecutor(1) as pool, database.begin(file.organisation_id) as db:
        stored = announce(db, organisation_id=file.organisation_id, now=utc_now())
        record(db, stored.id, storage.write(stored, [content[10:15]]))
        bytes_.take(db, stored.id, start=10, end=15, now=utc_now())
        deleted = pool.submit(call.hospital.delete, path)
        until_waited_for(db, postgres)
        db.commit()
        assert deleted.result().status_code == 200
    traces = call.hospital.get(f"{path}/deletion").get_json()["stored_files"]
    assert len(traces) == 2
    assert all(one["key_destroyed_at"] for one in traces)


def test_what_was_deleted_is_not_taken_in_again(call: Call, recorder: Recorder) -> None:
    """Neither by a recorder that comes late, nor by one that did not hear that it may forget it:
    both are told that they need not keep it."""
    path = f"/recordings/{call.recordings[0]['id']}"
    assert call.hospital.delete(path).status_code == 200
    for _ in range(2):
        answer = recorder.tell(b"late", folder_of(call))
        assert (answer["state"], answer["upload"]) == ("kept", "")
    row = recorder.row(folder_of(call))
    assert (row.state, row.sha256, row.seen) == ("deleted", b"", [])
    assert call.recordings[0]["state"] == "deleted"


def test_what_belongs_to_nobody_has_an_end_too(recorder: Recorder) -> None:
    """An orphan is destroyed after 90 days; its row stays, so that it is not taken in again."""
    folder = f"lost-{uuid4()}"
    row = recorder.hand_over(b"nobody's", folder)
    assert row.state == "orphaned"
    database, now = recorder.services.database, utc_now()
    retention.end_orphans(database, now=now + timedelta(days=89))
    assert recorder.row(folder).state == "orphaned"
    retention.end_orphans(database, now=now + timedelta(days=91))
    gone = recorder.row(folder)
    assert (gone.state, gone.sha256) == ("deleted", b"")
    with pytest.raises(Gone):
        recorder.content(gone.content_id)
    assert recorder.tell(b"nobody's", folder)["state"] == "kept"
