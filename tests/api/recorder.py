"""A recorder as the API sees it, and films as ffmpeg makes them."""

import subprocess
from base64 import b64encode
from dataclasses import dataclass
from dataclasses import replace as changed
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
from flask import Flask
from werkzeug.test import TestResponse

from app.adapters.files_local import LocalFiles
from app.clock import utc_now
from app.factory import create_app
from app.recording_files.models import RecordingFile
from app.services import Services
from app.signing import sign, verified_secret
from app.storage.models import StoredFile
from app.storage.service import Storage
from workers.jobs.recordings import process

SECRET = bytes(range(40))
FILES = "/internal/recorder/files"
NAME = "room_2026-06-18-09-00-00.mp4"
PICTURE = ("-f", "lavfi", "-i", "testsrc=size=320x180:rate=10")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def film(path: Path, *more: str, seconds: float = 3, codecs: tuple[str, ...] = H264) -> bytes:
    """Return a film with a tone; as Jibri makes them unless told otherwise: its index comes last.
    The end of `path` says which format."""
    words = ["ffmpeg", "-loglevel", "error", "-y", *PICTURE, *TONE, "-t", str(seconds)]
    subprocess.run([*words, *codecs, *more, str(path)], check=True)
    return path.read_bytes()


@dataclass(frozen=True)
class Recorder:
    """A recorder that signs with `secret`; what it sends lies in `folder` and is worked on here."""

    services: Services
    app: Flask
    secret: bytes = SECRET

    def call(self, call_id: str = "", body: bytes = b"", **told: Any) -> TestResponse:
        """Make a signed call; `told` or a ready body."""
        call_id, body = call_id or str(uuid4()), body or orjson.dumps(told)
        proof = sign(call_id, body, secrets=[self.secret], now=utc_now())
        return self.app.test_client().post(FILES, data=body, headers=proof)

    def tell(self, content: bytes, folder: str, **more: Any) -> dict[str, Any]:
        """Say what there is, and return the answer, whose signature must be good."""
        answer = self.call(**told(content, folder, **more))
        assert answer.status_code == 200, answer.text
        assert verified_secret(dict(answer.headers), answer.data, secrets=[self.secret])
        return dict(answer.get_json())

    def send(self, address: str, content: bytes, offset: int = 0) -> TestResponse:
        """Send bytes."""
        headers = {"Upload-Offset": str(offset), "Tus-Resumable": "1.0.0"}
        kind = "application/offset+octet-stream"
        return self.app.test_client().patch(
            address, data=content, headers=headers, content_type=kind
        )

    def hand_over(self, content: bytes, folder: str, **more: Any) -> RecordingFile:
        """Register, send, and have a worker do its part; return the row."""
        answer = self.tell(content, folder, **more)
        if content:
            assert self.send(answer["upload"], content).status_code == 204
        name = more.get("name", NAME)
        self.work(folder, name)
        return self.row(folder, name)

    def work(self, folder: str, name: str = NAME) -> None:
        """Do what a worker does."""
        process(self.services, self.row(folder, name).id)

    def row(self, folder: str, name: str = NAME) -> RecordingFile:
        """Return what the database has of a file in a folder."""
        with self.services.database.begin() as db:
            return db.query(RecordingFile).filter_by(folder=folder, name=name).one()

    def content(self, stored_id: UUID | None) -> bytes:
        """Return what is stored."""
        with self.services.database.begin() as db:
            stored = db.get_one(StoredFile, stored_id)
        return b"".join(self.services.storage.read(stored))


def told(content: bytes, folder: str, **more: Any) -> dict[str, Any]:
    """Return what a recorder says of a file."""
    metadata = more.pop("metadata", {"participants": []})
    text = metadata if isinstance(metadata, bytes) else orjson.dumps(metadata)
    return {
        "folder": folder,
        "name": NAME,
        "size_bytes": len(content),
        "sha256": sha256(content).hexdigest(),
        "is_partial": False,
        "metadata": b64encode(text).decode(),
        **more,
    }


def recorder_of(services: Services, folder: Path, **settings: Any) -> Recorder:
    """Return one whose files lie in a folder."""
    known = changed(services.settings, recorder_secret=(SECRET,), **settings)
    storage = Storage(LocalFiles(str(folder)), services.vault)
    mine = changed(services, settings=known, storage=storage)
    return Recorder(mine, create_app(mine))
