"""The finalize script against a service that says what a test wants it to say."""

import os
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import pytest

from app.clock import utc_now
from app.localstack.process import PLAIN_ENVIRONMENT
from app.localstack.standins import FINALIZE_SCRIPT
from app.signing import sign, verified_secret

SHORT, BLOCK, LONG = bytes(range(24)), bytes(range(1, 65)), bytes(range(2, 150))
KEPT = {"state": "kept", "offset": 0, "upload": ""}
VIDEO = "room_2026-06-18-09-00-00.mp4"
ENDS_WITHIN_S = 30


@dataclass
class Service:
    """What the script talks to: proves its calls and signs its answers, as the API does."""

    secret: bytes
    answer: Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]
    calls: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    def say(self, headers: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Answer one call."""
        assert verified_secret(dict(headers.items()), body, secrets=[self.secret])
        self.calls.append(orjson.loads(body))
        status, told = self.answer(self.calls[-1])
        text = orjson.dumps(told)
        number = f"{headers['webhook-id']}.answer"
        return status, text, sign(number, text, secrets=[self.secret], now=utc_now())


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take a call."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, text, proof = service.say(self.headers, body)
            self.send_response(status)
            for name, value in {**proof, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        service.port = server.server_port
        yield service
        server.shutdown()


def run(*words: str, port: int = 9, **settings: str) -> tuple[int, str]:
    """Run the script; return its exit code and what it said."""
    done = subprocess.run(
        [str(FINALIZE_SCRIPT), *words],
        env={
            **PLAIN_ENVIRONMENT,
            "TELECONSULT_API_URL": f"http://127.0.0.1:{port}",
            "TELECONSULT_FINALIZE_FOR_S": "1",
            "TELECONSULT_QUIET_S": "0",
            **settings,
        },
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What Jibri leaves of one recording."""
    made = tmp_path / "recordings" / "abcdef"
    made.mkdir(parents=True)
    (made / VIDEO).write_bytes(b"film")
    (made / "metadata.json").write_bytes(b'{"participants": []}')
    return made


def text_of(secret: bytes) -> str:
    return b64encode(secret).decode()


@pytest.mark.parametrize("secret", [SHORT, BLOCK, LONG])
def test_it_says_what_there_is_and_removes_what_is_kept(folder: Path, secret: bytes) -> None:
    """With a key of any length, whose proofs are those of the library."""
    with running(Service(secret, lambda _: (200, KEPT))) as service:
        code, said = run(
            str(folder), port=service.port, TELECONSULT_RECORDER_SECRET=text_of(secret)
        )
    assert (code, said) == (0, "teleconsult: abcdef is handed over\n")
    (told,) = service.calls
    assert b64decode(told.pop("metadata")) == b'{"participants": []}'
    assert told == {
        "folder": "abcdef",
        "name": VIDEO,
        "size_bytes": 4,
        "sha256": sha256(b"film").hexdigest(),
        "is_partial": False,
    }
    assert not folder.exists()


def test_the_secret_may_lie_in_a_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"whsec_{text_of(SHORT)}\n")
    with running(Service(SHORT, lambda _: (200, KEPT))) as service:
        file = {"TELECONSULT_RECORDER_SECRET_FILE": str(tmp_path / "secret")}
        assert run(str(folder), port=service.port, **file)[0] == 0


def test_without_a_secret_nothing_is_sent_but_the_end_is_noted(folder: Path) -> None:
    """So the sweep, which has it, knows that the end of the file is not missing."""
    assert run(str(folder)) == (1, "teleconsult: no TELECONSULT_RECORDER_SECRET\n")
    with running(Service(SHORT, lambda _: (200, KEPT))) as service:
        settings = {
            "TELECONSULT_RECORDER_SECRET": text_of(SHORT),
            "TELECONSULT_RECORDINGS": str(folder.parent),
        }
        assert run("--sweep", port=service.port, **settings)[0] == 0
    assert service.calls[0]["is_partial"] is False


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, 1), (503, 1), (429, 1), (408, 1), (401, 1), (409, 2), (422, 2), (404, 2)],
)
def test_what_is_no_yes_removes_nothing(folder: Path, status: int, code: int) -> None:
    """It is tried again, or refused for good."""
    with running(Service(SHORT, lambda _: (status, {"code": "said_so"}))) as service:
        secret = {"TELECONSULT_RECORDER_SECRET": text_of(SHORT)}
        assert run(str(folder), port=service.port, **secret)[0] == code
    assert (folder / VIDEO).exists()
    assert (folder / ".refused").exists() == (code == 2)


def test_a_file_that_is_still_written_to_stays(folder: Path) -> None:
    """Whatever the service says: it took in less than there is now."""

    def grow(_: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with (folder / VIDEO).open("ab") as video:
            video.write(b" goes on")
        return 200, KEPT

    with running(Service(SHORT, grow)) as service:
        secret = {"TELECONSULT_RECORDER_SECRET": text_of(SHORT)}
        code, said = run(str(folder), port=service.port, **secret)
    assert (code, "still written to" in said) == (1, True)
    assert (folder / VIDEO).exists()


def test_a_folder_in_which_a_recording_is_about_to_begin_stays(tmp_path: Path) -> None:
    """It is empty, and young; an old one is rubbish."""
    young = tmp_path / "recordings" / "young"
    young.mkdir(parents=True)
    settings = {
        "TELECONSULT_RECORDER_SECRET": text_of(SHORT),
        "TELECONSULT_RECORDINGS": str(young.parent),
        "TELECONSULT_QUIET_S": "300",
    }
    assert run("--sweep", port=9, **settings) == (0, "")
    assert young.exists()
    os.utime(young, (0, 0))
    assert run("--sweep", port=9, **settings)[0] == 0
    assert not young.exists()


@pytest.mark.parametrize("words", [(), ("--unknown",), ("/no/such/folder",)])
def test_a_wrong_call_does_nothing(words: tuple[str, ...]) -> None:
    assert run(*words)[0] == 2


def test_it_explains_itself() -> None:
    done = subprocess.run([str(FINALIZE_SCRIPT), "--help"], capture_output=True, check=True)
    assert b"Usage: finalize FOLDER" in done.stdout
