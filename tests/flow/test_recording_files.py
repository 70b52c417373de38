"""Files of recordings on the whole stack: the script that Jibri runs, the real API and worker, and
each of them killed at the worst moment."""

import os
import signal
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any
from uuid import UUID

import orjson
import psutil
import pytest

from app.clock import utc_now
from app.ids import new_id
from app.localstack.process import PLAIN_ENVIRONMENT, wait_until
from app.localstack.standins import FINALIZE_SCRIPT
from app.recording_files.models import RecordingFile
from app.recordings.models import Recording
from app.sessions.models import CareSession
from app.signing import sign
from app.storage.models import StoredFile
from tests.api.recorder import film
from tests.flow.clinic import Clinic, until
from tests.proxy import Proxy

HANDED_OVER_WITHIN_S = 60.0
MIB = 1024 * 1024
# Four stretches, so that there is a half way.
PADDING_BYTES = 28 * MIB
LARGE_S, LARGE_BYTES = 110, 500 * MIB
# Bits like noise at a constant rate: what a long call of many takes.
HEAVY = (
    "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", "40M",
    "-minrate", "40M", "-maxrate", "40M", "-bufsize", "4M", "-x264-params", "nal-hrd=cbr",
)  # fmt: skip
KILLS_AFTER_S = 30.0
MOST_GROWTH_BYTES = 100 * MIB


