"""A recording from the recorder's script to its end on the whole stack: handed over, watched with a
link while the API is killed, deleted, and looked for on the whole machine."""

import struct
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from redis import Redis

from app.clock import utc_now
from app.playback import delivery
from app.playback.models import PlaybackDelivery
from tests.api.recorder import film
from tests.api.records import dump
from tests.flow.clinic import Clinic, until
from tests.flow.test_recording_files import Left, leave

# Not what anything else on the machine has.
MARK = f"Face-and-voice-{uuid4().hex}-".encode()
PADDING = MARK * (5 * 1024 * 1024 // len(MARK))
ERASED_WITHIN_S = 40.0


@pytest.fixture
def left(clinic: Clinic, tmp_path: Path) -> Left:
    """A recording whose file is easily recognised, wherever it lies."""
    content = film(tmp_path / "film.mp4")
    (tmp_path / "film.mp4").unlink()
    box = struct.pack(">I4s", 8 + len(PADDING), b"free") + PADDING
    return leave(clinic, tmp_path / "recordings", content + box)


class Viewer:
    """Somebody with a link, and a browser that keeps cookies."""

    def __init__(self, left: Left) -> None:
        self._left = left
        self._browser = requests.Session()
        body = {"viewer_reference": "insurer-4", "viewer_name": "Jo Reader"}
        answer = left.clinic.hospital.call(
            "POST", f"/recordings/{left.recording}/playback-links", json=body
        )
        assert answer.status_code == 201, answer.text
        self._code = answer.json()["url"].rsplit("/", 1)[-1]
        self.link = answer.json()["id"]
        self.view: dict[str, Any] = {}

    def begin(self) -> None:
        """Press the button."""
        press = {"press_id": str(uuid4())}
        answer = self._browser.post(f"{self._api}/p/{self._code}/views", json=press, timeout=15)
        assert answer.status_code == 201, answer.text
        self.view = answer.json()

    def get(self, asked: str) -> requests.Response:
        """Ask for a stretch, as a player does."""
        address = f"{self._api}{self.view['files'][0]['video']}"
        return self._browser.get(address, headers={"Range": f"bytes={asked}"}, timeout=15)

    @property
    def _api(self) -> str:
        return self._left.clinic.stack.api_url


def noted(left: Left) -> str:
    """Return what the database has of what was handed out."""
    with left.clinic.services.database.begin() as db:
        rows = db.query(PlaybackDelivery.delivered).all()
    return " ".join(str(row[0]) for row in rows)


def where_it_is_found(left: Left) -> list[str]:
    """Return every place of the stack that has something of the recording: its files, among them
    the store, the databases' own and all logs, the rows as text, and Redis."""
    stack = left.clinic.stack
    folders = [stack.data_dir, left.recordings.parent]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = [str(path) for path in files if MARK in path.read_bytes()]
    found += ["rows"] * (MARK.decode() in dump(stack))
    redis = Redis.from_url(stack.environment["REDIS_URL"])
    kept = [(key, redis.dump(key) or b"") for key in redis.scan_iter()]
    return found + [str(key) for key, value in kept if MARK in key + value]


def test_a_recording_is_watched_and_then_gone(left: Left) -> None:
    """Whole: what was watched before the API was killed is on record, and nothing of it is left
    once somebody has deleted it."""
    assert where_it_is_found(left) != []
    assert left.run()[0] == 0
    assert left.becomes("available")
    viewer = Viewer(left)
    viewer.begin()
    assert viewer.get("0-").headers["Content-Range"].startswith("bytes 0-2097151/")
    assert until(lambda: "[0,2097152)" in noted(left), 5)
    api = left.clinic.stack.part("api")
    api.kill()
    api.start()
    assert viewer.get("3000000-3000009").status_code == 206
    assert until(lambda: "[0,2097152),[3000000,3000010)" in noted(left), 5)
    with left.clinic.services.database.begin() as db:
        assert delivery.note(db, limit=10, now=utc_now() + 2 * delivery.QUIET_FOR) == 1
    path = f"/recordings/{left.recording}"
    assert left.clinic.hospital.call("DELETE", path).status_code == 200
    assert (viewer.get("0-9").status_code, viewer.get("0-9").json()["code"]) == (
        410,
        "recording_deleted",
    )
    assert until(lambda: is_erased(left), ERASED_WITHIN_S)
    assert where_it_is_found(left) == []


def is_erased(left: Left) -> bool:
    """Tell whether the store has confirmed that all bytes are gone."""
    answer = left.clinic.hospital.call("GET", f"/recordings/{left.recording}/deletion").json()
    return all(one["erased_at"] for one in answer["stored_files"])
