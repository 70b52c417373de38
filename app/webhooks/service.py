"""Subscriptions to events: who may be called, and with which secret the calls are signed."""

import ipaddress
import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.encryption import Vault
from app.errors import Conflict, Invalid, NotFound, Stale
from app.ids import new_id
from app.signing import decode_secret, encode_secret
from app.webhooks import deliveries, health
from app.webhooks.models import WebhookSubscription

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A new subscription and the secret that is shown this once."""

    subscription: WebhookSubscription
    secret: str


def subscribe(
    db: Session,
    *,
    organisation_id: UUID,
    actor: Actor,
    vault: Vault,
    allow_private: bool,
    now: datetime,
    url: str,
    event_types: Sequence[str] = (),
    roles: Sequence[str] = (),
    secret: str | None = None,
) -> Subscribed:
    """Send events to an address from now on.

    Raises:
        Invalid: the address cannot be called.
        Conflict: it is subscribed already (said by the database).
    """
    check_url(url, allow_private=allow_private)
    key = decode_secret(secret) if secret else random.token_bytes(SECRET_BYTES)
    subscription = WebhookSubscription(
        id=new_id(),
        organisation_id=organisation_id,
        url=url,
        event_types=sorted(set(event_types)),
        roles=sorted(set(roles)),
        secret=vault.encrypt(key),
        is_active=True,
        version=1,
        created_at=now,
    )
    db.add(subscription)
    db.flush()  # the address may be taken: the caller wants to know it now
    _audit(db, subscription, "webhook.created", actor, now)
    return Subscribed(subscription, encode_secret(key))


def get(db: Session, *, organisation_id: UUID, subscription_id: UUID) -> WebhookSubscription:
    """Return one subscription of this organisation.

    Raises:
        NotFound: there is none.
    """
    return _found(db, organisation_id, subscription_id, lock=False)


def change(
    db: Session,
    *,
    organisation_id: UUID,
    subscription_id: UUID,
    version: int,
    values: Mapping[str, Any],
    actor: Actor,
    vault: Vault,
    allow_private: bool,
    now: datetime,
) -> WebhookSubscription:
    """Change what `values` names, if `version` is still the newest.

    Raises:
        NotFound: there is none.
        Stale: it changed since.
        Invalid: the address cannot be called.
    """
    subscription = _found(db, organisation_id, subscription_id, lock=True)
    if subscription.version != version:
        raise Stale(
            "The subscription changed since you read it; read it again.", code="version_outdated"
        )
    if "url" in values:
        check_url(values["url"], allow_private=allow_private)
    for name, value in values.items():
        if name == "secret":  # at once, without overlap: the old one may have leaked
            _replace_secret(subscription, vault.encrypt(decode_secret(value)), until=None)
        else:
            setattr(subscription, name, value)
    subscription.version += 1
    db.flush()
    _stop_if_inactive(db, subscription)
    _audit(db, subscription, "webhook.changed", actor, now)
    return subscription


def deactivate(
    db: Session, *, organisation_id: UUID, subscription_id: UUID, actor: Actor, now: datetime
) -> None:
    """Send nothing more to this subscription; doing it twice is no error.

    Raises:
        NotFound: there is none.
    """
    subscription = _found(db, organisation_id, subscription_id, lock=True)
    if not subscription.is_active:
        return
    subscription.is_active = False
    subscription.version += 1
    db.flush()
    _stop_if_inactive(db, subscription)
    _audit(db, subscription, "webhook.deactivated", actor, now)


def rotate_secret(
    db: Session,
    *,
    organisation_id: UUID,
    subscription_id: UUID,
    overlap_s: int,
    secret: str | None,
    actor: Actor,
    vault: Vault,
    now: datetime,
) -> Subscribed:
    """Sign with a new secret, and for `overlap_s` seconds with the old one, too.

    Raises:
        NotFound: there is no such subscription.
        Conflict: it is switched off.
    """
    subscription = lock_active(db, organisation_id, subscription_id)
    key = decode_secret(secret) if secret else random.token_bytes(SECRET_BYTES)
    until = now + timedelta(seconds=overlap_s) if overlap_s else None
    _replace_secret(subscription, vault.encrypt(key), until=until)
    subscription.version += 1
    db.flush()
    _audit(db, subscription, "webhook.secret_rotated", actor, now)
    return Subscribed(subscription, encode_secret(key))


def pause(
    db: Session, *, organisation_id: UUID, subscription_id: UUID, actor: Actor, now: datetime
) -> WebhookSubscription:
    """Let deliveries wait until `resume`; doing it twice is no error.

    Raises:
        NotFound: there is no such subscription.
        Conflict: it is switched off.
    """
    subscription = lock_active(db, organisation_id, subscription_id)
    if health.pause(db, subscription, now=now):
        _audit(db, subscription, "webhook.paused", actor, now)
    return subscription


def resume(
    db: Session, *, organisation_id: UUID, subscription_id: UUID, actor: Actor, now: datetime
) -> WebhookSubscription:
    """Deliver what waited, in sequence, and all that follows; doing it twice is no error.

    Raises:
        NotFound: there is no such subscription.
        Conflict: it is switched off.
    """
    subscription = lock_active(db, organisation_id, subscription_id)
    if health.resume(db, subscription, now=now):
        _audit(db, subscription, "webhook.resumed", actor, now)
    return subscription


def lock_active(db: Session, organisation_id: UUID, subscription_id: UUID) -> WebhookSubscription:
    """Return a subscription that nobody changes before the transaction ends.

    Raises:
        NotFound: there is no such subscription.
        Conflict: it is switched off.
    """
    subscription = _found(db, organisation_id, subscription_id, lock=True)
    if not subscription.is_active:
        raise Conflict("The subscription is switched off.", code="webhook_inactive")
    return subscription


def check_url(url: str, *, allow_private: bool) -> None:
    """Refuse what can be told from the text alone; the address is judged when we connect.

    Raises:
        Invalid: not https, no host, with a password or a fragment, or a private address.
    """
    problem = _problem_with(url, allow_private=allow_private)
    if problem:
        raise Invalid(problem, code="webhook_url_invalid", field="url")


def _problem_with(url: str, *, allow_private: bool) -> str | None:
    parts = _split(url)
    if parts is None or not parts.hostname or not url.isascii() or not url.isprintable():
        return "url must be an absolute https address in ASCII."
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        return "url must begin with https://."
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "url must not hold a user, a password or a fragment."
    if not allow_private and _is_private_literal(parts.hostname):
        return "url must not point to a private address."
    return None


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no port
    except ValueError:
        return None
    return None if any(c.isspace() for c in url) else parts


def _is_private_literal(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _found(
    db: Session, organisation_id: UUID, subscription_id: UUID, *, lock: bool
) -> WebhookSubscription:
    query = select(WebhookSubscription).where(
        WebhookSubscription.id == subscription_id,
        WebhookSubscription.organisation_id == organisation_id,
    )
    # Not the key: the relay may go on making deliveries for it.
    chosen = query.with_for_update(key_share=True) if lock else query
    subscription = db.scalars(chosen).first()
    if subscription is None:
        raise NotFound("There is no such subscription.", code="webhook_not_found")
    return subscription


def _replace_secret(
    subscription: WebhookSubscription, secret: bytes, *, until: datetime | None
) -> None:
    subscription.previous_secret = subscription.secret if until else None
    subscription.previous_secret_until = until
    subscription.secret = secret


def _stop_if_inactive(db: Session, subscription: WebhookSubscription) -> None:
    if not subscription.is_active:
        deliveries.give_up(db, subscription.id)


def _audit(
    db: Session, subscription: WebhookSubscription, action: str, actor: Actor, now: datetime
) -> None:
    audit.record(
        db,
        action=action,
        actor=actor,
        now=now,
        organisation_id=subscription.organisation_id,
        detail={"webhook_id": str(subscription.id)},
    )
