"""`teleconsult up`: the front door, as a person or a script meets it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from app.localstack import BACKING, DEMONSTRATION, SERVICES
from app.localstack.ports import Ports, is_free
from app.localstack.up import sentences

pytestmark = pytest.mark.timeout(300)  # everything is started three times
PARTS = {*BACKING, *DEMONSTRATION, *SERVICES}


@contextmanager
def running(
    folder: Path, *options: str
) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    """Yield the process and what it printed; end it with SIGTERM."""
    words = [sys.executable, "-m", "app.cli", "up", "--json", "--data-dir", str(folder), *options]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder.parent
    ) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        try:
            yield process, json.loads(line or json.dumps({"error": process.stderr.read()}))
        finally:
            process.terminate()
            process.stderr.read()


def token(facts: dict[str, Any]) -> requests.Response:
    return requests.post(
        f"{facts['api_url']}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(facts["client_id"], facts["client_secret"]),
        timeout=10,
    )


@dataclass
class Starts:
    """What happened when one folder's stack was started three times; everything runs in each."""

    port: int
    # Of the first: ended with SIGTERM, while another `up` had tried to join it.
    first: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    children: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    refusal: dict[str, Any] = field(default_factory=dict)
    refused: int | None = None
    after_refusal: int = 0
    # Of the second: ended because Redis was killed.
    second: dict[str, Any] = field(default_factory=dict)
    session: int = 0
    said: str = ""
    broken: int | None = None
    is_port_free: bool = False
    # Of the third, with --reset.
    third: dict[str, Any] = field(default_factory=dict)
    old_credentials: int = 0


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Starts:
    """Start everything three times: that takes long, so all tests look at the same."""
    folder, ports = tmp_path_factory.mktemp("up") / "data", Ports()
    seen = Starts(ports.choose())  # a free port that nobody else's stack will choose meanwhile
    ports.release()
    session_url, headers = _first(seen, folder)
    _second(seen, folder, session_url, headers)
    with running(folder, "--port", str(seen.port), "--reset") as (_, seen.third):
        seen.old_credentials = token(seen.first).status_code
    return seen


def _first(seen: Starts, folder: Path) -> tuple[str, dict[str, str]]:
    """Return where a session is that was made now, and a token."""
    with running(folder, "--port", str(seen.port)) as (process, seen.first):
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        seen.children = [pid for pid in pids if parent(pid) == process.pid]
        with running(folder) as (another, seen.refusal):
            pass
        seen.refused = another.returncode
        answer = token(seen.first)
        seen.after_refusal = answer.status_code
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        sessions = f"{seen.first['api_url']}/sessions"
        made = requests.post(sessions, json={}, headers=headers, timeout=10)
    seen.exit_code = process.returncode
    seen.left = [pid for pid in seen.children if parent(pid) is not None]
    return f"{sessions}/{made.json()['id']}", headers


def _second(seen: Starts, folder: Path, session_url: str, headers: dict[str, str]) -> None:
    """Look for the session, and kill Redis."""
    with running(folder, "--port", str(seen.port)) as (process, seen.second):
        seen.session = requests.get(session_url, headers=headers, timeout=10).status_code
        log = Path(seen.second["logs"]["redis"])
        starts = re.findall(r"^(\d+):C ", log.read_text(), re.MULTILINE)
        os.kill(int(starts[-1]), signal.SIGKILL)
        assert process.stderr
        seen.said = process.stderr.read()
    seen.broken = process.returncode
    seen.is_port_free = is_free(seen.port)


def parent(pid: int) -> int | None:
    """Return the parent's process id, None when there is no such process."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def test_a_first_start_shows_a_way_in(starts: Starts) -> None:
    """The credentials work; SIGTERM ends it, and nothing is left."""
    assert set(starts.first["logs"]) == PARTS
    assert [one["patient"] for one in starts.first["appointments"]] == [
        "Sam Rivera",
        "Jo Meier",
        "Lou Petit",
    ]
    assert len(starts.children) == len(PARTS)
    assert starts.exit_code == 0
    assert starts.left == []


def test_a_second_up_on_the_same_folder_is_refused(starts: Starts) -> None:
    """With a sentence, and without disturbing the first."""
    assert "already runs on" in starts.refusal["error"]
    assert starts.refused == 1
    assert starts.after_refusal == 200


def test_a_second_start_keeps_everything(starts: Starts) -> None:
    """The way in, the demo hospital and what was made since."""
    assert starts.session == 200
    for name in ("appointments", "client_id", "session_id"):
        assert starts.second[name] == starts.first[name]


def test_a_part_that_dies_ends_the_stack_and_is_named(starts: Starts) -> None:
    """Nothing is restarted silently; the sentence says which part, how, and its last lines."""
    assert starts.broken == 1
    assert "redis: was ended by SIGKILL" in starts.said
    assert "last lines of" in starts.said
    assert starts.is_port_free


def test_reset_empties_it(starts: Starts) -> None:
    """The old credentials are nobody's, and the new hospital is another."""
    assert starts.old_credentials == 401
    assert starts.third["client_id"] != starts.first["client_id"]


def test_people_get_sentences_with_all_they_need() -> None:
    """Every fact is in the text, and the curl lines hold the credentials."""
    facts = {
        "api_url": "http://127.0.0.1:8080",
        "docs_url": "http://127.0.0.1:8080/docs",
        "client_id": "an-id",
        "client_secret": "a-secret",
        "doctor_link": "http://meet.localhost:8080/j/doctor",
        "patient_link": "http://meet.localhost:8080/j/patient",
        "staff_url": "http://meet.localhost:8080/staff/",
        "mail_dir": "/data/mail",
        "data_dir": "/data",
    }
    appointment = {
        "start": "2026-06-18T09:00+00:00",
        "patient": "Sam Rivera",
        "doctor": "Dr. Okafor",
        "doctor_link": "http://meet.localhost:8080/j/visit-doctor",
        "patient_link": "http://meet.localhost:8080/j/visit-patient",
    }

    text = sentences({**facts, "appointments": [appointment], "staff": ["ada", "nils"]})

    local = datetime.fromisoformat(appointment.pop("start")).astimezone()
    assert all(value in text for value in (*facts.values(), *appointment.values()))
    assert f"{local:%H:%M}" in text
    assert "ada or nils" in text
    assert "-u 'an-id:a-secret'" in text
