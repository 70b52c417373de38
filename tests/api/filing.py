"""A session whose people share files, as the tests use it."""

from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Flask
from werkzeug.test import TestResponse

from app.adapters.files_local import LocalFiles
from app.adapters.scanner_clamd import Clamd
from app.factory import create_app
from app.services import Services
from app.storage.service import Storage
from tests.api.hospital import Hospital
from tests.api.records import code_of
from workers.jobs import files as job

NO_SCANNER = Clamd("127.0.0.1:9")


@dataclass(frozen=True)
class Filing:
    """An application with a file store of its own, a hospital, and one of its sessions."""

    services: Services
    app: Flask
    hospital: Hospital
    session: dict[str, Any]
    folder: Path

    @property
    def files(self) -> str:
        """Where the session's files are."""
        return f"/sessions/{self.session['id']}/files"

    def person(self, role: str, **body: Any) -> "Person":
        """Invite somebody who may be in the room."""
        return Person(self, self.hospital.invite(self.session["id"], role, **body))

    def announce(self, kind: str, content: bytes, **body: Any) -> TestResponse:
        """Announce a file as the hospital's program."""
        announced = {"kind": kind, "name": f"a.{kind}", "size_bytes": len(content), **body}
        return self.hospital.post(self.files, json=announced)

    def share(self, kind: str, content: bytes, **body: Any) -> dict[str, Any]:
        """Share a file as the hospital's program and return it once it was checked."""
        answer = self.announce(kind, content, **body)
        assert answer.status_code == 201, answer.text
        return self.finish(answer.get_json(), content)

    def finish(self, announced: dict[str, Any], content: bytes) -> dict[str, Any]:
        """Send a file's bytes, have it checked, and return it."""
        answer = self.send(announced, content)
        assert answer.status_code == 204, answer.text
        self.check(announced["id"])
        return self.read(announced["id"])

    def send(
        self,
        announced: dict[str, Any],
        content: bytes,
        *,
        offset: int | str = 0,
        content_type: str = "application/offset+octet-stream",
    ) -> TestResponse:
        """Send bytes of a file, as tus wants it."""
        path = urlsplit(announced["upload_url"]).path
        told = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset)}
        return self.app.test_client().patch(
            path, data=content, headers=told, content_type=content_type
        )

    def progress(self, announced: dict[str, Any]) -> TestResponse:
        """Ask how much of a file has arrived."""
        return self.app.test_client().head(urlsplit(announced["upload_url"]).path)

    def check(self, file_id: str, **parts: Any) -> None:
        """Do what a worker does with a file that has arrived."""
        job.check(changed(self.services, **parts), UUID(file_id))

    def read(self, file_id: str) -> dict[str, Any]:
        """Return a file as the hospital sees it."""
        answer = self.hospital.get(f"{self.files}/{file_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def link(self, file_id: str, **body: Any) -> TestResponse:
        """Ask for a link as the hospital's program."""
        return self.hospital.post(f"{self.files}/{file_id}/links", json=body)

    def fetch(self, link: dict[str, Any], **headers: str) -> TestResponse:
        """Open a link."""
        return self.app.test_client().get(urlsplit(link["url"]).path, headers=headers)

    def content(self, file_id: str, **body: Any) -> bytes:
        """Return a file's bytes as the hospital's program gets them."""
        answer = self.fetch(self.link(file_id, **body).get_json())
        assert answer.status_code == 200, answer.text
        return answer.get_data()


@dataclass(frozen=True)
class Person:
    """Somebody of the session, acting from the page behind their link."""

    filing: Filing
    row: dict[str, Any]

    @property
    def id(self) -> str:
        """Their id."""
        return str(self.row["id"])

    @property
    def files(self) -> str:
        """Where their page asks for files."""
        return f"/j/{code_of(self.row)}/files"

    def call(self, method: str, path: str = "", **options: Any) -> TestResponse:
        """Send a request of their page."""
        return self.filing.app.test_client().open(f"{self.files}{path}", method=method, **options)

    def announce(self, kind: str, content: bytes, **body: Any) -> TestResponse:
        """Announce a file."""
        announced = {"kind": kind, "name": f"a.{kind}", "size_bytes": len(content), **body}
        return self.call("POST", json=announced)

    def share(self, kind: str, content: bytes, **body: Any) -> dict[str, Any]:
        """Share a file and return it, as the hospital sees it, once it was checked."""
        answer = self.announce(kind, content, **body)
        assert answer.status_code == 201, answer.text
        return self.filing.finish(answer.get_json(), content)

    def sees(self) -> dict[str, dict[str, Any]]:
        """Return the files their page shows, by id."""
        return {one["id"]: one for one in self.call("GET").get_json()["files"]}

    def open(self, file_id: str, **body: Any) -> TestResponse:
        """Ask for a link, and open it if there is one."""
        answer = self.call("POST", f"/{file_id}/link", json=body)
        return self.filing.fetch(answer.get_json()) if answer.status_code == 201 else answer


@dataclass(frozen=True)
class Archive:
    """An application with a file store and a scanner of its own."""

    services: Services
    app: Flask
    folder: Path

    def session_of(self, hospital: Hospital) -> Filing:
        """Return a new session of a hospital."""
        here = changed(hospital, app=self.app)
        return Filing(self.services, self.app, here, here.new_session(), self.folder)


def archive_of(services: Services, folder: Path, scanner: Clamd) -> Archive:
    """Return one whose files lie in a folder."""
    storage = Storage(LocalFiles(str(folder)), services.vault)
    mine = changed(services, storage=storage, scanner=scanner)
    return Archive(mine, create_app(mine), folder)
