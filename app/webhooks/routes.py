"""`/webhooks`: subscribe an address to events, read, list, change, switch off."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.base import columns_of
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.paging import Page, keyset_page
from app.web.services import current_services
from app.web.transactions import transactional
from app.web.versions import conditional, etag, with_etag
from app.webhooks import service
from app.webhooks.models import WebhookSubscription
from app.webhooks.schemas import (
    RotationIn,
    WebhookCreatedOut,
    WebhookIn,
    WebhookOut,
    WebhookPageOut,
    WebhookPatch,
    WebhookQuery,
)

blp = Blueprint("webhooks", __name__, description="Signed events to an address of yours")


@blp.route("/webhooks", methods=["POST"])
@transactional
@requires("webhooks:manage")
@idempotent
@blp.arguments(WebhookIn)
@blp.response(201, WebhookCreatedOut)
def create_webhook(body: dict[str, Any], *, db: Session, caller: Caller) -> Any:
    """Subscribe an address. The answer holds the signing secret, this once."""
    services = current_services()
    made = service.subscribe(
        db,
        organisation_id=caller.organisation_id,
        actor=actor_of(caller),
        vault=services.vault,
        allow_private=services.settings.webhook_allow_private,
        now=now(),
        **body,
    )
    shown = {**columns_of(made.subscription), "secret": made.secret}
    return shown, {"ETag": etag(made.subscription.version)}


@blp.route("/webhooks", methods=["GET"])
@transactional
@requires("webhooks:manage")
@blp.arguments(WebhookQuery, location="query")
@blp.response(200, WebhookPageOut)
def list_webhooks(
    query: dict[str, Any], *, db: Session, caller: Caller
) -> Page[WebhookSubscription]:
    """List subscriptions, newest first."""
    cursor, limit = query.pop("cursor", None), query.pop("limit")
    mine = select(WebhookSubscription).where(
        WebhookSubscription.organisation_id == caller.organisation_id
    )
    chosen = mine.filter_by(**query)
    return keyset_page(db, chosen, WebhookSubscription, cursor=cursor, limit=limit)


@blp.route("/webhooks/<uuid:webhook_id>", methods=["GET"])
@transactional
@requires("webhooks:manage")
@blp.response(200, WebhookOut)
def read_webhook(webhook_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Read one subscription."""
    return with_etag(
        service.get(db, organisation_id=caller.organisation_id, subscription_id=webhook_id)
    )


@blp.route("/webhooks/<uuid:webhook_id>", methods=["PATCH"])
@transactional
@requires("webhooks:manage")
@conditional
@blp.arguments(WebhookPatch)
@blp.response(200, WebhookOut)
def change_webhook(
    body: dict[str, Any], webhook_id: UUID, *, db: Session, caller: Caller, version: int
) -> Any:
    """Change address, event types or secret, or switch it on or off. Needs `If-Match`."""
    services = current_services()
    subscription = service.change(
        db,
        organisation_id=caller.organisation_id,
        subscription_id=webhook_id,
        version=version,
        values=body,
        actor=actor_of(caller),
        vault=services.vault,
        allow_private=services.settings.webhook_allow_private,
        now=now(),
    )
    return with_etag(subscription)


@blp.route("/webhooks/<uuid:webhook_id>", methods=["DELETE"])
@transactional
@requires("webhooks:manage")
@blp.response(204)
def deactivate_webhook(webhook_id: UUID, *, db: Session, caller: Caller) -> None:
    """Switch a subscription off: nothing more is sent, and what was sent stays on record."""
    service.deactivate(
        db,
        organisation_id=caller.organisation_id,
        subscription_id=webhook_id,
        actor=actor_of(caller),
        now=now(),
    )


@blp.route("/webhooks/<uuid:webhook_id>/pause", methods=["POST"])
@transactional
@requires("webhooks:manage")
@idempotent
@blp.response(200, WebhookOut)
def pause_webhook(webhook_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Let deliveries wait. Nothing is lost: what happens meanwhile is sent after `resume`."""
    subscription = service.pause(
        db,
        organisation_id=caller.organisation_id,
        subscription_id=webhook_id,
        actor=actor_of(caller),
        now=now(),
    )
    return with_etag(subscription)


@blp.route("/webhooks/<uuid:webhook_id>/resume", methods=["POST"])
@transactional
@requires("webhooks:manage")
@idempotent
@blp.response(200, WebhookOut)
def resume_webhook(webhook_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Deliver what waited, in sequence, and whatever comes."""
    subscription = service.resume(
        db,
        organisation_id=caller.organisation_id,
        subscription_id=webhook_id,
        actor=actor_of(caller),
        now=now(),
    )
    return with_etag(subscription)


@blp.route("/webhooks/<uuid:webhook_id>/rotate-secret", methods=["POST"])
@transactional
@requires("webhooks:manage")
@idempotent
@blp.arguments(RotationIn, required=False)
@blp.response(200, WebhookCreatedOut)
def rotate_webhook_secret(
    body: dict[str, Any], webhook_id: UUID, *, db: Session, caller: Caller
) -> Any:
    """Get a new secret, shown this once. For `overlap_s` every message has both signatures."""
    made = service.rotate_secret(
        db,
        organisation_id=caller.organisation_id,
        subscription_id=webhook_id,
        actor=actor_of(caller),
        vault=current_services().vault,
        now=now(),
        **body,
    )
    shown = {**columns_of(made.subscription), "secret": made.secret}
    return shown, {"ETag": etag(made.subscription.version)}