@dataclass
class Left:
    """A recording that is over, and what a recorder left of it."""

    clinic: Clinic
    recordings: Path
    recording: UUID
    content: bytes

    @property
    def folder(self) -> Path:
        """The recorder's folder of it."""
        return self.recordings / f"jitsi{self.recording}"

    @property
    def row(self) -> RecordingFile | None:
        """What the service has of the file."""
        with self.clinic.services.database.begin() as db:
            return db.query(RecordingFile).filter_by(folder=self.folder.name).first()

    @property
    def shown(self) -> dict[str, Any]:
        """The recording as the API shows it."""
        return dict(self.clinic.hospital.call("GET", f"/recordings/{self.recording}").json())

    @property
    def said(self) -> str:
        """What the script said, each time it ran."""
        return self.log.read_text()

    @property
    def log(self) -> Path:
        """Where it says so."""
        return self.recordings.with_name("log")

    def script(self, *words: str, api: str = "", **settings: str) -> "subprocess.Popen[bytes]":
        """Start the script, as the leader of a group of its own."""
        secret = self.clinic.stack.secrets.recording_files
        environment = {
            **PLAIN_ENVIRONMENT,
            "TELECONSULT_API_URL": api or self.clinic.stack.api_url,
            "TELECONSULT_RECORDER_SECRET": secret,
            "TELECONSULT_RECORDINGS": str(self.recordings),
            "TELECONSULT_QUIET_S": "0",
            **settings,
        }
        words = words or (str(self.folder),)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(FINALIZE_SCRIPT), *words], env=environment, stderr=log, start_new_session=True
            )

    def run(self, *words: str, **settings: str) -> tuple[int, str]:
        """Run it to its end; return its exit code and what it said."""
        before = len(self.said) if self.log.exists() else 0
        code = self.script(*words, **settings).wait(HANDED_OVER_WITHIN_S * 5)
        return code, self.said[before:]

    def becomes(self, state: str, within_s: float = HANDED_OVER_WITHIN_S) -> bool:
        """Wait until the recording stands there."""
        return until(lambda: self.shown["state"] == state, within_s)

    def is_stored(self) -> bool:
        """Tell whether what is stored is what was recorded, and nothing is left of it here."""
        with self.clinic.services.database.begin() as db:
            row = self.row
            assert row is not None
            stored = db.get_one(StoredFile, row.content_id)
        digest = sha256()
        for piece in self.clinic.services.storage.read(stored):
            digest.update(piece)
        is_same = digest.digest() == sha256(self.content).digest()
        return is_same and not self.folder.exists()


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real film that is large because of something players pass over."""
    made = film(tmp_path_factory.mktemp("film") / "film.mp4")
    return made + struct.pack(">I4s", 8 + PADDING_BYTES, b"free") + os.urandom(PADDING_BYTES)


@pytest.fixture
def left(clinic: Clinic, tmp_path: Path, content: bytes) -> Left:
    return leave(clinic, tmp_path / "recordings", content)


def leave(clinic: Clinic, recordings: Path, content: bytes) -> Left:
    """Let a recording be over, of which a recorder has a file."""
    session, now = clinic.hospital.session(), utc_now()
    with clinic.services.database.begin() as db:
        recording = Recording(
            id=(recording_id := new_id()),
            organisation_id=db.get_one(CareSession, UUID(session["id"])).organisation_id,
            session_id=UUID(session["id"]),
            jitsi_session=f"jitsi{recording_id}",
            state="processing",
            requested_by_kind="client",
            changed_at=now,
            started_at=now,
            stopped_at=now,
            version=1,
            created_at=now,
        )
        db.add(recording)
    made = Left(clinic, recordings, recording.id, content)
    made.folder.mkdir(parents=True)
    (made.folder / f"{session['room_name']}_2026-06-18-09-00-00.mp4").write_bytes(content)
    metadata = {"participants": [], "recording_id": str(recording.id)}
    (made.folder / "metadata.json").write_bytes(orjson.dumps(metadata))
    return made


def test_the_api_is_away_when_a_recording_ends(left: Left) -> None:
    """The script waits for it; what it cannot wait for, the sweep hands over later."""
    api = left.clinic.stack.part("api")
    api.kill()
    try:
        code, said = left.run(TELECONSULT_FINALIZE_FOR_S="3")
        assert code == 1
        assert "does not take" in said
        waiting = left.script()
        assert until(lambda: len(left.said) > len(said), HANDED_OVER_WITHIN_S)
    finally:
        api.start()
    assert waiting.wait(HANDED_OVER_WITHIN_S) == 0
    assert left.becomes("available")
    assert left.is_stored()
    assert left.shown["files"][0]["is_partial"] is False


def test_a_script_that_is_killed_half_way_goes_on(left: Left) -> None:
    """What had arrived is not sent again, and a third run finds nothing to do."""
    with Proxy() as network:
        network.target_port = left.clinic.stack.ports["api"]
        script = left.script(api=f"http://127.0.0.1:{network.port}")
        assert wait_until(lambda: received(left) > 0, HANDED_OVER_WITHIN_S)
        os.killpg(script.pid, signal.SIGKILL)
        script.wait()
    had = received(left)
    assert 0 < had < len(left.content)
    assert list(left.folder.glob("*.mp4"))
    assert left.run()[0] == 0
    assert left.becomes("available")
    assert left.is_stored()
    code, said = left.run()
    assert (code, said) == (2, "teleconsult: there is no such folder\n")


def test_a_worker_that_is_killed_twice(left: Left) -> None:
    """Each time while it is at it; the next one goes on."""
    worker = left.clinic.stack.part("worker")
    script = left.script()
    for attempt in (1, 2):
        assert wait_until(lambda n=attempt: attempts(left) >= n, HANDED_OVER_WITHIN_S)  # type: ignore[misc]
        worker.suspend()
        row = left.row
        assert row is not None
        assert (row.state, row.attempts) == ("processing", attempt)
        worker.kill()
        worker.start()
    assert script.wait(HANDED_OVER_WITHIN_S) == 0
    assert left.becomes("available")
    assert left.is_stored()


def received(left: Left) -> int:
    return left.row.received_bytes if left.row else 0


def attempts(left: Left) -> int:
    return left.row.attempts if left.row else 0


class TestSweep:
    """What no script was ever run for."""

    def test_a_folder_without_an_end_is_partial(self, left: Left) -> None:
        """It is what a recorder leaves that was killed: no metadata either."""
        (left.folder / "metadata.json").unlink()
        assert left.run("--sweep")[0] == 0
        assert left.becomes("available")
        (file,) = left.shown["files"]
        assert (file["is_partial"], file["findings"]) == (True, ["metadata_missing"])
        assert left.is_stored()

    def test_what_is_still_written_to_is_left_alone(self, left: Left) -> None:
        """By the clock, and because somebody has it open."""
        assert left.run("--sweep", TELECONSULT_QUIET_S="300")[0] == 0
        (video,) = left.folder.glob("*.mp4")
        with video.open("ab"):
            assert left.run("--sweep")[0] == 0
        assert left.row is None

    def test_an_empty_recording(self, clinic: Clinic, tmp_path: Path) -> None:
        """Nothing was written; it is told, and the folder goes."""
        left = leave(clinic, tmp_path / "recordings", b"")
        assert left.run()[0] == 0
        assert left.becomes("failed")
        assert (left.shown["reason"], left.folder.exists()) == ("file_empty", False)

    def test_what_is_refused_stays_where_it_is(self, clinic: Clinic, tmp_path: Path) -> None:
        """And is not asked about every minute."""
        left = leave(clinic, tmp_path / "recordings", b"film")
        metadata = {"participants": [], "recording_id": str(left.recording)}
        with clinic.services.database.begin() as db:
            db.get_one(Recording, left.recording).jitsi_session = "another"
        (left.folder / "metadata.json").write_bytes(orjson.dumps(metadata))
        code, said = left.run()
        assert code == 2
        assert "recording_mismatch" in said
        assert list(left.folder.glob("*.mp4"))
        assert left.run("--sweep") == (0, "")

    @pytest.mark.parametrize("name", ["a folder", "ümlaut", "with;semicolon", "$(touch x)"])
    def test_a_folder_that_no_recorder_made(self, left: Left, name: str, tmp_path: Path) -> None:
        """Is nobody's business."""
        odd = left.recordings / name
        odd.mkdir()
        (odd / "film.mp4").write_bytes(b"film")
        code, said = left.run(str(odd))
        assert code == 2
        assert "no folder of a recording" in said
        assert (odd / "film.mp4").exists()

    def test_a_file_with_a_strange_name(self, clinic: Clinic, tmp_path: Path) -> None:
        """It is a name and nothing else; what cannot be one is refused."""
        left = leave(clinic, tmp_path / "recordings", b"film")
        (video,) = left.folder.glob("*.mp4")
        video = video.rename(left.folder / "back\\slash.mp4")
        assert left.run()[0] == 2
        video.rename(left.folder / '-rf "quoted" $(id) ü.mp4')
        assert left.run()[0] == 0
        assert left.row is not None
        assert left.row.name == '-rf "quoted" $(id) ü.mp4'

    def test_a_secret_that_is_being_changed(self, left: Left) -> None:
        """The wrong one is no refusal: one side is behind, and it is tried again."""
        wrong = {"TELECONSULT_RECORDER_SECRET": "A" * 44, "TELECONSULT_FINALIZE_FOR_S": "2"}
        code, said = left.run(**wrong)
        assert (code, "(401)" in said) == (1, True)
        both = f"whsec_{left.clinic.stack.secrets.recording_files},{'A' * 44}"
        assert left.run(TELECONSULT_RECORDER_SECRET=both)[0] == 0

    @pytest.mark.parametrize("secret", [b"", bytes(32)])
    def test_an_answer_that_is_not_signed_removes_nothing(self, left: Left, secret: bytes) -> None:
        """Somebody between the two says that it was taken in."""
        with liar(secret) as port:
            script = left.script(api=f"http://127.0.0.1:{port}", TELECONSULT_FINALIZE_FOR_S="2")
            assert script.wait(HANDED_OVER_WITHIN_S) == 1
        assert "not signed" in left.said
        assert list(left.folder.glob("*.mp4"))


