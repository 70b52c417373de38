"""Events reach the hospital: signed, in the order of each session, again until accepted."""

import threading
from collections import Counter
from typing import Any

from app.localstack import LocalStack
from tests.flow.delivery import (
    WITHIN_S,
    Hospital,
    Receiver,
    eventually,
    first_sequences,
    hospital,
    receiver,
)
from workers.jobs.context import PARALLEL

__all__ = ["hospital", "receiver"]


def test_every_event_arrives_signed_and_in_the_order_of_its_session(
    hospital: Hospital, receiver: Receiver
) -> None:
    """Eight sessions at once; the receiver verifies each signature with an own library."""
    subscription = hospital.subscribe(receiver)
    sessions = [hospital.session() for _ in range(8)]

    for _ in range(5):
        for session in sessions:
            hospital.happen(session.id)

    eventually(lambda: len(receiver.accepted_ids()) == 8 * 6, "48 events")
    assert receiver.invalid == 0
    order = first_sequences(receiver.accepted())
    assert order == {str(session.id): [1, 2, 3, 4, 5, 6] for session in sessions}
    event = receiver.accepted()[0]
    assert set(event) == {"id", "type", "timestamp", "sequence", "organisation_id", "data"}
    assert event["organisation_id"] == str(hospital.id)
    eventually(
        lambda: {d.state for d in hospital.deliveries(subscription)} == {"delivered"}, "recorded"
    )


def test_a_subscription_gets_the_types_it_asked_for(hospital: Hospital, receiver: Receiver) -> None:
    """Only `session.created` is wanted; the sequence shows that there were others."""
    hospital.subscribe(receiver, ["session.created"])
    session = hospital.session()
    hospital.happen(session.id, 3)
    other = hospital.session()

    eventually(lambda: len(receiver.accepted_ids()) == 2, "both creations")
    assert {e["data"]["session_id"] for e in receiver.accepted()} == {
        str(session.id),
        str(other.id),
    }


def test_a_refused_event_is_tried_again_and_holds_back_only_its_own_session(
    hospital: Hospital, receiver: Receiver
) -> None:
    """500, then 200: the session's later events come after it, another session's do not wait."""
    refusals: Counter[str] = Counter()

    def once_broken(event: dict[str, Any]) -> int:
        is_first = event["sequence"] == 1 and event["data"]["session_id"] == str(slow.id)
        refusals[event["id"]] += is_first
        return 500 if is_first and refusals[event["id"]] == 1 else 200

    subscription = hospital.subscribe(receiver, ["session.updated"])
    slow, quick = hospital.session(), hospital.session()
    receiver.answer = lambda event: once_broken({**event, "sequence": event["sequence"] - 1})

    hospital.happen(slow.id, 3)
    eventually(lambda: len(receiver.log) == 1, "the refused attempt")
    hospital.happen(quick.id, 3)

    eventually(lambda: len(receiver.accepted()) == 3, "the quick session")
    assert set(first_sequences(receiver.accepted())) == {str(quick.id)}
    eventually(lambda: len(receiver.accepted()) == 6, "the slow session, after about 5 s")
    assert first_sequences(receiver.accepted())[str(slow.id)] == [2, 3, 4]
    refused = next(d for d in hospital.deliveries(subscription) if d.session_id == slow.id)
    assert refused.attempts == 2


def test_an_event_that_is_never_accepted_is_given_up_and_the_next_ones_go_on(
    hospital: Hospital, receiver: Receiver
) -> None:
    """After the last attempt the delivery has failed; nothing waits behind it any more."""
    subscription = hospital.subscribe(receiver, ["session.updated"])
    session = hospital.session()
    receiver.answer = lambda event: 404 if event["sequence"] == 2 else 204
    attempts = hospital.services.settings.delivery_attempts

    hospital.happen(session.id, 2)
    for _ in range(attempts - 1):
        eventually(lambda: hospital.waits_for_retry(subscription), "an attempt and its record")
        hospital.make_due(subscription)

    eventually(lambda: len(receiver.accepted()) == 1, "the next event")
    # The receiver has it a moment before its record is committed.
    eventually(lambda: hospital.deliveries(subscription)[1].state == "delivered", "its record")
    first, second = hospital.deliveries(subscription)
    assert (first.state, first.attempts, first.last_status) == ("failed", attempts, 404)
    assert (second.state, second.last_status) == ("delivered", 204)


def test_a_receiver_that_answers_410_is_never_called_again(
    hospital: Hospital, receiver: Receiver
) -> None:
    """Standard Webhooks: 410 means that the address is gone for good."""
    subscription = hospital.subscribe(receiver)
    receiver.answer = lambda _event: 410

    session = hospital.session()
    eventually(lambda: not hospital.subscription(subscription).is_active, "switched off")
    hospital.happen(session.id)

    states = {d.state for d in hospital.deliveries(subscription)}
    assert states == {"failed"}
    assert len(receiver.log) == 1


def test_a_receiver_that_hangs_holds_up_nobody_else(hospital: Hospital, receiver: Receiver) -> None:
    """One worker, one silent receiver with many sessions: it is asked once in full, then one
    request at a time after growing pauses, and the other receiver gets everything meanwhile."""
    awake = threading.Event()
    silent = Receiver(answer=lambda _event: 200 if awake.wait(2 * WITHIN_S) else 503)
    try:
        hangs = hospital.subscribe(silent)
        hospital.subscribe(receiver)
        sessions = [hospital.session() for _ in range(12)]
        eventually(lambda: len(receiver.accepted_ids()) == 12, "the other receiver")
        hospital.happen(sessions[0].id, 5)
        eventually(lambda: len(receiver.accepted_ids()) == 17, "still not waiting")
        # Pauses of 5, 10 and 20 s: no third of these fits into the time both waits may take.
        assert sum(d.attempts for d in hospital.deliveries(hangs)) <= PARALLEL + 3

        awake.set()
        eventually(lambda: len(silent.accepted_ids()) == 17, "all in the end", within_s=60)
        assert first_sequences(silent.accepted())[str(sessions[0].id)] == [1, 2, 3, 4, 5, 6]
    finally:
        awake.set()
        silent.close()


def test_logs_hold_ids_only(hospital: Hospital, delivery_stack: LocalStack) -> None:
    """No address of a receiver and no name in what relay and worker wrote so far."""
    for name in ("relay", "worker"):
        log = delivery_stack.part(name).log.read_text()
        assert "127.0.0.1" not in log
        assert "Example" not in log
        assert "Traceback" not in log
