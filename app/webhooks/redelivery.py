"""Sending again what was sent or given up, in its order, and sending a test.

A delivery is one row per event and subscription; sending again puts the row back among those that
wait. The receiver sees the same id and bytes, and a header that counts the repeats.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.encryption import Vault
from app.errors import Invalid, NotFound
from app.events.models import Event
from app.events.types import is_among, types_among
from app.ids import new_id
from app.webhooks import deliveries, service
from app.webhooks.models import WebhookDelivery, WebhookSubscription

MOST_AT_ONCE = 10_000
TEST_EVENT = "webhook.test"


@dataclass(frozen=True, slots=True)
class TestMessage:
    """A signed message that is no event: whether the receiver takes what we send."""

    id: UUID
    url: str
    secrets: list[bytes]
    body: bytes


def redeliver(
    db: Session,
    *,
    organisation_id: UUID,
    subscription_id: UUID,
    delivery_id: UUID,
    actor: Actor,
    now: datetime,
) -> WebhookDelivery:
    """Send one delivery again, whatever became of it; one that waits is sent at once.

    Raises:
        NotFound: there is no such subscription or delivery.
        Conflict: the subscription is switched off.
    """
    service.lock_active(db, organisation_id, subscription_id)
    mine = select(WebhookDelivery).where(
        WebhookDelivery.id == delivery_id, WebhookDelivery.subscription_id == subscription_id
    )
    delivery = db.scalars(mine.with_for_update()).one_or_none()
    if delivery is None:
        raise NotFound("There is no such delivery.", code="delivery_not_found")
    db.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == delivery_id, _is_free())
        .values(_again(now))
        .execution_options(synchronize_session=False)
    )
    db.refresh(delivery)
    _audit(
        db, organisation_id, subscription_id, "webhook.redelivered", actor=actor, now=now, count=1
    )
    return delivery


def redeliver_range(
    db: Session,
    *,
    organisation_id: UUID,
    subscription_id: UUID,
    since: datetime,
    until: datetime,
    types: Collection[str],
    actor: Actor,
    now: datetime,
) -> int:
    """Send the events of a time again, also those that were delivered and those that happened
    before the subscription; return how many.

    Raises:
        NotFound: there is no such subscription.
        Conflict: it is switched off.
        Invalid: there are too many, or the end is before the beginning.
    """
    if until <= since:
        raise Invalid("until must be after since.", code="range_not_in_order", field="until")
    subscription = service.lock_active(db, organisation_id, subscription_id)
    events = _events(db, subscription, since, until, types)
    rows = [
        {**deliveries.row_of(event, subscription, now), "next_attempt_at": now, "redeliveries": 1}
        for event in events
    ]
    done = 0
    if rows:
        wanted = insert(WebhookDelivery).on_conflict_do_update(
            index_elements=["subscription_id", "event_id"], set_=_again(now), where=_is_free()
        )
        done = len(db.execute(wanted.returning(WebhookDelivery.id), rows).all())
    _audit(
        db,
        organisation_id,
        subscription_id,
        "webhook.redelivered",
        actor=actor,
        now=now,
        count=done,
    )
    return done


def test_message(
    db: Session,
    *,
    organisation_id: UUID,
    subscription_id: UUID,
    actor: Actor,
    vault: Vault,
    now: datetime,
) -> TestMessage:
    """Return a message that tells nothing, to be sent once this is committed.

    Raises:
        NotFound: there is no such subscription.
        Conflict: it is switched off.
    """
    subscription = service.lock_active(db, organisation_id, subscription_id)
    receiver = deliveries.receiver_of(subscription, now=now)
    message_id = new_id()
    body = {
        "id": message_id,
        "type": TEST_EVENT,
        "timestamp": now,
        "sequence": 1,
        "organisation_id": organisation_id,
        "data": {"webhook_id": subscription_id},
    }
    _audit(db, organisation_id, subscription_id, "webhook.tested", actor=actor, now=now)
    return TestMessage(
        message_id,
        receiver.url,
        [vault.decrypt(secret) for secret in receiver.secrets],
        orjson.dumps(body, option=orjson.OPT_UTC_Z),
    )


def _events(
    db: Session,
    subscription: WebhookSubscription,
    since: datetime,
    until: datetime,
    types: Collection[str],
) -> list[Any]:
    names = [name for name in types_among(types) if is_among(name, subscription.event_types)]
    found = db.scalars(
        select(Event)
        .where(
            Event.organisation_id == subscription.organisation_id,
            Event.created_at >= since,
            Event.created_at < until,
            Event.type.in_(names),
            # What the relay has not seen yet will come by itself.
            Event.position.is_not(None),
        )
        .order_by(Event.created_at, Event.id)
        .limit(MOST_AT_ONCE + 1)
    ).all()
    if len(found) > MOST_AT_ONCE:
        raise Invalid(
            f"These are more than {MOST_AT_ONCE} events; ask for a shorter time.",
            code="range_too_large",
            field="until",
        )
    return [event for event in found if deliveries.wants(subscription, event)]


def _again(now: datetime) -> dict[str, Any]:
    return {
        "state": "pending",
        "next_attempt_at": now,
        "failures": 0,
        "last_error": None,
        "delivered_at": None,
        "redeliveries": WebhookDelivery.redeliveries + 1,
    }


def _is_free() -> Any:
    """Not in a worker's hands, who has it without an error and until the lease ends."""
    return or_(
        WebhookDelivery.state != "pending",
        WebhookDelivery.last_error.is_not(None),
    )


def _audit(
    db: Session,
    organisation_id: UUID,
    subscription_id: UUID,
    action: str,
    *,
    actor: Actor,
    now: datetime,
    **detail: Any,
) -> None:
    audit.record(
        db,
        action=action,
        actor=actor,
        now=now,
        organisation_id=organisation_id,
        detail={"webhook_id": str(subscription_id), **detail},
    )
