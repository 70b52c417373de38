"""The pages over a link service that each test arranges, in a browser that stays at home."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from flask import Flask, Response, jsonify, request
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from app.errors import Gone, NotFound
from app.pages.routes import make_blueprint
from app.participants.links import LinkView
from app.web.services import EXTENSION
from tests.pages.shared_files import SharedFiles

CODE = "patientslink"
START = datetime(2030, 5, 14, 12, 30, tzinfo=UTC)
PHONE: ViewportSize = {"width": 360, "height": 740}
DRIVEN_MEETING = (Path(__file__).parent / "driven_meeting.js").read_text()
FINAL = {
    "removed": (403, "participant_removed"),
    "session-ended": (410, "session_ended"),
    "session-cancelled": (410, "session_cancelled"),
    "link-revoked": (410, "link_revoked"),
    "denied": (403, "participant_denied"),
}
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Nobody looks at the pictures here; drawing them is what a page that shows some costs most.
FAKE_DEVICES = ["--use-fake-device-for-media-stream=fps=5", "--use-fake-ui-for-media-stream"]


class KeepAlive(WSGIRequestHandler):
    """Twenty small files over one connection, as a real server would give them."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Keep the link code out of the log here too."""


@dataclass
class LinkService:
    """What the API would answer for the one link there is; tests change it as the day goes on."""

    reason: str = ""
    opens_at: datetime | None = None
    down: bool = False
    role: str = "patient"
    locale: str = "de-CH"
    jitsi_public_url: str = ""
    stream_url: str = ""
    tokens: int = 0
    states_asked: int = 0
    # What is pushed to the page's stream, one state at a time; None ends the stream.
    pushes: "Queue[str | None]" = field(default_factory=Queue)
    streams: int = 0
    # In the waiting room: people ahead, the estimate in seconds, what a denied person is told.
    ahead: int = 0
    estimate_s: int | None = None
    message: str | None = None
    # For a moderator: who waits; and who was let in by the page.
    queue: list[str] = field(default_factory=list)
    admitted: list[str] = field(default_factory=list)
    denied: list[tuple[str, str]] = field(default_factory=list)
    # Who is in the room, by name and role, and what the page did there.
    inside: list[tuple[str, str]] = field(default_factory=list)
    done: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuses: bool = False
    # How the recording stands, and this person to it; and what they answered, where.
    recording: tuple[str, str | None] = ("", None)
    consent: str = "missing"
    is_asked: bool = False
    answers: list[tuple[str, str]] = field(default_factory=list)
    permissions: list[str] = field(default_factory=lambda: ["share_screen"])
    shared: SharedFiles = field(default_factory=SharedFiles)
    others: list[tuple[str, str]] = field(default_factory=lambda: [("Dr. Ada Keller", "doctor")])

    def find(self, code: str) -> LinkView:
        if code == "broken":
            raise RuntimeError(f"a fault while looking at {code}")
        if code != CODE:
            raise NotFound("This link is not known.", code="link_unknown")
        if self.reason in ("link-revoked", "link-expired"):
            raise Gone("Not valid.", code=self.reason.replace("-", "_"))
        return LinkView(
            participant_id=UUID(int=7),
            organisation_id=UUID(int=8),
            organisation_name="Spital <Nord>",
            session_id=UUID(int=9),
            role=self.role,
            display_name="Max </script><b>Muster",
            locale=self.locale,
            participant_state="invited",
            session_state="scheduled",
            planned_start=START,
            planned_end=None,
            opens_at=self.opens_at,
            may_enter=not self.reason,
            reason=self.reason,
            others=self.others,
            is_asked=self.is_asked,
        )

    def token(self) -> Response:
        if self.reason in FINAL:
            status, code = FINAL[self.reason]
            return _json({"code": code, "status": status}, status)
        if self.reason:
            opens_at = self.opens_at and self.opens_at.isoformat()
            waiting = {"state": "waiting", "reason": self.reason, "opens_at": opens_at}
            return _json({**waiting, "poll_s": 0.1, "waiting": self.place(self.reason)})
        self.tokens += 1
        return _json(self._ready())

    def state(self) -> Response:
        self.states_asked += 1
        return _json(self._state(self.reason))

    def stream(self) -> Response:
        self.streams += 1
        return Response(self._pushed(), mimetype="text/event-stream")

    def _pushed(self) -> Iterator[str]:
        yield "retry: 100\n\n"
        while (reason := self.pushes.get(timeout=20)) is not None:
            yield f"event: state\ndata: {json.dumps(self._state(reason))}\n\n"

    def _state(self, reason: str) -> dict[str, Any]:
        states = {"session_state": "active", "participant_state": "invited"}
        about = {"reason": reason, "waiting": self.place(reason), "message": self.message}
        state, why = self.recording
        recording = {
            "state": state, "reason": why, "consent": self.consent, "is_asked": self.is_asked,
        }  # fmt: skip
        return {**states, "may_enter": not reason, "recording": recording, **about}

    def question(self, language: str) -> Response:
        if self.refuses:
            return _json({"code": "database_unavailable", "status": 503}, 503)
        return _json({"text": f"May we record? ({language})", "sha256": "a" * 64})

    def answer(self, body: dict[str, Any]) -> Response:
        assert body["text_sha256"] == "a" * 64
        self.answers.append((body["act"], body["channel"]))
        self.consent, self.is_asked = body["act"], False
        return _json({"state": body["act"]})

    def place(self, reason: str) -> dict[str, Any] | None:
        if reason != "not-admitted":
            return None
        place = {"place": self.ahead + 1, "ahead": self.ahead, "estimate_s": self.estimate_s}
        return {**place, "since": "2030-05-14T12:30:00Z"}

    def waiting(self) -> Response:
        people = [
            {"participant_id": name, "display_name": name, "waited_s": 60 * number}
            for number, name in enumerate(self.queue)
        ]
        return _json({"items": people})

    def admit(self, name: str) -> Response:
        if name not in self.queue:
            return _json({"code": "not_waiting", "status": 409}, 409)
        self.queue.remove(name)
        self.admitted.append(name)
        return _json({"state": "admitted"})

    def admit_next(self) -> Response:
        name = self.queue[0]
        self.admit(name)
        return _json({"state": "admitted", "participant_id": name, "display_name": name})

    def deny(self, name: str, message: str) -> Response:
        self.queue.remove(name)
        self.denied.append((name, message))
        return _json({"state": "denied"})

    def people(self) -> Response:
        people = [
            {
                "participant_id": str(UUID(int=7)) if number == 0 else name,
                "display_name": name,
                "role": role,
                "moderator": role in ("doctor", "nurse"),
                "since": "2030-05-14T12:30:00Z",
            }
            for number, (name, role) in enumerate(self.inside)
        ]
        return _json({"people": people, "audio_moderated": False, "video_moderated": False})

    def control(self, name: str, body: dict[str, Any]) -> Response:
        if self.refuses:
            return _json({"code": "not_in_room", "status": 409}, 409)
        self.done.append((name, body))
        if name == "remove":
            self.inside = [one for one in self.inside if one[0] != body["participant_id"]]
        return _json({"delivered": len(self.inside) - 1} if name == "message" else {}, 202)

    def _ready(self) -> dict[str, Any]:
        return {
            "state": "ready",
            "room": "room",
            "jwt": f"token-{self.tokens}",
            "display_name": "Max",
            "role": self.role,
            "permissions": self.permissions,
            "language": "en",
            "jitsi": {"public_url": self.jitsi_public_url, "domain": "d", "muc": "m", "focus": "f"},
        }


