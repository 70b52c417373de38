"""Deliveries of events to subscriptions: made by the relay, claimed, sent and recorded by a worker.

The order of a session's events holds because only the earliest pending delivery of a session can
be claimed, and because deliveries of a session are made in the order of its events. Nothing else
has to be locked, so any number of workers may drain one subscription.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.events import feed
from app.events.models import Event
from app.events.types import is_among
from app.ids import new_id
from app.webhooks.models import WebhookDelivery, WebhookSubscription

SUBSCRIPTION_INACTIVE = "subscription_inactive"

# Functions of the database (migration 0050), because a queue wants its plan nailed down.
CLAIM = text(
    "SELECT * FROM teleconference.claim_deliveries(:subscription_id, :limit, :lease_until, :now)"
)
DUE = text("SELECT teleconference.due_subscriptions(:now)")
HELD = text("""
    SELECT * FROM teleconference.held_sessions(
      CAST(:subscriptions AS uuid[]), CAST(:sessions AS uuid[]), :now)""")

RECEIVER = select(WebhookSubscription).where(WebhookSubscription.id == bindparam("subscription_id"))


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where deliveries of one subscription go. `secrets` are encrypted; all of them sign."""

    url: str
    secrets: Sequence[bytes]
    is_failing: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claimed delivery. `attempt` counts from 1 and tells this claim from a later one;
    `failures` are those recorded so far, without claims of workers that died."""

    id: UUID
    attempt: int
    failures: int
    redeliveries: int
    event_id: UUID
    body: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one request to a receiver came to. `error` is '' when the receiver has it."""

    delivery: Delivery
    status: int | None
    at: datetime
    duration_ms: int
    error: str = ""


def make(db: Session, events: Sequence[Event], *, now: datetime) -> set[UUID]:
    """Make the deliveries of `events`, given in the order of each session; return who gets any."""
    subscriptions = _subscriptions_of(db, {event.organisation_id for event in events})
    rows = [
        row_of(event, subscription, now)
        for event in events
        for subscription in subscriptions
        if wants(subscription, event)
    ]
    if rows:
        _hold(db, rows, now=now)
        db.execute(insert(WebhookDelivery).on_conflict_do_nothing(), rows)
    paused = {subscription.id for subscription in subscriptions if subscription.paused_at}
    return {row["subscription_id"] for row in rows} - paused


def due_subscriptions(db: Session, *, now: datetime) -> list[UUID]:
    """Return the subscriptions that have something a worker could claim now."""
    return list(db.scalars(DUE, {"now": now}))


def receiver(db: Session, subscription_id: UUID, *, now: datetime) -> Receiver | None:
    """Return where to send, or None when the subscription is switched off or paused.

    What is pending of one that is switched off is given up.
    """
    row = db.scalars(RECEIVER, {"subscription_id": subscription_id}).one_or_none()
    if row is None or not row.is_active:
        give_up(db, subscription_id)
        return None
    return None if row.paused_at else receiver_of(row, now=now)


def receiver_of(subscription: WebhookSubscription, *, now: datetime) -> Receiver:
    """Return where to send, with the secrets that sign at this moment, the newest first."""
    secrets = [subscription.secret]
    until = subscription.previous_secret_until
    if subscription.previous_secret is not None and until is not None and now < until:
        secrets.append(subscription.previous_secret)
    is_failing = subscription.failing_since is not None
    return Receiver(subscription.url, secrets, is_failing)


def claim(
    db: Session, *, subscription_id: UUID, limit: int, lease_until: datetime, now: datetime
) -> list[Delivery]:
    """Take up to `limit` due deliveries, each of another session; nobody else gets them before
    `lease_until`."""
    parameters = {
        "subscription_id": subscription_id,
        "limit": limit,
        "lease_until": lease_until,
        "now": now,
    }
    rows = db.execute(CLAIM, parameters)
    return [
        Delivery(
            row.delivery_id, row.attempt, row.failures, row.redeliveries, row.id, feed.written(row)
        )
        for row in rows
    ]


