"""Work on files of recordings goes on whatever dies."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.adapters.files_local import LocalFiles
from app.adapters.files_s3 import S3Files
from app.clock import utc_now
from app.errors import Gone, Unavailable
from app.factory import create_app
from app.ports import FileStore, Pieces
from app.recording_files import processing
from app.recording_files.models import RecordingFile
from app.services import Services
from app.storage.service import Storage
from tests.api.recorded import folder_of, shown
from tests.api.recorder import Recorder
from tests.api.records import alter
from tests.api.test_recordings import Call
from tests.object_store import ACCESS, BUCKET, object_store
from workers.jobs.recordings import process

PAST = "UPDATE teleconference.{} SET due_at = now() WHERE folder = :folder"
GOES_ON = """
    UPDATE teleconference.recordings SET state = 'active', stopped_at = NULL WHERE id = :id"""


class Dying(FileStore):
    """A store whose process dies as it writes for the n-th time, or that is away."""

    def __init__(self, store: FileStore, *, dies_at: int = 0, is_away: bool = False) -> None:
        self._store = store
        self._left = dies_at
        self.is_away = is_away

    def put(self, key: str, content: Iterable[bytes]) -> None:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt
        self._store.put(key, content)

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> Pieces:
        if self.is_away:
            raise Unavailable("The store does not answer.", code="storage_unavailable")
        return self._store.open(key, start=start, length=length)

    def delete(self, key: str) -> None:
        self._store.delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        return self._store.keys(prefix)

    def forget_unfinished(self, *, before: Any) -> None:
        self._store.forget_unfinished(before=before)


class Odd(LocalFiles):
    """A store with a fault that nobody thought of."""

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> Pieces:
        raise RuntimeError(key, start, length)


def with_store(recorder: Recorder, store: FileStore) -> Services:
    return replace(recorder.services, storage=Storage(store, recorder.services.vault))


def sent(recorder: Recorder, content: bytes, folder: str) -> None:
    """Send a whole file."""
    upload = recorder.tell(content, folder)["upload"]
    assert recorder.send(upload, content).status_code == 204


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_who_goes_on_begins_where_the_other_died(
    call: Call, recorder: Recorder, plain: bytes, tmp_path: Path, dies_at: int
) -> None:
    """Before the file is stored as one, before its picture, and before the version to play."""
    folder = folder_of(call)
    sent(recorder, plain, folder)
    dying = with_store(recorder, Dying(LocalFiles(str(tmp_path)), dies_at=dies_at))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            process(dying, recorder.row(folder).id)
        process(recorder.services, recorder.row(folder).id)
        assert shown(call)["state"] == "processing"  # it is another's for the time of its lease
        alter(call.services, PAST.format("recording_files"), folder=folder)
        dying = with_store(recorder, Dying(LocalFiles(str(tmp_path)), dies_at=1))
    kept = recorder.row(folder).content_id
    recorder.work(folder)
    assert shown(call)["state"] == "available"
    assert kept in (None, recorder.row(folder).content_id)
    assert recorder.content(recorder.row(folder).content_id) == plain


def claimed(call: Call, file_id: UUID, now: datetime) -> RecordingFile | None:
    """Take a file as a worker does."""
    with call.services.database.begin() as db:
        return processing.claim(db, file_id, lease_s=60, now=now)


def test_who_lost_a_file_to_another_records_nothing(
    call: Call, recorder: Recorder, plain: bytes
) -> None:
    """It comes back late, and finds that its claim is over."""
    folder = folder_of(call)
    sent(recorder, plain, folder)
    file_id, now = recorder.row(folder).id, utc_now()
    late = claimed(call, file_id, now)
    assert late is not None
    assert claimed(call, file_id, now) is None
    assert claimed(call, file_id, now + timedelta(seconds=61)) is not None
    with pytest.raises(Gone), call.services.database.begin() as db:
        processing.prolong(db, late, lease_s=60, progress=1, now=now)
    with call.services.database.begin() as db:
        processing.fail(db, late, code="processing_failed", now=now)
    assert shown(call)["state"] == "processing"


def test_a_store_that_is_away_is_nobodys_fault(
    call: Call, recorder: Recorder, plain: bytes, tmp_path: Path
) -> None:
    """However long: also while ffmpeg reads it."""
    folder = folder_of(call)
    sent(recorder, plain, folder)
    away = Dying(LocalFiles(str(tmp_path)), is_away=True)
    services = with_store(recorder, away)
    for _ in range(processing.MOST_TRIES + 2):
        process(services, recorder.row(folder).id)
        assert (shown(call)["state"], shown(call)["reason"]) == (
            "processing",
            "storage_unavailable",
        )
        alter(call.services, PAST.format("recording_files"), folder=folder)
    # It is ready for trouble of its own: all its tries are left.
    process(with_store(recorder, Odd(str(tmp_path))), recorder.row(folder).id)
    assert shown(call)["reason"] == "internal_error"
    alter(call.services, PAST.format("recording_files"), folder=folder)
    recorder.work(folder)
    assert (shown(call)["state"], shown(call)["reason"]) == ("available", None)


def test_a_file_that_comes_while_its_recording_goes_on(
    call: Call, recorder: Recorder, plain: bytes
) -> None:
    """Of a recorder that died: it is kept, and nobody judges it before the recording is over."""
    folder, id_ = folder_of(call), call.recordings[0]["id"]
    alter(call.services, GOES_ON, id=id_)
    recorder.hand_over(plain, folder)
    for _ in range(processing.MOST_TRIES + 2):
        assert (shown(call)["state"], shown(call)["reason"]) == ("processing", "recording_live")
        alter(call.services, PAST.format("recording_files"), folder=folder)
        recorder.work(folder)
    assert recorder.tell(plain, folder)["state"] == "kept"
    call.focus("off")
    alter(call.services, PAST.format("recording_files"), folder=folder)
    recorder.work(folder)
    assert (shown(call)["state"], shown(call)["findings"]) == ("available", [])
    assert call.stands[0] == "available"


def test_what_is_of_no_recording_is_set_aside_after_as_many_tries(recorder: Recorder) -> None:
    """It cannot fail: there is nobody to tell. What came is kept, here and there."""
    folder = f"lost-{uuid4()}"
    sent(recorder, b"nobody's", folder)
    often(recorder, folder)
    recorder.work(folder)
    row = recorder.row(folder)
    assert (row.state, row.reason, row.due_at) == ("orphaned", "processing_failed", None)
    assert recorder.tell(b"nobody's", folder)["state"] == "arrived"


def often(recorder: Recorder, folder: str) -> None:
    """Note that a file was tried as often as one is."""
    statement = "UPDATE teleconference.recording_files SET tries = :number WHERE folder = :folder"
    alter(recorder.services, statement, folder=folder, number=processing.MOST_TRIES)


def test_a_file_that_kills_its_workers_is_given_up(
    call: Call, recorder: Recorder, plain: bytes
) -> None:
    """But not thrown away."""
    folder = folder_of(call)
    sent(recorder, plain, folder)
    often(recorder, folder)
    recorder.work(folder)
    assert (shown(call)["state"], shown(call)["reason"]) == ("failed", "processing_failed")
    answer = recorder.tell(plain, folder)
    assert (answer["state"], answer["code"]) == ("refused", "processing_failed")


def test_a_file_for_which_there_is_no_room_is_given_up(
    call: Call, recorder: Recorder, plain: bytes
) -> None:
    """It says so: then somebody makes some."""
    folder = folder_of(call)
    sent(recorder, plain, folder)
    often(recorder, folder)
    file = claimed(call, recorder.row(folder).id, utc_now())
    assert file is not None
    with call.services.database.begin() as db:
        processing.postpone(db, file, reason=processing.NO_ROOM, now=utc_now())
    alter(call.services, PAST.format("recording_files"), folder=folder)
    recorder.work(folder)
    assert (shown(call)["state"], shown(call)["reason"]) == ("failed", "temporary_space_full")


def lose(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


HARMS: dict[str, Callable[[Path], None]] = {
    "stored_file_missing": lose,
    "stored_file_damaged": damage,
}


@pytest.mark.parametrize("reason", HARMS)
def test_a_stretch_that_the_store_has_not_kept_is_sent_anew(
    call: Call, recorder: Recorder, plain: bytes, tmp_path: Path, reason: str
) -> None:
    """The recorder has the file until it hears that all of it is kept."""
    folder = folder_of(call)
    sent(recorder, plain, folder)
    (stretch,) = (path for path in tmp_path.rglob("*") if path.is_file())
    HARMS[reason](stretch)
    recorder.work(folder)
    assert (shown(call)["state"], shown(call)["reason"]) == ("arriving", reason)
    answer = recorder.tell(plain, folder)
    assert (answer["state"], answer["offset"]) == ("arriving", 0)
    row = recorder.hand_over(plain, folder)
    assert shown(call)["state"] == "available"
    assert recorder.content(row.content_id) == plain


def test_what_lies_in_an_object_store(
    call: Call, recorder: Recorder, plain: bytes, tmp_path: Path
) -> None:
    """The same, with a real server that speaks S3."""
    with object_store(tmp_path) as url:
        store = S3Files(bucket=BUCKET, endpoint_url=url, **ACCESS)
        services = with_store(recorder, store)
        there = replace(recorder, services=services, app=create_app(services))
        row = there.hand_over(plain, folder_of(call))
        assert shown(call)["state"] == "available"
        assert there.content(row.content_id) == plain
        assert there.content(row.shown_id).index(b"moov") < len(plain) / 2


def test_a_stretch_that_an_object_store_has_lost(
    call: Call, recorder: Recorder, plain: bytes, tmp_path: Path
) -> None:
    """It is found out while the whole is being sent there."""
    with object_store(tmp_path) as url:
        store = S3Files(bucket=BUCKET, endpoint_url=url, **ACCESS)
        services = with_store(recorder, store)
        there = replace(recorder, services=services, app=create_app(services))
        sent(there, plain, folder_of(call))
        (stretch,) = store.keys()
        store.delete(stretch)
        there.work(folder_of(call))
        assert (shown(call)["state"], shown(call)["reason"]) == ("arriving", "stored_file_missing")
