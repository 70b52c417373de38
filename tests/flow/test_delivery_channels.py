"""The hospital's notification service and its SMS gateway, real servers with every fault."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from standardwebhooks.webhooks import Webhook

from app.clock import utc_now
from app.localstack import LocalStack, Ports
from app.notifications.models import Notification
from app.signing import encode_secret
from tests.conftest import services_of
from tests.flow.deliveries.test_delivery_crash import second
from tests.flow.delivery import IMPATIENT, PARTS, Hospital, Server, eventually

SECRET, TOKEN = encode_secret(b"n" * 32), "gateway-token"
PHONE = "+4930123456"


@dataclass
class Outside:
    """One of the two servers. `answer` gives the status, and may block; None is garbage."""

    answer: Callable[[], int | None] = lambda: 200
    taken: list[tuple[dict[str, str], dict[str, Any], bytes]] = field(default_factory=list)
    asked: int = 0
    server: Server | None = None

    def start(self, port: int) -> None:
        """Listen."""
        self.server = Server(("127.0.0.1", port), _handler(self))
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}).start()

    def stop(self) -> None:
        """Stop listening."""
        assert self.server is not None
        self.server.shutdown()
        self.server.server_close()


def _handler(outside: Outside) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            outside.asked += 1
            status = outside.answer()
            try:
                if status is None:
                    self.wfile.write(b"\x00\xff this is not HTTP\r\n\r\n")
                    return
                if status < 300:
                    head = {name.lower(): value for name, value in self.headers.items()}
                    outside.taken.append((head, json.loads(body), body))
                self.send_response(status)
                self.end_headers()
            except OSError:
                return  # it did not wait

        def log_message(self, *_arguments: Any) -> None:
            pass

    return Handler


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """Where the two listen."""
    chosen = Ports()
    yield {"service": chosen.choose(), "sms": chosen.choose()}
    chosen.release()


@pytest.fixture(scope="module")
def channel_stack(
    tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]
) -> Iterator[LocalStack]:
    """What deliveries need, with both channels set up."""
    settings = {
        "NOTIFICATION_SERVICE_URL": f"http://127.0.0.1:{ports['service']}/messages",
        "NOTIFICATION_SERVICE_SECRET": SECRET,
        "SMS_GATEWAY_URL": f"http://127.0.0.1:{ports['sms']}/send",
        "SMS_GATEWAY_TOKEN": TOKEN,
    }
    folder = tmp_path_factory.mktemp("channels")
    with LocalStack(folder, parts=PARTS, durable=False, env={**IMPATIENT, **settings}) as running:
        yield running


@pytest.fixture(scope="module")
def hospital(channel_stack: LocalStack) -> Iterator[Hospital]:
    """A hospital in that stack."""
    built = services_of(channel_stack)
    yield Hospital(built)
    built.database.dispose()
    built.redis.close()


@pytest.fixture(params=["service", "sms"])
def outside(request: pytest.FixtureRequest, ports: dict[str, int]) -> Iterator[Outside]:
    """Each of the two, listening."""
    made = Outside()
    made.start(ports[request.param])
    made.channel = request.param  # type: ignore[attr-defined]
    yield made
    made.stop()


def invite(hospital: Hospital, outside: Outside) -> UUID:
    """Invite somebody who is to be told over this channel."""
    channel = outside.channel  # type: ignore[attr-defined]
    return hospital.invite(hospital.session(), None, phone=PHONE, channels=[channel])


def row(hospital: Hospital, person: UUID) -> Notification | None:
    """Return the one message to a person."""
    with hospital.services.database.begin() as db:
        return db.scalars(
            select(Notification).where(Notification.participant_id == person)
        ).one_or_none()


def is_state(hospital: Hospital, person: UUID, state: str) -> Callable[[], bool]:
    """Return the question whether the message is so far."""

    def ask() -> bool:
        found = row(hospital, person)
        return found is not None and found.state == state

    return ask


def has_error(hospital: Hospital, person: UUID, code: str) -> Callable[[], bool]:
    """Return the question whether an attempt ended so."""

    def ask() -> bool:
        found = row(hospital, person)
        return found is not None and found.last_error == code

    return ask


@contextmanager
def recovered(hospital: Hospital, stack: LocalStack, person: UUID) -> Iterator[None]:
    """After what is done inside, the message is due and nobody is paused, as after a while."""
    yield
    for key in stack_redis(hospital).scan_iter("teleconsult:workers.jobs.messages*"):
        stack_redis(hospital).delete(key)
    with hospital.services.database.begin() as db:
        db.execute(
            text(
                "UPDATE teleconference.notifications SET next_attempt_at = :now"
                " WHERE participant_id = :id AND state = 'pending'"
            ),
            {"now": utc_now(), "id": person},
        )
    assert stack
    eventually(is_state(hospital, person, "sent"), "the message, later")


def stack_redis(hospital: Hospital) -> Any:
    """Return the stack's Redis."""
    return hospital.services.redis


