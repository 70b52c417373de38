"""Somebody in a live room whose Jitsi client shares files, as the tests use them."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

import orjson
from werkzeug.test import TestResponse

from app.files.models import SessionFile
from app.participants.links import live_link
from tests.api.filing import Filing, Person
from tests.api.prosody import Prosody, Someone


@dataclass
class InCall:
    """A person in the room of a session, with a pass for its files."""

    person: Person
    prosody: Prosody
    meeting: str
    shown: str

    def call(self, method: str, path: str = "", **options: Any) -> TestResponse:
        """Send a request of their client."""
        headers = {"Authorization": f"Bearer {self.shown}", **options.pop("headers", {})}
        address = f"/jitsi/documents/sessions/{self.meeting}/files{path}"
        client = self.person.filing.app.test_client()
        return client.open(address, method=method, headers=headers, **options)

    def send(
        self, content: bytes, *, name: str = "a.bin", file_id: str = "", **said: Any
    ) -> TestResponse:
        """Send a file as Jitsi's client does; `said` replaces what it says of it."""
        metadata = {
            "fileId": file_id or str(uuid4()),
            "fileName": name,
            "fileSize": len(content),
            "fileType": "bin",
            "timestamp": 1_700_000_000_000,
            "authorParticipantName": "Somebody else",
            **said,
        }
        form = {"metadata": orjson.dumps(metadata).decode(), "file": (BytesIO(content), name)}
        return self.call("POST", data=form, content_type="multipart/form-data")

    def share(self, content: bytes, *, name: str = "a.bin") -> dict[str, Any]:
        """Share a file and return it, as the hospital sees it, once it was checked."""
        filing = self.person.filing
        answer = self.send(content, name=name)
        assert answer.status_code == 200, answer.text
        file_id = filing.hospital.get(filing.files).get_json()["items"][0]["id"]
        filing.check(file_id)
        return {**filing.read(file_id), "in_list": answer.get_json()["fileId"]}


def begin(sender: InCall, content: bytes, file_id: str) -> str:
    """Leave a file as a process that died over it does; return our id of it."""
    filing = sender.person.filing
    body = {"kind": "document", "name": "a", "size_bytes": len(content)}
    announced = sender.person.call("POST", json=body).get_json()
    filing.send(announced, content[:100_000])
    with filing.services.database.begin() as db:
        db.get_one(SessionFile, announced["id"]).jitsi_id = UUID(file_id)
    return str(announced["id"])


def someone(person: Person) -> Someone:
    """Return a person as their token names them."""
    filing = person.filing
    with filing.services.database.begin() as db:
        link = live_link(db, participant_id=UUID(person.id))
        assert link is not None
    session = filing.session
    return Someone(filing.hospital, session["id"], session["room_name"], person.id, str(link.id))


def listed(filing: Filing, prosody: Prosody) -> list[dict[str, Any]]:
    """Return what the service answers Prosody of the files in a session's room."""
    body = orjson.dumps({"room": filing.session["room_name"]})
    answer = prosody.post("/internal/rooms/files", body)
    assert answer.status_code == 200, answer.text
    return list(answer.get_json()["files"])


def enter(person: Person, prosody: Prosody, *, meeting: str = "") -> InCall:
    """Put a person into the room, and give them a pass as Prosody does."""
    who = someone(person)
    prosody.tell(who.joined())
    meeting = meeting or str(uuid4())
    asked = {"participant_id": who.id, "link_id": who.link_id, "meeting": meeting}
    answer = prosody.post("/internal/rooms/file-pass", orjson.dumps(asked))
    assert answer.status_code == 200, answer.text
    return InCall(person, prosody, meeting, str(answer.get_json()["pass"]))


def ids_in(found: list[dict[str, Any]], *, pending: bool = False) -> set[str]:
    """Return which files are in a list that Prosody got."""
    return {one["id"] for one in found if one["pending"] is pending}
