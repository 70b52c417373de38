"""Prosody's modules as the API sees them: signed questions and signed batches of events."""

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import orjson
from flask import Flask
from werkzeug.test import TestResponse

from app.clock import utc_now
from app.participants.links import live_link
from app.services import Services
from app.signing import sign, verified_secret
from tests.api.hospital import Hospital

ADMISSION = "/internal/rooms/admission"
EVENTS = "/internal/rooms/events"


@dataclass
class Prosody:
    """One run of Prosody; `secret` signs what it sends."""

    app: Flask
    services: Services
    secret: bytes
    source: str = field(default_factory=lambda: str(uuid4()))

    def post(self, path: str, body: bytes, message_id: str = "", **headers: str) -> TestResponse:
        """Send signed bytes; `headers` replace those of the signature."""
        proof = sign(message_id or str(uuid4()), body, secrets=[self.secret], now=utc_now())
        return self.app.test_client().post(path, data=body, headers={**proof, **headers})

    def ask(self, **question: Any) -> dict[str, Any]:
        """Ask for admission and return the answer, whose signature must be good."""
        [answer] = self.ask_together(question)
        return answer

    def ask_together(self, *questions: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask for the admission of several people at once."""
        asked = [{"stage": "join", "token_id": "t", **question} for question in questions]
        message_id = str(uuid4())
        answer = self.post(ADMISSION, orjson.dumps({"questions": asked}), message_id)
        assert answer.status_code == 200, answer.text
        assert answer.headers["webhook-id"] == f"{message_id}.answer"
        assert verified_secret(dict(answer.headers), answer.data, secrets=[self.secret])
        return list(answer.get_json()["answers"])

    def tell(self, *events: dict[str, Any], source: str = "") -> int:
        """Send a batch and return how many events were accepted."""
        batch = {"source": source or self.source, "events": list(events)}
        answer = self.post(EVENTS, orjson.dumps(batch))
        assert answer.status_code == 200, answer.text
        return int(answer.get_json()["accepted"])


def prosody_of(app: Flask, services: Services) -> Prosody:
    """Return a run of Prosody that has the service's secret."""
    return Prosody(app, services, services.settings.room_events_secret[0])


@dataclass(frozen=True)
class Someone:
    """A person invited to a room, with what their token would say."""

    hospital: Hospital
    session_id: str
    room: str
    id: str
    link_id: str

    def question(self, **changes: Any) -> dict[str, Any]:
        """Return the question Prosody asks about this person."""
        asked = {"room": self.room, "token_room": self.room}
        return {**asked, "participant_id": self.id, "link_id": self.link_id, **changes}

    def event(self, type_: str, **members: Any) -> dict[str, Any]:
        """Return an event about this person's connection `c1`."""
        return {
            "id": str(uuid4()),
            "type": type_,
            "room": self.room,
            "at": time.time(),
            "participant_id": self.id,
            "connection": "c1",
            **members,
        }

    def joined(self, **members: Any) -> dict[str, Any]:
        """Return a join."""
        return self.event("participant.joined", **members)

    def left(self, reason: str = "left", **members: Any) -> dict[str, Any]:
        """Return a leave."""
        return self.event("participant.left", reason=reason, **members)


def invite(
    services: Services, hospital: Hospital, session: dict[str, Any], role: str = "patient"
) -> Someone:
    """Invite one person to a session."""
    invited = hospital.invite(session["id"], role)
    with services.database.begin() as db:
        link = live_link(db, participant_id=UUID(invited["id"]))
        assert link is not None
    return Someone(hospital, session["id"], session["room_name"], invited["id"], str(link.id))
