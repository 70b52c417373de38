"""`teleconsult up`: the front door, as a person or a script meets it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from app.localstack import BACKING, DEMONSTRATION, SERVICES
from app.localstack.ports import Ports, is_free
from app.localstack.up import sentences

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


@pytest.fixture
def port() -> int:
    """A free port that nobody else's stack will choose meanwhile."""
    ports = Ports()
    chosen = ports.choose()
    ports.release()
    return chosen


def token(facts: dict[str, Any]) -> requests.Response:
    return requests.post(
        f"{facts['api_url']}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(facts["client_id"], facts["client_secret"]),
        timeout=10,
    )


@pytest.mark.timeout(240)  # everything is started three times
def test_a_first_start_shows_a_way_in_and_a_second_keeps_it(folder: Path, port: int) -> None:
    """The credentials work, the data is there again after SIGTERM, and --reset empties it."""
    with running(folder, "--port", str(port)) as (process, first):
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        answer = token(first)
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        made = requests.post(f"{first['api_url']}/sessions", json={}, headers=headers, timeout=10)
        children = [pid for pid in pids if parent(pid) == process.pid]
    with running(folder, "--port", str(port)) as (_, second):
        again = requests.get(
            f"{second['api_url']}/sessions/{made.json()['id']}", headers=headers, timeout=10
        )
    with running(folder, "--port", str(port), "--reset") as (_, emptied):
        empty = token(first)

    assert process.returncode == 0
    assert len(children) == len(PARTS)
    assert not [pid for pid in children if parent(pid) is not None]
    assert set(first["logs"]) == PARTS
    assert again.status_code == 200
    assert [one["patient"] for one in first["appointments"]] == [
        "Sam Rivera",
        "Jo Meier",
        "Lou Petit",
    ]
    assert second["appointments"] == first["appointments"]
    assert second["client_id"] == first["client_id"]
    assert second["session_id"] == first["session_id"]
    assert empty.status_code == 401
    assert emptied["client_id"] != first["client_id"]


def parent(pid: int) -> int | None:
    """Return the parent's process id, None when there is no such process."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def test_a_part_that_dies_ends_the_stack_and_is_named(folder: Path, port: int) -> None:
    """Nothing is restarted silently; the sentence says which part, how, and its last lines."""
    with running(folder, "--port", str(port)) as (process, facts):
        log = Path(facts["logs"]["redis"])
        pid = int(log.read_text().partition(":")[0])
        os.kill(pid, signal.SIGKILL)
        assert process.stderr
        said = process.stderr.read()

    assert process.returncode == 1
    assert "redis: was ended by SIGKILL" in said
    assert "last lines of" in said
    assert is_free(port)


def test_a_second_up_on_the_same_folder_is_refused(folder: Path, port: int) -> None:
    """With a sentence, and without disturbing the first."""
    with running(folder, "--port", str(port)) as (_, facts):
        with running(folder) as (second, refusal):
            pass
        still = token(facts)

    assert "already runs on" in refusal["error"]
    assert second.returncode == 1
    assert still.status_code == 200


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