@contextmanager
def liar(secret: bytes) -> Iterator[int]:
    """Says of everything that it was taken in, signed with a secret of its own or not at all."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answer."""
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"state":"kept","offset":0,"upload":""}'
            call = f"{self.headers['webhook-id']}.answer"
            proof = sign(call, body, secrets=[secret], now=utc_now()) if secret else {}
            self.send_response(200)
            for name, value in {**proof, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    film(path, seconds=LARGE_S, codecs=HEAVY)
    yield path
    path.unlink()


def grown(clinic: Clinic, before: dict[str, int]) -> dict[str, int]:
    """Return by how many bytes processes hold more memory than before."""
    return {name: held(clinic, name) - before[name] for name in before}


def held(clinic: Clinic, part: str) -> int:
    pid = clinic.stack.part(part).pid
    assert pid is not None
    process = psutil.Process(pid)
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_large_file_with_everything_dying(clinic: Clinic, tmp_path: Path, large: Path) -> None:
    """500 MB; the API down for the first 30 s, the worker killed twice."""
    left = leave(clinic, tmp_path / "recordings", large.read_bytes())
    assert len(left.content) > LARGE_BYTES
    api, worker = clinic.stack.part("api"), clinic.stack.part("worker")
    api.kill()
    script, began = left.script(), monotonic()
    assert until(lambda: monotonic() - began > KILLS_AFTER_S, KILLS_AFTER_S * 2)
    api.start()
    before = {"api": held(clinic, "api")}
    for attempt in (1, 2):
        assert wait_until(lambda n=attempt: attempts(left) >= n, 300)  # type: ignore[misc]
        worker.suspend()
        row = left.row
        assert row is not None
        assert row.state == "processing"
        worker.kill()
        worker.start()
    before["worker"] = held(clinic, "worker")
    most = dict.fromkeys(before, 0)

    def is_done() -> bool:
        for name, growth in grown(clinic, before).items():
            most[name] = max(most[name], growth)
        return bool(left.shown["state"] == "available")

    assert until(is_done, 300)
    assert script.wait(HANDED_OVER_WITHIN_S) == 0
    assert left.is_stored()
    assert max(most.values()) < MOST_GROWTH_BYTES, most
    print(f"{len(left.content)} bytes in {monotonic() - began:.0f} s; grown by {most}")  # noqa: T201
