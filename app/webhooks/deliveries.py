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

import orjson
from sqlalchemy import bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.events.models import Event
from app.ids import new_id
from app.webhooks.models import WebhookDelivery, WebhookSubscription

SUBSCRIPTION_INACTIVE = "subscription_inactive"

# Functions of the database (migration 0010), because a queue wants its plan nailed down.
CLAIM = text(
    "SELECT * FROM teleconference.claim_deliveries(:subscription_id, :limit, :lease_until, :now)"
)
DUE = text("SELECT teleconference.due_subscriptions(:now)")
HELD = text("""
    SELECT * FROM teleconference.held_sessions(
      CAST(:subscriptions AS uuid[]), CAST(:sessions AS uuid[]), :now)""")

RECEIVER = select(
    WebhookSubscription.url, WebhookSubscription.secret, WebhookSubscription.is_active
).where(WebhookSubscription.id == bindparam("subscription_id"))


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where deliveries of one subscription go. `secret` is encrypted."""

    url: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claimed delivery. `attempt` counts from 1 and tells this claim from a later one;
    `failures` are those recorded so far, without claims of workers that died."""

    id: UUID
    attempt: int
    failures: int
    event_id: UUID
    body: bytes


def make(db: Session, events: Sequence[Event], *, now: datetime) -> set[UUID]:
    """Make the deliveries of `events`, given in the order of each session; return who gets any."""
    subscriptions = _subscriptions_of(db, {event.organisation_id for event in events})
    rows = [
        _row(event, subscription, now)
        for event in events
        for subscription in subscriptions
        if _wants(subscription, event)
    ]
    if rows:
        _hold(db, rows, now=now)
        db.execute(insert(WebhookDelivery).on_conflict_do_nothing(), rows)
    return {row["subscription_id"] for row in rows}


def due_subscriptions(db: Session, *, now: datetime) -> list[UUID]:
    """Return the subscriptions that have something a worker could claim now."""
    return list(db.scalars(DUE, {"now": now}))


def receiver(db: Session, subscription_id: UUID) -> Receiver | None:
    """Return where to send, or None when the subscription is switched off."""
    row = db.execute(RECEIVER, {"subscription_id": subscription_id}).one_or_none()
    return Receiver(row.url, row.secret) if row and row.is_active else None


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
        Delivery(row.delivery_id, row.attempt, row.failures, row.id, envelope(row)) for row in rows
    ]


def envelope(event: Any) -> bytes:
    """Return the bytes a receiver gets, and the signature covers."""
    body = {
        "id": event.id,
        "type": event.type,
        "timestamp": event.created_at,
        "sequence": event.sequence,
        "organisation_id": event.organisation_id,
        "data": event.data,
    }
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)


def record_delivered(db: Session, delivery: Delivery, *, status: int, now: datetime) -> None:
    """The receiver has it, whoever else holds a claim by now."""
    db.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == delivery.id, WebhookDelivery.state == "pending")
        .values(state="delivered", delivered_at=now, last_status=status, last_error=None)
    )


def record_failure(
    db: Session, delivery: Delivery, *, status: int | None, error: str, retry_at: datetime | None
) -> None:
    """Say when to try again, or give this one up (None) so that later events can go on.

    A claim that ran out and was taken by somebody else changes nothing any more.
    """
    values: dict[str, Any] = {"last_status": status, "last_error": error}
    values["failures"] = WebhookDelivery.failures + 1
    values |= {"next_attempt_at": retry_at} if retry_at else {"state": "failed"}
    row = db.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.id == delivery.id,
            WebhookDelivery.state == "pending",
            WebhookDelivery.attempts == delivery.attempt,
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


def _wants(subscription: WebhookSubscription, event: Event) -> bool:
    if subscription.organisation_id != event.organisation_id:
        return False
    return not subscription.event_types or event.type in subscription.event_types


def _row(event: Event, subscription: WebhookSubscription, now: datetime) -> dict[str, Any]:
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
