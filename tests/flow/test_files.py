"""Files on the real stack: a real tus client, the real API process, relay, worker and scanner."""

import io
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import requests
from tusclient.uploader.uploader import Uploader

from tests.api import samples
from tests.flow.clinic import Clinic, until

CHECKED_WITHIN_S = 60.0
CHUNK_BYTES = 1024 * 1024
# Three stretches of storage, and many chunks of the client.
ROWS, COLUMNS, FRAMES = 1024, 1024, 9


class Shared:
    """A file of a new session, from its announcement on."""

    def __init__(self, clinic: Clinic, kind: str, content: bytes) -> None:
        self._clinic = clinic
        self.session = clinic.hospital.session()
        self._files = f"/sessions/{self.session['id']}/files"
        body = {"kind": kind, "name": f"a {kind}", "size_bytes": len(content)}
        self._announced = clinic.hospital.make(self._files, body)
        self.content = content

    @property
    def path(self) -> str:
        """Where the API knows it."""
        return f"{self._files}/{self._announced['id']}"

    def uploader(self) -> Uploader:
        """Return a tus client for its bytes, which goes on by itself when the API is away."""
        url = self._clinic.stack.api_url + urlsplit(self._announced["upload_url"]).path
        return Uploader(
            file_stream=io.BytesIO(self.content),
            url=url,
            chunk_size=CHUNK_BYTES,
            retries=20,
            retry_delay=1,
        )

    def read(self) -> dict[str, Any]:
        """Return where it stands."""
        return dict(self._clinic.do("GET", self.path).json())

    def becomes(self, state: str, reason: str | None = None) -> bool:
        """Wait until it stands there."""
        return until(
            lambda: (self.read()["state"], self.read()["reason"]) == (state, reason),
            CHECKED_WITHIN_S,
        )

    def address(self, **whose: str) -> dict[str, Any]:
        """Ask for a link to it."""
        return dict(self._clinic.do("POST", f"{self.path}/links", json=whose).json())

    def fetch(self, **headers: str) -> requests.Response:
        """Download it, or a part of it."""
        url = self._clinic.stack.api_url + urlsplit(self.address()["url"]).path
        return requests.get(url, headers=headers, timeout=30)


def test_a_large_file_survives_the_death_of_the_api(clinic: Clinic) -> None:
    """Its sender goes on where the API lost it; what arrives is what was sent."""
    shared = Shared(clinic, "xray", samples.dicom(ROWS, COLUMNS, FRAMES))
    sender = shared.uploader()
    sender.upload(stop_at=5 * CHUNK_BYTES)
    api = clinic.stack.part("api")
    api.kill()
    api.start()
    sender.upload()
    assert shared.becomes("available")
    answer = shared.fetch()
    assert sha256(answer.content).digest() == sha256(shared.content).digest()
    part = shared.fetch(Range="bytes=9000000-9000099")
    assert part.content == shared.content[9_000_000:9_000_100]
    assert shared.read()["has_preview"]


def test_a_file_waits_for_the_scanner_and_is_checked_when_it_is_back(clinic: Clinic) -> None:
    """Nobody gets it meanwhile, whoever asks."""
    scanner = clinic.stack.part("clamd")
    scanner.kill()
    shared = Shared(clinic, "report", samples.pdf())
    shared.uploader().upload()
    assert shared.becomes("scanning", "scanner_unavailable")
    refused = clinic.hospital.call("POST", f"{shared.path}/links", json={})
    assert refused.json()["code"] == "file_scanning"
    scanner.start()
    assert shared.becomes("available")
    assert shared.fetch().content == shared.content


def test_malware_reaches_nobody(clinic: Clinic) -> None:
    """The test file of EICAR inside a document."""
    shared = Shared(clinic, "document", samples.eicar(samples.pdf()))
    shared.uploader().upload()
    assert shared.becomes("quarantined", "file_infected")
    assert clinic.hospital.call("POST", f"{shared.path}/links", json={}).status_code == 409
