"""Nothing that was committed is lost, whichever process or server dies, and order holds."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis

from app.localstack import LocalStack
from app.localstack.services import Service
from tests.flow.delivery import (
    Hospital,
    Receiver,
    eventually,
    first_sequences,
    hospital,
    receiver,
)

__all__ = ["hospital", "receiver"]

SESSIONS, EVENTS = 6, 15


@contextmanager
def second(stack: LocalStack, name: str) -> Iterator[Service]:
    """Run one more relay or worker beside the stack's own."""
    service = Service(name, stack.data_dir / f"{name}-2", stack.environment)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def load(hospital: Hospital) -> tuple[list[str], threading.Thread]:
    """Commit events of several sessions in the background; return the sessions and the thread."""
    sessions = [hospital.session().id for _ in range(SESSIONS)]

    def commit() -> None:
        for _ in range(EVENTS):
            for session in sessions:
                hospital.happen(session)

    thread = threading.Thread(target=commit)
    thread.start()
    return [str(session) for session in sessions], thread


def expect_everything(receiver: Receiver, sessions: list[str]) -> None:
    """Wait until each session's events are there, and demand their order."""
    total = SESSIONS * (EVENTS + 1)
    eventually(lambda: len(receiver.accepted_ids()) == total, f"{total} events")
    whole = list(range(1, EVENTS + 2))
    assert first_sequences(receiver.accepted()) == dict.fromkeys(sessions, whole)
    assert receiver.invalid == 0


@pytest.mark.parametrize("victim", ["worker", "relay"])
def test_a_process_killed_in_mid_delivery_loses_nothing(
    hospital: Hospital, receiver: Receiver, delivery_stack: LocalStack, victim: str
) -> None:
    """kill -9, three times while events flow and the receiver sometimes refuses."""
    hospital.subscribe(receiver)
    sessions, thread = load(hospital)
    part = delivery_stack.part(victim)

    for share in (10, 30, 50):
        eventually(lambda n=share: len(receiver.accepted_ids()) >= n, f"{share} events")  # type: ignore[misc]
        part.kill()
        part.start()

    thread.join()
    expect_everything(receiver, sessions)


def test_a_worker_killed_while_the_receiver_reads_sends_again(
    hospital: Hospital, receiver: Receiver, delivery_stack: LocalStack
) -> None:
    """The receiver has it, the record is missing: it comes twice, with the same id."""
    worker = delivery_stack.part("worker")
    killed = threading.Event()

    def kill_first(_event: dict[str, Any]) -> int:
        if not killed.is_set():
            worker.kill()
            killed.set()
        return 204

    hospital.subscribe(receiver)
    receiver.answer = kill_first
    session = hospital.session()
    assert killed.wait(10)
    hospital.happen(session.id)
    worker.start()

    eventually(lambda: len(receiver.accepted_ids()) == 2, "both events")
    sequences = [event["sequence"] for event in receiver.accepted()]
    assert sequences == [1, 1, 2]
    assert receiver.accepted()[0]["id"] == receiver.accepted()[1]["id"]


def test_redis_killed_and_emptied_costs_time_only(
    hospital: Hospital, receiver: Receiver, delivery_stack: LocalStack
) -> None:
    """Redis dies, comes back, and later forgets everything."""
    hospital.subscribe(receiver)
    sessions, thread = load(hospital)

    eventually(lambda: len(receiver.accepted_ids()) >= 10, "a beginning")
    delivery_stack.redis.kill()
    delivery_stack.redis.start()
    eventually(lambda: len(receiver.accepted_ids()) >= 30, "more, after the kill")
    with Redis.from_url(delivery_stack.redis.url) as redis:
        redis.flushall()

    thread.join()
    expect_everything(receiver, sessions)


def test_postgres_killed_under_load_loses_nothing_that_was_committed(
    hospital: Hospital, receiver: Receiver, delivery_stack: LocalStack
) -> None:
    """Relay and worker find the database again by themselves."""
    hospital.subscribe(receiver)
    sessions, thread = load(hospital)
    thread.join()

    eventually(lambda: len(receiver.accepted_ids()) >= 10, "a beginning")
    delivery_stack.postgres.kill()
    delivery_stack.postgres.start()

    expect_everything(receiver, sessions)


def test_two_relays_and_two_workers_keep_the_order_of_each_session(
    hospital: Hospital, receiver: Receiver, delivery_stack: LocalStack
) -> None:
    """Both workers drain one subscription whose receiver refuses now and then."""
    chance = random.Random(7)
    refused: set[str] = set()

    def moody(event: dict[str, Any]) -> int:
        if event["id"] not in refused and chance.random() < 0.05:
            refused.add(event["id"])
            return 503
        return 200

    receiver.answer = moody
    subscription = hospital.subscribe(receiver)
    with second(delivery_stack, "relay"), second(delivery_stack, "worker"):
        sessions, thread = load(hospital)
        thread.join()
        expect_everything(receiver, sessions)

    assert refused
    eventually(
        lambda: {d.state for d in hospital.deliveries(subscription)} == {"delivered"}, "recorded"
    )
    assert len(receiver.accepted()) == len(receiver.accepted_ids()), "nothing was sent twice"


def test_processes_end_gracefully(hospital: Hospital, delivery_stack: LocalStack) -> None:
    """SIGTERM: both end by themselves with status 0, well before they would be killed; also when
    they have hardly begun."""
    assert hospital.id
    for name in ("relay", "worker"):
        part = delivery_stack.part(name)
        for _ in ("at work", "just started"):
            part.stop()
            assert part.exit_code == 0
            part.start()
