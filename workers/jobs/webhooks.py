"""Sends what a subscription is due: claim, send with no transaction open, record."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from app.clock import utc_now
from app.errors import DomainError
from app.signing import sign
from app.webhooks import deliveries
from app.webhooks.deliveries import Delivery, Receiver
from workers.jobs.context import PARALLEL, JobContext, job
from workers.jobs.wakeups import DRAIN, SILENCE
from workers.schedule import retry_delay_s

log = structlog.get_logger()

# One busy subscription may hold a worker this long before the others have their turn.
TURN_S = 5.0
GONE = "http_410"
HEADERS = {"content-type": "application/json", "user-agent": "Teleconsult-Webhooks/1"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt. `error` is '' when the receiver has it."""

    delivery: Delivery
    status: int | None
    error: str = ""
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Claimed deliveries of one subscription, each of another session."""

    receiver: Receiver
    secret: bytes
    deliveries: Sequence[Delivery]


@job
def drain_webhook(context: JobContext, subscription_id: UUID) -> None:
    """Send everything that is due to one subscription, or as much as its turn allows."""
    if not context.wakeups.begin(DRAIN, subscription_id):
        return
    turn_ends = time.monotonic() + TURN_S
    silences = context.wakeups.silences(DRAIN, subscription_id)
    while not context.stopping.is_set():
        # Who was silent is asked once before more of a worker's time is spent on it.
        batch = _claim(context, subscription_id, limit=1 if silences else PARALLEL)
        if batch is None or not batch.deliveries:
            return
        outcomes = _send(context, batch)
        _record(context, subscription_id, outcomes)
        if all(outcome.error == SILENCE for outcome in outcomes):
            context.wakeups.pause(DRAIN, subscription_id)
            return
        if silences:
            context.wakeups.answered(DRAIN, subscription_id)
            silences = 0
        if time.monotonic() > turn_ends:
            context.wakeups.wake(DRAIN, [subscription_id])
            return


def _claim(context: JobContext, subscription_id: UUID, *, limit: int) -> Batch | None:
    settings = context.services.settings
    # A claim must not run out while its request may still be answered.
    lease_s = max(settings.delivery_lease_s, settings.webhook_timeout_s + 1)
    now = utc_now()
    with context.services.database.begin() as db:
        receiver = deliveries.receiver(db, subscription_id)
        if receiver is None:
            deliveries.give_up(db, subscription_id)
            return None
        claimed = deliveries.claim(
            db,
            subscription_id=subscription_id,
            limit=limit,
            lease_until=now + timedelta(seconds=lease_s),
            now=now,
        )
    return Batch(receiver, context.services.vault.decrypt(receiver.secret), claimed)


def _send(context: JobContext, batch: Batch) -> list[Outcome]:
    if len(batch.deliveries) == 1:  # the usual case needs no other thread
        return [_attempt(context, batch, batch.deliveries[0])]
    return list(context.threads.map(lambda d: _attempt(context, batch, d), batch.deliveries))


def _attempt(context: JobContext, batch: Batch, delivery: Delivery) -> Outcome:
    signed = sign(str(delivery.event_id), delivery.body, secrets=[batch.secret], now=utc_now())
    try:
        status = context.services.http.post(
            batch.receiver.url, delivery.body, {**HEADERS, **signed}
        )
    except DomainError as error:
        return Outcome(delivery, _status_in(error.code), error.code, error.retry_after_s or 0)
    return Outcome(delivery, status)


def _record(context: JobContext, subscription_id: UUID, outcomes: Sequence[Outcome]) -> None:
    with context.services.database.begin() as db:
        for outcome in outcomes:
            if not outcome.error:
                deliveries.record_delivered(
                    db, outcome.delivery, status=outcome.status or 0, now=utc_now()
                )
                continue
            _log_failure(subscription_id, outcome)
            _record_failure(context, db, outcome)
        # Standard Webhooks: a receiver that answers 410 wants to hear nothing more.
        if any(outcome.error == GONE for outcome in outcomes):
            deliveries.deactivate(db, subscription_id)


def _record_failure(context: JobContext, db: Session, outcome: Outcome) -> None:
    attempts = context.services.settings.delivery_attempts
    # Also what looks permanent (404, a private address) is tried again, as the specification
    # asks: hospitals deploy and change names, and the event must outlast that.
    delay_s = retry_delay_s(outcome.delivery.failures + 1, attempts)
    retry_at = None
    if delay_s is not None and outcome.error != GONE:
        retry_at = utc_now() + timedelta(seconds=max(delay_s, outcome.retry_after_s))
    deliveries.record_failure(
        db, outcome.delivery, status=outcome.status, error=outcome.error, retry_at=retry_at
    )


def _status_in(code: str) -> int | None:
    kind, _, status = code.partition("_")
    return int(status) if kind == "http" and status.isdigit() else None


def _log_failure(subscription_id: UUID, outcome: Outcome) -> None:
    log.info(
        "webhook_not_delivered",
        subscription=str(subscription_id),
        event_id=str(outcome.delivery.event_id),
        attempt=outcome.delivery.attempt,
        reason=outcome.error,
    )
