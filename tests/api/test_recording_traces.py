"""What is left of a recording that was deleted: nothing that anybody can read, anywhere.

The search is shown to find what it looks for, as long as that is there.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from app.clock import utc_now
from app.localstack.supervisor import LocalStack
from app.recording_files.models import RecordingFile
from app.services import Services
from app.storage import sweep
from app.storage.models import StoredFile
from tests.api.auditing import seal_all, superuser, verdict_on
from tests.api.hospital import Hospital
from tests.api.problems import problem
from tests.api.prosody import Prosody
from tests.api.recorded import folder_of, recorded
from tests.api.recorder import film, recorder_of
from tests.api.records import dump
from tests.api.watching import Cinema

MARK_BYTES = 64


@dataclass(frozen=True)
class Search:
    """Looks for stretches of bytes in all files below some folders and in all rows."""

    folder: Path
    postgres: LocalStack

    def finds(self, *marks: bytes) -> list[str]:
        """Return where any of them is."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        places = [str(path) for path in files if _has(content_of(path), marks)]
        rows = dump(self.postgres)
        return places + ["the database"] * any(mark.hex() in rows for mark in marks)


def _has(content: bytes, marks: tuple[bytes, ...]) -> bool:
    return any(mark in content for mark in marks)


def content_of(path: Path) -> bytes:
    """Return what is in a file, nothing if it went away."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def mark_of(content: bytes) -> bytes:
    """Return bytes from the middle, which no other file has."""
    middle = len(content) // 2
    return content[middle : middle + MARK_BYTES]


@pytest.fixture
def search(tmp_path_factory: pytest.TempPathFactory, postgres: LocalStack) -> Search:
    """Looks everywhere a test writes to, the file store and the worker's temporary folder too."""
    return Search(tmp_path_factory.getbasetemp(), postgres)


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """The worker's temporary folder, as `TMPDIR` sets it when a process begins."""
    folder, before = tmp_path / "scratch", tempfile.tempdir
    folder.mkdir()
    tempfile.tempdir = str(folder)
    yield folder
    tempfile.tempdir = before


@pytest.fixture
def cinema(
    services: Services, alice: Hospital, prosody: Prosody, tmp_path: Path, scratch: Path
) -> Cinema:
    """A recording of which a worker made a version to play; its recorder still has it."""
    recorder = recorder_of(services, tmp_path / "store")
    call = recorded(replace(alice, app=recorder.app), recorder.services, prosody)
    recorder.hand_over(own_film(tmp_path / "film.mp4"), folder_of(call))
    recording = call.recordings[0]["id"]
    made = Cinema(recorder.services, recorder.app, call, recording, tmp_path / "store")
    erase(made)  # the stretch it came in
    return made


def own_film(path: Path) -> bytes:
    """Return a film like no other, which browsers do not play, so that a worker writes another.
    It is silent: every film here has the same tone, and a mark may fall into it."""
    noise = f"noise=alls=20:all_seed={uuid4().int % 2**31}"
    return film(path, "-vf", noise, "-an", codecs=("-c:v", "mpeg4"))


def erase(cinema: Cinema) -> None:
    """Do what a worker does after a deletion."""
    sweep.sweep(cinema.services.database, cinema.services.storage.store, now=utc_now())


def readable(cinema: Cinema) -> list[bytes]:
    """Return a mark of each file that is stored of the recording, as somebody with keys has it."""
    with cinema.services.database.begin() as db:
        file = db.query(RecordingFile).filter_by(recording_id=UUID(cinema.recording)).one()
        ids = (file.content_id, file.playable_id, file.poster_id)
        stored = [db.get_one(StoredFile, one) for one in ids]
    return [mark_of(b"".join(cinema.services.storage.read(one))) for one in stored]


def test_a_deleted_recording_leaves_nothing_readable(
    cinema: Cinema, search: Search, scratch: Path, tmp_path: Path
) -> None:
    """Not in the store, the database, a temporary folder, a link, or what is being watched."""
    hospital, path = cinema.call.hospital, f"/recordings/{cinema.recording}"
    marks, lying = readable(cinema), [one for one in cinema.folder.rglob("*") if one.is_file()]
    sealed = [mark_of(one.read_bytes()) for one in lying]
    sha256 = hospital.get(path).get_json()["files"][0]["sha256"]
    # What is there is found: the recorder's own film, and what a worker might have left.
    assert search.finds(marks[0]) == [str(tmp_path / "film.mp4")]
    (tmp_path / "film.mp4").unlink()
    with tempfile.NamedTemporaryFile() as left:
        left.write(marks[1])
        left.flush()
        assert Path(left.name).parent == scratch
        assert search.finds(*marks) == [left.name]
    assert len(sealed) == 3
    assert sorted(search.finds(*sealed)) == sorted(map(str, lying))
    assert sha256 in dump(search.postgres)
    watcher = cinema.watcher().begin()
    assert marks[1] in watcher.get().get_data()

    deleted = hospital.delete(path)
    assert deleted.status_code == 200, deleted.text
    assert deleted.get_json()["state"] == "deleted"
    (file,) = deleted.get_json()["files"]
    assert (file["state"], file["sha256"]) == ("deleted", "")
    problem(watcher.get("bytes=0-9"), 410, "recording_deleted")
    erase(cinema)
    assert search.finds(*marks, *sealed) == []
    assert sha256 not in dump(search.postgres)
    assert list(cinema.services.storage.store.keys(str(hospital.organisation_id))) == []
    assert list(scratch.iterdir()) == []
    seal_all(cinema.services)
    with superuser(search.postgres) as db:
        assert verdict_on(db, cinema.services, hospital).broken is None
