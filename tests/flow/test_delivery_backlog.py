"""A backlog makes no step slow, even when nobody told the planner of it."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.clock import utc_now
from app.events.models import Event
from app.localstack import LocalStack
from app.services import Services
from app.webhooks import deliveries
from tests.conftest import AUDIT, services_of
from tests.flow.delivery import Hospital, Receiver, receiver
from workers.relay import BATCH, relay_events

__all__ = ["receiver"]

LEASE = timedelta(minutes=1)
ROWS, PER_SESSION = 200_000, 10
QUEUES = [f"teleconference.{name}" for name in ("sessions", "events", "webhook_deliveries")]

SESSIONS = """
    INSERT INTO teleconference.sessions
      (id, organisation_id, kind, state, room_name, capacity, created_at)
    SELECT gen_random_uuid(), %(hospital)s, 'consultation', 'active',
      substr(translate(md5(random()::text || g), '0189', 'wxyz'), 1, 20), 5, now()
    FROM generate_series(1, %(sessions)s) g"""
# In the order they would have happened: each session's first event, then each one's second, …
EVENTS = """
    INSERT INTO teleconference.events
      (id, organisation_id, session_id, sequence, type, data, created_at, relayed_at)
    SELECT gen_random_uuid(), s.organisation_id, s.id, n, 'session.updated', '{}', now(),
      %(relayed)s
    FROM generate_series(1, %(each)s) n, teleconference.sessions s
    WHERE s.organisation_id = %(hospital)s"""
DELIVERIES = """
    INSERT INTO teleconference.webhook_deliveries (id, organisation_id, subscription_id, event_id,
      session_id, sequence, state, attempts, failures, last_error, next_attempt_at, created_at)
    SELECT gen_random_uuid(), organisation_id, %(subscription)s, id, session_id, sequence,
      'pending', 1, 1, CASE WHEN sequence = 1 THEN 'http_500' END, %(next)s, now()
    FROM teleconference.events WHERE organisation_id = %(hospital)s"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """PostgreSQL whose statistics say for ever that the queues are empty."""
    folder = tmp_path_factory.mktemp("backlog")
    with LocalStack(folder, parts={"postgres"}, durable=False, env=AUDIT) as stack:
        stack.migrate()
        with stack.postgres.as_admin() as admin:
            for table in QUEUES:
                admin.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
                admin.execute(f"ANALYZE {table}")
        yield stack


@pytest.fixture
def hospital(database: LocalStack) -> Iterator[Hospital]:
    """A hospital; what earlier tests left is gone."""
    with database.postgres.as_admin() as admin:
        # What hangs on a session refuses to be emptied, by triggers.
        admin.execute("SET session_replication_role = replica")
        admin.execute(f"TRUNCATE {', '.join(QUEUES)} CASCADE")
    services = services_of(database)
    yield Hospital(services)
    services.database.dispose()


def fill(database: LocalStack, *statements: str, **values: Any) -> None:
    """Write many rows at once, without asking each for its foreign keys."""
    with database.postgres.as_admin() as admin:
        admin.execute("SET session_replication_role = replica")
        for statement in statements:
            admin.execute(statement, values)


def shortest_s(steps: int, step: Callable[[], object]) -> float:
    """Return how long the quickest of some steps took, in seconds: what does too much does it each
    time, and a busy machine is slow now and then. The first one reads pages nobody has read yet."""
    step()
    took = []
    for _ in range(steps):
        began = time.monotonic()
        step()
        took.append(time.monotonic() - began)
    return min(took)


def relay_once(services: Services) -> int:
    """Hand on one batch, as the relay does."""
    with services.database.begin() as db:
        return relay_events(db, limit=BATCH, now=utc_now()).events


def test_the_relay_recovers_from_a_backlog(
    database: LocalStack, hospital: Hospital, receiver: Receiver
) -> None:
    """A batch of 200 out of 200,000 takes a tenth of a second, most of it for the deliveries."""
    subscription = hospital.subscribe(receiver)
    fill(
        database, SESSIONS, EVENTS,
        hospital=str(hospital.id), sessions=ROWS // PER_SESSION, each=PER_SESSION, relayed=None,
    )  # fmt: skip

    assert shortest_s(5, lambda: relay_once(hospital.services)) < 1.0

    with hospital.services.database.begin() as db:
        waiting = db.scalar(select(func.count()).where(Event.relayed_at.is_(None)))
    assert waiting == ROWS - 6 * BATCH
    made: dict[UUID, list[int]] = {}
    for delivery in hospital.deliveries(subscription):
        made.setdefault(delivery.session_id, []).append(delivery.sequence)
    assert all(each == list(range(1, len(each) + 1)) for each in made.values())
    assert sum(map(len, made.values())) == 6 * BATCH


def test_one_session_with_a_backlog_is_relayed_in_order(
    database: LocalStack, hospital: Hospital, receiver: Receiver
) -> None:
    """However many there are of it, a batch stays a batch; their ids are in no order."""
    subscription = hospital.subscribe(receiver)
    fill(database, SESSIONS, EVENTS, hospital=str(hospital.id), sessions=1, each=1000, relayed=None)

    assert [relay_once(hospital.services) for _ in range(6)] == [200, 200, 200, 200, 200, 0]
    made = hospital.deliveries(subscription)
    assert [delivery.sequence for delivery in made] == list(range(1, 1001))


def test_a_dead_receiver_with_a_backlog_costs_nothing_while_it_waits(
    database: LocalStack, hospital: Hospital, receiver: Receiver
) -> None:
    """Nothing is due at first; then everything is, and again only a few can be claimed."""
    subscription = hospital.subscribe(receiver)
    later = utc_now() + timedelta(hours=1)
    fill(
        database, SESSIONS, EVENTS, DELIVERIES,
        hospital=str(hospital.id), sessions=ROWS // PER_SESSION, each=PER_SESSION,
        relayed=utc_now(), subscription=str(subscription), next=later,
    )  # fmt: skip

    def look(at: datetime) -> list[UUID]:
        with hospital.services.database.begin() as db:
            return deliveries.due_subscriptions(db, now=at)

    def claim(at: datetime) -> list[deliveries.Delivery]:
        lease = at + timedelta(hours=1)
        with hospital.services.database.begin() as db:
            return deliveries.claim(
                db, subscription_id=subscription, limit=8, lease_until=lease, now=at
            )

    assert (look(utc_now()), claim(utc_now())) == ([], [])
    assert shortest_s(5, lambda: look(utc_now())) < 0.1
    assert shortest_s(5, lambda: claim(utc_now())) < 0.1
    assert (look(later), len(claim(later))) == ([subscription], 8)
    assert shortest_s(5, lambda: look(later)) < 0.1
    assert shortest_s(5, lambda: claim(later)) < 0.1


def test_one_session_with_everything_due_costs_what_one_event_costs(
    database: LocalStack, hospital: Hospital, receiver: Receiver
) -> None:
    """100,000 due deliveries of one session: its first is found at once, and that there is nothing
    else while that one is being sent."""
    subscription = hospital.subscribe(receiver)
    fill(
        database, SESSIONS, EVENTS, DELIVERIES,
        hospital=str(hospital.id), sessions=1, each=100_000,
        relayed=utc_now(), subscription=str(subscription), next=utc_now(),
    )  # fmt: skip

    def claim() -> list[deliveries.Delivery]:
        now = utc_now()
        with hospital.services.database.begin() as db:
            return deliveries.claim(
                db, subscription_id=subscription, limit=8, lease_until=now + LEASE, now=now
            )

    def look() -> list[UUID]:
        with hospital.services.database.begin() as db:
            return deliveries.due_subscriptions(db, now=utc_now())

    assert look() == [subscription]
    assert shortest_s(5, look) < 0.05
    assert [len(claim()), look(), claim()] == [1, [], []]
    assert shortest_s(5, claim) < 0.05
    assert shortest_s(5, look) < 0.05