def test_a_message_arrives_signed_with_a_stable_id(hospital: Hospital, outside: Outside) -> None:
    """The reference library verifies it; the gateway gets its token and an E.164 number."""
    person = invite(hospital, outside)
    eventually(is_state(hospital, person, "sent"), "the message")
    ((head, body, raw),) = outside.taken
    found = row(hospital, person)
    assert found is not None
    assert body["id"] == str(found.id)
    if "to" in body:
        assert (head["authorization"], body["to"]) == (f"Bearer {TOKEN}", PHONE)
        assert head["idempotency-key"] == body["id"]
        assert "/j/" in body["text"]
    else:
        Webhook(SECRET).verify(raw, head)
        assert head["webhook-id"] == body["id"]
        assert (body["kind"], body["urgent"]) == ("invitation", False)
        assert body["recipient"]["phone"] == PHONE


def test_a_stopped_server_gets_it_later(
    hospital: Hospital, outside: Outside, channel_stack: LocalStack
) -> None:
    """Nothing is lost."""
    assert outside.server is not None
    port = outside.server.server_port
    outside.stop()
    person = invite(hospital, outside)
    eventually(has_error(hospital, person, "no_connection"), "an attempt")
    with recovered(hospital, channel_stack, person):
        outside.start(port)


@pytest.mark.parametrize(
    ("status", "code"), [(429, "http_429"), (503, "http_503"), (401, "http_401")]
)
def test_what_may_pass_is_tried_again(
    hospital: Hospital, outside: Outside, channel_stack: LocalStack, status: int, code: str
) -> None:
    """Too much, a fault, or a token that somebody has to correct."""
    outside.answer = lambda: status
    person = invite(hospital, outside)
    eventually(has_error(hospital, person, code), "an attempt")
    with recovered(hospital, channel_stack, person):
        outside.answer = lambda: 202


def test_a_refusal_for_good_is_recorded_and_not_repeated(
    hospital: Hospital, outside: Outside
) -> None:
    """No such recipient."""
    outside.answer = lambda: 404
    person = invite(hospital, outside)
    eventually(is_state(hospital, person, "failed"), "the refusal")
    assert outside.asked == 1
    found = row(hospital, person)
    assert found is not None
    assert found.last_error == "http_404"


@pytest.mark.parametrize("fault", ["slow", "garbage"])
def test_a_slow_or_mad_server_holds_up_nobody_else(
    hospital: Hospital, outside: Outside, channel_stack: LocalStack, fault: str
) -> None:
    """The mail goes on meanwhile, and the message arrives when the server is well."""
    over = threading.Event()

    def be_ill() -> int | None:
        if fault == "slow":
            over.wait(30)
            return 500
        return None

    outside.answer = be_ill
    person = invite(hospital, outside)
    eventually(lambda: outside.asked > 0, "the attempt")
    other = hospital.invite(hospital.session(), "meanwhile@example.org")
    eventually(is_state(hospital, other, "sent"), "the mail meanwhile", within_s=20)
    code = "no_answer" if fault == "slow" else "no_connection"
    eventually(has_error(hospital, person, code), "the end of the attempt")
    with recovered(hospital, channel_stack, person):
        over.set()
        outside.answer = lambda: 200


def test_two_workers_one_killed_send_everything_with_one_id_each(
    hospital: Hospital, outside: Outside, channel_stack: LocalStack
) -> None:
    """kill -9 of a worker as the server reads, and of the relay: what comes twice has one id."""
    first, killed = threading.Lock(), threading.Event()

    def kill_once() -> int:
        if first.acquire(blocking=False):
            channel_stack.part("worker").kill()
            channel_stack.part("relay").kill()
            killed.set()
        return 200

    outside.answer = kill_once
    with second(channel_stack, "worker"):
        people = [invite(hospital, outside) for _ in range(8)]
        eventually(killed.is_set, "the kill")
        for name in ("worker", "relay"):
            channel_stack.part(name).start()
        for person in people:
            eventually(is_state(hospital, person, "sent"), "a message")
    ids = [body["id"] for _head, body, _raw in outside.taken]
    assert len(set(ids)) == len(people)
    assert len(ids) <= len(people) + 2
