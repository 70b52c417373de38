"""Whether a receiver is well: since when it fails, and the pause when that lasts for days.

Paused, deliveries are made and wait, so nothing is given up while somebody repairs the receiver.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.webhooks.models import WebhookDelivery, WebhookSubscription

PATIENCE = timedelta(days=3)
REQUESTED, FAILING = "requested", "failing"


def pause(db: Session, subscription: WebhookSubscription, *, now: datetime) -> bool:
    """Let deliveries wait from now on; tell whether they did not already."""
    if subscription.paused_at is not None:
        return False
    subscription.paused_at, subscription.pause_reason = now, REQUESTED
    subscription.version += 1
    db.flush()
    return True


def resume(db: Session, subscription: WebhookSubscription, *, now: datetime) -> bool:
    """Deliver what waited, in its order, with all attempts ahead; tell whether it was paused."""
    if subscription.paused_at is None:
        return False
    subscription.paused_at = subscription.pause_reason = subscription.failing_since = None
    subscription.version += 1
    db.flush()
    db.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.subscription_id == subscription.id,
            WebhookDelivery.state == "pending",
            # What a worker holds at this moment has no error.
            or_(
                WebhookDelivery.next_attempt_at <= now,
                WebhookDelivery.last_error.is_not(None),
                WebhookDelivery.attempts == 0,
            ),
        )
        .values(next_attempt_at=now, failures=0)
    )
    return True


def note_success(db: Session, subscription_id: UUID) -> None:
    """The receiver took something: whatever was wrong is over."""
    db.execute(
        update(WebhookSubscription)
        .where(
            WebhookSubscription.id == subscription_id,
            WebhookSubscription.failing_since.is_not(None),
        )
        .values(failing_since=None)
    )


def note_failure(db: Session, subscription_id: UUID, *, now: datetime) -> None:
    """Note since when the receiver takes nothing; pause the subscription when that is too long."""
    subscription = db.scalars(
        select(WebhookSubscription)
        .where(WebhookSubscription.id == subscription_id)
        .with_for_update(key_share=True)
    ).one()
    if subscription.failing_since is None:
        subscription.failing_since = now
    elif subscription.paused_at is None and now - subscription.failing_since >= PATIENCE:
        subscription.paused_at, subscription.pause_reason = now, FAILING
        subscription.version += 1
        audit.record(
            db,
            action="webhook.paused",
            actor=audit.SERVICE,
            now=now,
            organisation_id=subscription.organisation_id,
            detail={"webhook_id": str(subscription_id), "reason": FAILING},
        )
    db.flush()
