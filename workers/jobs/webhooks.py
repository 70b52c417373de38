"""Sends what a subscription is due: claim, send with no transaction open, record."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from app.clock import utc_now
from app.webhooks import deliveries, health
from app.webhooks.deliveries import Attempt, Delivery, Receiver
from app.webhooks.sending import send_signed
from workers.jobs.context import PARALLEL, JobContext, job
from workers.jobs.wakeups import DRAIN, SILENCE
from workers.schedule import retry_delay_s

log = structlog.get_logger()

# One busy subscription may hold a worker this long before the others have their turn.
TURN_S = 5.0
GONE = "http_410"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt, and how long the receiver asked us to wait."""

    attempt: Attempt
    retry_after_s: int = 0

    @property
    def error(self) -> str:
        """Why the receiver does not have it, or ''."""
        return self.attempt.error


@dataclass(frozen=True, slots=True)
class Batch:
    """Claimed deliveries of one subscription, each of another session."""

    receiver: Receiver
    secrets: Sequence[bytes]
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
        _record(context, subscription_id, batch.receiver, outcomes)
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
        receiver = deliveries.receiver(db, subscription_id, now=now)
        if receiver is None:
            return None
        claimed = deliveries.claim(
            db,
            subscription_id=subscription_id,
            limit=limit,
            lease_until=now + timedelta(seconds=lease_s),
            now=now,
        )
    secrets = [context.services.vault.decrypt(secret) for secret in receiver.secrets]
    return Batch(receiver, secrets, claimed)


def _send(context: JobContext, batch: Batch) -> list[Outcome]:
    if len(batch.deliveries) == 1:  # the usual case needs no other thread
        return [_attempt(context, batch, batch.deliveries[0])]
    return list(context.threads.map(lambda d: _attempt(context, batch, d), batch.deliveries))


def _attempt(context: JobContext, batch: Batch, delivery: Delivery) -> Outcome:
    answer = send_signed(
        context.services.http,
        batch.receiver.url,
        delivery.body,
        message_id=str(delivery.event_id),
        secrets=batch.secrets,
        redelivery=delivery.redeliveries,
        now=utc_now(),
    )
    attempt = Attempt(delivery, answer.status, answer.at, answer.duration_ms, answer.error)
    return Outcome(attempt, answer.retry_after_s)


def _record(
    context: JobContext, subscription_id: UUID, receiver: Receiver, outcomes: Sequence[Outcome]
) -> None:
    now = utc_now()
    with context.services.database.begin() as db:
        # First, because whoever pauses or changes a subscription locks it before its deliveries.
        if all(outcome.error for outcome in outcomes):
            health.note_failure(db, subscription_id, now=now)
        elif receiver.is_failing:
            health.note_success(db, subscription_id)
        for outcome in outcomes:
            if not outcome.error:
                deliveries.record_delivered(db, outcome.attempt, now=now)
                continue
            _log_failure(subscription_id, outcome.attempt)
            _record_failure(context, db, outcome)
        # Standard Webhooks: a receiver that answers 410 wants to hear nothing more.
        if any(outcome.error == GONE for outcome in outcomes):
            deliveries.deactivate(db, subscription_id)


def _record_failure(context: JobContext, db: Session, outcome: Outcome) -> None:
    attempts = context.services.settings.delivery_attempts
    # Also what looks permanent (404, a private address) is tried again, as the specification
    # asks: hospitals deploy and change names, and the event must outlast that.
    delay_s = retry_delay_s(outcome.attempt.delivery.failures + 1, attempts)
    retry_at = None
    if delay_s is not None and outcome.error != GONE:
        retry_at = utc_now() + timedelta(seconds=max(delay_s, outcome.retry_after_s))
    deliveries.record_failure(db, outcome.attempt, retry_at=retry_at)


def _log_failure(subscription_id: UUID, attempt: Attempt) -> None:
    log.info(
        "webhook_not_delivered",
        subscription=str(subscription_id),
        event_id=str(attempt.delivery.event_id),
        attempt=attempt.delivery.attempt,
        reason=attempt.error,
    )