def _json(body: dict[str, Any], status: int = 200) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response


@pytest.fixture
def service() -> LinkService:
    return LinkService()


@pytest.fixture
def app(service: LinkService) -> Flask:
    app = Flask("pages-under-test")
    settings = SimpleNamespace(
        jitsi_public_url=service.jitsi_public_url,
        jitsi_websocket_url="ws://xmpp.test/ws",
        stream_url=service.stream_url,
    )
    app.extensions[EXTENSION] = SimpleNamespace(settings=settings)
    app.register_blueprint(make_blueprint(service.find))
    down = Response("proxy error", status=502)
    app.post("/j/<code>/token", endpoint="token")(
        lambda code: down if service.down else service.token()
    )
    app.get("/j/<code>/state", endpoint="state")(
        lambda code: down if service.down else service.state()
    )
    app.get("/stream/j/<code>", endpoint="stream")(lambda code: service.stream())
    app.get("/j/<code>/waiting", endpoint="waiting")(lambda code: service.waiting())
    app.post("/j/<code>/waiting/<name>/admit", endpoint="admit")(
        lambda code, name: service.admit(name)
    )
    app.post("/j/<code>/waiting/admit-next", endpoint="admit-next")(
        lambda code: service.admit_next()
    )
    app.post("/j/<code>/waiting/<name>/deny", endpoint="deny")(
        lambda code, name: service.deny(name, request.get_json()["message"])
    )
    app.get("/j/<code>/consents", endpoint="question")(
        lambda code: service.question(request.args["language"])
    )
    app.post("/j/<code>/consents", endpoint="answer")(
        lambda code: service.answer(request.get_json())
    )
    app.get("/j/<code>/people", endpoint="people")(lambda code: service.people())
    app.post("/j/<code>/controls/<name>", endpoint="control")(
        lambda code, name: service.control(name, request.get_json())
    )
    service.shared.register(app)
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    """The application on a port of its own; the name makes it a secure context in Chromium."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=KeepAlive)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://meet.localhost:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="package")
def launch() -> Iterator[Callable[[list[str]], Browser]]:
    """Starts browsers. Not for a whole run: their event loop is in this thread, as others are."""
    program = shutil.which("chromium-headless-shell")
    assert program, "chromium-headless-shell was not found; run script/bootstrap"
    with sync_playwright() as playwright:
        yield lambda more: playwright.chromium.launch(
            executable_path=program, headless=True, args=[*CHROMIUM, *more]
        )


@pytest.fixture(scope="package")
def browser(launch: Callable[[list[str]], Browser]) -> Iterator[Browser]:
    browser = launch(FAKE_DEVICES)
    yield browser
    browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=PHONE, locale="en-GB", timezone_id="Europe/Zurich")
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A phone whose meetings are driven by the test (`window.meetings`), see driven_meeting.js."""
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.route("**/js/meeting-lib.js", _serve_driven_meeting)
    page.set_default_timeout(10_000)
    yield page
    assert faults == []


def _serve_driven_meeting(route: Route) -> None:
    route.fulfill(content_type="text/javascript", body=DRIVEN_MEETING)