def record_delivered(db: Session, attempt: Attempt, *, now: datetime) -> None:
    """The receiver has it, whoever else holds a claim by now."""
    db.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == attempt.delivery.id, WebhookDelivery.state == "pending")
        .values(state="delivered", delivered_at=now, last_error=None, **_of_attempt(attempt))
    )


def record_failure(db: Session, attempt: Attempt, *, retry_at: datetime | None) -> None:
    """Say when to try again, or give this one up (None) so that later events can go on.

    A claim that ran out and was taken by somebody else changes nothing any more.
    """
    values = {"last_error": attempt.error, **_of_attempt(attempt)}
    values["failures"] = WebhookDelivery.failures + 1
    values |= {"next_attempt_at": retry_at} if retry_at else {"state": "failed"}
    row = db.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.id == attempt.delivery.id,
            WebhookDelivery.state == "pending",
            WebhookDelivery.attempts == attempt.delivery.attempt,
        )
        .values(**values)
        .returning(WebhookDelivery.subscription_id, WebhookDelivery.session_id)
    ).one_or_none()
    if row and retry_at:
        _hold_session(db, *row, until=retry_at)


def deactivate(db: Session, subscription_id: UUID) -> None:
    """Switch a subscription off because its receiver said so, and give up what is pending."""
    db.execute(
        update(WebhookSubscription)
        .where(WebhookSubscription.id == subscription_id, WebhookSubscription.is_active)
        .values(is_active=False, version=WebhookSubscription.version + 1)
    )
    give_up(db, subscription_id)


def give_up(db: Session, subscription_id: UUID) -> None:
    """Mark everything pending of a subscription that is switched off as failed."""
    db.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.subscription_id == subscription_id, WebhookDelivery.state == "pending"
        )
        .values(state="failed", last_error=SUBSCRIPTION_INACTIVE)
    )


def _of_attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "last_status": attempt.status,
        "last_attempt_at": attempt.at,
        "last_duration_ms": attempt.duration_ms,
    }


def _hold_session(db: Session, subscription_id: UUID, session_id: UUID, *, until: datetime) -> None:
    """Spare the sweep the events that have to wait behind a failed one anyway."""
    db.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.subscription_id == subscription_id,
            WebhookDelivery.session_id == session_id,
            WebhookDelivery.state == "pending",
            WebhookDelivery.next_attempt_at < until,
        )
        .values(next_attempt_at=until)
    )


def _hold(db: Session, rows: Sequence[dict[str, Any]], *, now: datetime) -> None:
    """Let new deliveries wait behind a failed one from the start, for the same reason."""
    pairs = sorted({(row["subscription_id"], row["session_id"]) for row in rows})
    subscriptions, sessions = map(list, zip(*pairs, strict=True))
    found = db.execute(HELD, {"subscriptions": subscriptions, "sessions": sessions, "now": now})
    until = {(held.subscription_id, held.session_id): held.until for held in found}
    for row in rows:
        row["next_attempt_at"] = until.get((row["subscription_id"], row["session_id"]), now)


def _subscriptions_of(
    db: Session, organisations: Collection[UUID]
) -> Sequence[WebhookSubscription]:
    return db.scalars(
        select(WebhookSubscription).where(
            WebhookSubscription.organisation_id.in_(organisations), WebhookSubscription.is_active
        )
    ).all()


def wants(subscription: WebhookSubscription, event: Event) -> bool:
    """Tell whether a subscription is told of this event."""
    if subscription.organisation_id != event.organisation_id:
        return False
    role = event.data.get("role")
    if role is not None and subscription.roles and role not in subscription.roles:
        return False
    return is_among(event.type, subscription.event_types)


def row_of(event: Event, subscription: WebhookSubscription, now: datetime) -> dict[str, Any]:
    """Return the row of a new delivery."""
    return {
        "id": new_id(),
        "organisation_id": event.organisation_id,
        "subscription_id": subscription.id,
        "event_id": event.id,
        "session_id": event.session_id,
        "sequence": event.sequence,
        "state": "pending",
        "created_at": now,
    }
