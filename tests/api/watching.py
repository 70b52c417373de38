"""A recording that can be watched, and people who watch it, as the tests use them."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from struct import pack
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.clock import utc_now
from app.playback import delivery
from app.recording_files import service as recording_files
from app.recordings.models import Recording
from app.services import Services
from app.storage import service as storage
from tests.api.filing import Archive
from tests.api.hospital import Hospital
from tests.api.left import keep, left
from tests.api.prosody import Prosody
from tests.api.records import alter, audit_of
from tests.api.test_recordings import Call

MIB = 1024 * 1024
# More than one stretch, and no two places in it alike.
FILM = pack(f">{3 * MIB // 4}I", *range(3 * MIB // 4)) + b"the end"

# Their time is over, as if four hours had passed.
OVER = "UPDATE teleconference.playback_views SET expires_at = now() WHERE link_id = :id"


@dataclass
class Watcher:
    """A browser with a link to a recording."""

    client: FlaskClient
    code: str
    view: dict[str, Any] | None = None
    press_id: str = field(default_factory=lambda: str(uuid4()))

    def open(self) -> TestResponse:
        """Open the page, as a mail program does, too."""
        return self.client.get(f"/p/{self.code}")

    def press(self) -> TestResponse:
        """Begin to watch."""
        answer = self.client.post(f"/p/{self.code}/views", json={"press_id": self.press_id})
        if answer.status_code == 201:
            self.view = answer.get_json()
        return answer

    def begin(self) -> "Watcher":
        """Begin to watch, which must work."""
        answer = self.press()
        assert answer.status_code == 201, answer.text
        return self

    @property
    def video(self) -> str:
        """Where the player gets the first file."""
        assert self.view is not None
        return str(self.view["files"][0]["video"])

    def get(self, asked: str = "", **headers: str) -> TestResponse:
        """Ask for a stretch of the video."""
        wanted = {"Range": asked} if asked else {}
        return self.client.get(self.video, headers={**wanted, **headers}, buffered=True)


def another(watcher: Watcher) -> Watcher:
    """Return another browser with the same link."""
    return Watcher(watcher.client.application.test_client(), watcher.code)


@dataclass
class Cinema:
    """A recording of a session, in an application with a file store of its own."""

    services: Services
    app: Flask
    call: Call
    recording: str
    folder: Path

    @property
    def links(self) -> str:
        """Where the recording's links are."""
        return f"/recordings/{self.recording}/playback-links"

    def make(self, **body: Any) -> TestResponse:
        """Ask for a link; for somebody outside when nobody is named."""
        whose = {"viewer_reference": "insurer-4", "viewer_name": "Jo Reader"}
        named = {} if "participant_id" in body else whose
        return self.call.hospital.post(self.links, json={**named, **body})

    def link(self, **body: Any) -> dict[str, Any]:
        """Return a new link."""
        answer = self.make(**body)
        assert answer.status_code == 201, answer.text
        return dict(answer.get_json())

    def watcher(self, link: dict[str, Any] | None = None, **body: Any) -> Watcher:
        """Return a browser with a link of its own."""
        url = (link or self.link(**body))["url"]
        return Watcher(self.app.test_client(), urlsplit(url).path.rsplit("/", 1)[-1])

    def note(self, later: timedelta = delivery.QUIET_FOR) -> int:
        """Tell the audit log what was watched, so much later."""
        with self.services.database.begin() as db:
            return delivery.note(db, limit=100, now=utc_now() + later + timedelta(seconds=1))

    def entries(self, action: str) -> list[Any]:
        """Return the hospital's audit entries of one kind."""
        hospital = self.call.hospital.organisation_id
        return [one for one in audit_of(self.services, hospital) if one.action == action]


def finish(services: Services, recording_id: str) -> None:
    """Let a recording be over and ready to be watched, whatever it waits for; without bytes."""
    with services.database.begin() as db:
        recording = db.get_one(Recording, UUID(recording_id))
        stored = storage.announce(db, organisation_id=recording.organisation_id, now=utc_now())
        left(db, recording_id, state="available", content_id=stored.id)
    values = {"state": "available", "id": recording_id}
    alter(services, "UPDATE teleconference.recordings SET state = :state WHERE id = :id", **values)


def cinema_of(
    archive: Archive, hospital: Hospital, prosody: Prosody, content: bytes = FILM, **facts: Any
) -> Cinema:
    """Return one whose recording can be watched."""
    call = Call(hospital, archive.services, prosody)
    call.runs()
    recording = call.recordings[0]["id"]
    hospital.post(f"/recordings/{recording}/stop")
    call.focus("off")
    keep(archive.services, recording, content, **facts)
    with archive.services.database.begin() as db:
        recording_files.keep(db, recording_files.lock_recording(db, UUID(recording)), now=utc_now())
    return Cinema(archive.services, archive.app, call, recording, archive.folder)
