"""`/webhooks/{id}/deliveries`, and sending again: what was sent to an address, and repairs."""

from typing import Any
from uuid import UUID

import orjson
from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.paging import Page, keyset_page
from app.web.services import current_services
from app.web.transactions import after_commit, transactional
from app.webhooks import redelivery, service
from app.webhooks.models import WebhookDelivery
from app.webhooks.redelivery import TestMessage
from app.webhooks.schemas import (
    DeliveryOut,
    DeliveryPageOut,
    DeliveryQuery,
    RedeliveredOut,
    RedeliverIn,
    TestOut,
)
from app.webhooks.sending import send_signed

blp = Blueprint("webhook_log", __name__, description="What was sent to an address, and again")


@blp.route("/webhooks/<uuid:webhook_id>/deliveries", methods=["GET"])
@transactional
@requires("webhooks:manage")
@blp.arguments(DeliveryQuery, location="query")
@blp.response(200, DeliveryPageOut)
def list_deliveries(
    query: dict[str, Any], webhook_id: UUID, *, db: Session, caller: Caller
) -> Page[WebhookDelivery]:
    """List what an address was or will be sent, newest first."""
    service.get(db, organisation_id=caller.organisation_id, subscription_id=webhook_id)
    cursor, limit = query.pop("cursor", None), query.pop("limit")
    sent = select(WebhookDelivery).where(WebhookDelivery.subscription_id == webhook_id)
    return keyset_page(db, sent.filter_by(**query), WebhookDelivery, cursor=cursor, limit=limit)


@blp.route("/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/redeliver", methods=["POST"])
@transactional
@requires("webhooks:manage")
@idempotent
@blp.response(202, DeliveryOut)
def redeliver_event(
    webhook_id: UUID, delivery_id: UUID, *, db: Session, caller: Caller
) -> WebhookDelivery:
    """Send one event again, also when it was delivered; before later ones of its session."""
    return redelivery.redeliver(
        db,
        organisation_id=caller.organisation_id,
        subscription_id=webhook_id,
        delivery_id=delivery_id,
        actor=actor_of(caller),
        now=now(),
    )


@blp.route("/webhooks/<uuid:webhook_id>/redeliver", methods=["POST"])
@transactional
@requires("webhooks:manage")
@idempotent
@blp.arguments(RedeliverIn)
@blp.response(202, RedeliveredOut)
def redeliver_events(
    body: dict[str, Any], webhook_id: UUID, *, db: Session, caller: Caller
) -> dict[str, int]:
    """Send the events of a time again, in order, also those that were delivered."""
    count = redelivery.redeliver_range(
        db,
        organisation_id=caller.organisation_id,
        subscription_id=webhook_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
    return {"redelivered": count}


@blp.route("/webhooks/<uuid:webhook_id>/test", methods=["POST"])
@transactional
@requires("webhooks:manage")
@blp.response(200, TestOut)
def test_webhook(webhook_id: UUID, *, db: Session, caller: Caller) -> dict[str, Any]:
    """Send a signed `webhook.test` at once and tell what the receiver did with it."""
    message = redelivery.test_message(
        db,
        organisation_id=caller.organisation_id,
        subscription_id=webhook_id,
        actor=actor_of(caller),
        vault=current_services().vault,
        now=now(),
    )
    after_commit(lambda response: _send(message, response))
    return {"delivered": False, "status": None, "duration_ms": 0, "code": "", "detail": ""}


def _send(message: TestMessage, response: Response) -> Response:
    """Send outside the transaction: a receiver may take seconds."""
    answer = send_signed(
        current_services().http,
        message.url,
        message.body,
        message_id=str(message.id),
        secrets=message.secrets,
        now=now(),
    )
    body = {
        "delivered": not answer.error,
        "status": answer.status,
        "duration_ms": answer.duration_ms,
        "code": answer.error,
        "detail": answer.detail or "The receiver took it.",
    }
    response.set_data(orjson.dumps(body))
    return response
