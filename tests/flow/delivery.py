"""What the delivery tests share: a receiver that verifies, and rows to deliver."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, text
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.audit.service import SERVICE
from app.clock import utc_now
from app.events import service as events
from app.events.models import Event
from app.ids import new_id
from app.localstack import LocalStack
from app.localstack.process import wait_until
from app.organisations.models import Organisation
from app.participants import service as participants
from app.services import Services
from app.sessions import service as sessions
from app.sessions.models import CareSession
from app.webhooks import service as webhooks
from app.webhooks.models import WebhookDelivery, WebhookSubscription
from tests.conftest import AUDIT, services_of

WITHIN_S = 30.0
PARTS = ("postgres", "redis", "mail", "relay", "worker")
# A dead worker's claims run out soon, and a silent receiver is given up on soon.
IMPATIENT = {"DELIVERY_LEASE_S": "2", "WEBHOOK_TIMEOUT_S": "1", "RELAY_POLL_S": "0.25"}
IMPATIENT |= {"NOTIFICATION_TIMEOUT_S": "1", **AUDIT}


@dataclass
class Received:
    """One request the receiver took in; `status` is what it answered."""

    event: dict[str, Any]
    status: int
    at: float


class Server(ThreadingHTTPServer):
    """Python's own, with room for as many connections as a worker opens at once."""

    daemon_threads = True
    request_queue_size = 64


@dataclass
class Receiver:
    """An HTTP server of a hospital. `answer` says what to do with each event, by status code;
    a function may block, and is then a receiver that hangs."""

    answer: Callable[[dict[str, Any]], int] = lambda event: 204
    secret: str = ""
    log: list[Received] = field(default_factory=list)
    invalid: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.server = Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}).start()

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Verify, note and answer one request."""
        try:
            event = Webhook(self.secret).verify(body, headers)
            assert headers["webhook-id"] == event["id"]
        except (WebhookVerificationError, AssertionError):
            self.invalid += 1
            return 400
        arrived = time.monotonic()
        status = self.answer(event)
        with self._lock:
            self.log.append(Received(event, status, arrived))
        return status

    def accepted(self) -> list[dict[str, Any]]:
        """Return the events answered with success, repeats included, in the order they came."""
        with self._lock:
            return [r.event for r in self.log if 200 <= r.status < 300]

    def accepted_ids(self) -> set[str]:
        """Return the ids of events answered with success."""
        return {event["id"] for event in self.accepted()}


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True  # the sender was killed in mid-sentence
                return
            status = receiver.take({k.lower(): v for k, v in self.headers.items()}, body)
            try:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()
            except OSError:
                self.close_connection = True  # it did not wait

        def log_message(self, *_arguments: Any) -> None:
            pass

    return Handler


class Hospital:
    """One organisation with its sessions, events and subscriptions."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.id = new_id()
        with services.database.begin() as db:
            db.execute(
                insert(Organisation).values(
                    id=self.id, name="Test Hospital", locale="en", permissions={},
                    created_at=utc_now(),
                )
            )  # fmt: skip

    def subscribe(self, receiver: Receiver, event_types: Sequence[str] = ()) -> UUID:
        """Subscribe the receiver and give it its secret."""
        with self.services.database.begin(self.id) as db:
            made = webhooks.subscribe(
                db,
                organisation_id=self.id,
                actor=SERVICE,
                vault=self.services.vault,
                allow_private=True,
                now=utc_now(),
                url=receiver.url,
                event_types=event_types,
            )
        receiver.secret = made.secret
        return made.subscription.id

    def session(self, planned_in: timedelta | None = None) -> CareSession:
        """Create a session; the event `session.created` is its first."""
        start = utc_now() + planned_in if planned_in else None
        end = start + timedelta(minutes=30) if start else None
        with self.services.database.begin(self.id) as db:
            return sessions.create(
                db,
                organisation_id=self.id,
                actor=SERVICE,
                now=utc_now(),
                kind="consultation",
                capacity=10,
                planned_start=start,
                planned_end=end,
            )

    def invite(self, session: CareSession, email: str | None, **values: Any) -> UUID:
        """Invite a patient and return their participant id."""
        with self.services.database.begin(self.id) as db:
            invited = participants.add(
                db,
                organisation_id=self.id,
                session_id=session.id,
                actor=SERVICE,
                settings=self.services.settings,
                now=utc_now(),
                role="patient",
                display_name=values.pop("name", "Päula Example"),
                email=email,
                **values,
            )
        return invited.participant.id

    def happen(self, session_id: UUID, times: int = 1) -> list[str]:
        """Commit some events of a session, each in its own transaction; return their ids."""
        ids: list[str] = []
        data: dict[str, Any] = {"reference": None, "changed": []}
        for _ in range(times):
            with self.services.database.begin(self.id) as db:
                event_id = events.append(
                    db, "session.updated", session_id=session_id, data=data, now=utc_now()
                )
            ids.append(str(event_id))
        return ids

    def is_handed_on(self, session_id: UUID) -> bool:
        """Tell whether the relay has seen all events of a session."""
        query = select(Event.id).where(Event.session_id == session_id, Event.position.is_(None))
        with self.services.database.begin() as db:
            return not db.scalars(query).all()

    def deliveries(self, subscription_id: UUID) -> list[WebhookDelivery]:
        """Return what the subscription was, or will be, sent."""
        with self.services.database.begin() as db:
            query = select(WebhookDelivery).where(
                WebhookDelivery.subscription_id == subscription_id
            )
            return list(db.scalars(query.order_by(WebhookDelivery.id)))

    def subscription(self, subscription_id: UUID) -> WebhookSubscription:
        """Return a subscription as it is now."""
        with self.services.database.begin() as db:
            return db.get_one(WebhookSubscription, subscription_id)

    def waits_for_retry(self, subscription_id: UUID) -> bool:
        """Tell whether the first pending delivery waits longer than any claim lasts."""
        after_claims = utc_now() + timedelta(seconds=3)
        pending = [d for d in self.deliveries(subscription_id) if d.state == "pending"]
        return bool(pending) and pending[0].next_attempt_at > after_claims

    def make_due(self, subscription_id: UUID) -> None:
        """Let the pauses between attempts pass, as a clock would."""
        with self.services.database.begin() as db:
            db.execute(
                text(
                    "UPDATE teleconference.webhook_deliveries SET next_attempt_at = :now"
                    " WHERE subscription_id = :id AND state = 'pending'"
                ),
                {"now": utc_now(), "id": subscription_id},
            )


def eventually(condition: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
    """Wait for a condition; fail with a sentence when it does not come true in time."""
    assert wait_until(condition, within_s), f"not within {within_s:g} s: {what}"


def first_sequences(received: Sequence[dict[str, Any]]) -> dict[str, list[int]]:
    """Return per session the sequence numbers in the order they first arrived."""
    order: dict[str, list[int]] = {}
    for event in received:
        seen = order.setdefault(event["data"]["session_id"], [])
        if event["sequence"] not in seen:
            seen.append(event["sequence"])
    return order


@pytest.fixture(scope="module")
def hospital(delivery_stack: LocalStack) -> Iterator[Hospital]:
    """A hospital in that stack; its subscriptions are each test's own."""
    built = services_of(delivery_stack)
    yield Hospital(built)
    built.database.dispose()
    built.redis.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything, until a test says otherwise."""
    running = Receiver()
    yield running
    running.close()
