"""Encrypts all stored secrets with the newest master key, so that an older one can be dropped."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.models import IdentityProvider
from app.audit import service as audit
from app.directory.models import DirectoryConnection
from app.encryption import Vault
from app.organisations.models import SigningKey
from app.storage import service as storage
from app.webhooks.models import WebhookSubscription


def reencrypt(db: Session, vault: Vault, *, now: datetime) -> int:
    """Encrypt the keys of files and signatures, webhook and outside services' secrets anew; return
    how many.

    Answers kept for an Idempotency-Key are left: they are gone within a day.

    Raises:
        Unavailable: one was made with a key that is no longer among MASTER_KEYS.
    """
    keys = db.scalars(select(SigningKey).with_for_update()).all()
    for key in keys:
        key.private_key = vault.rotate(key.private_key)
    subscriptions = db.scalars(select(WebhookSubscription).with_for_update(key_share=True)).all()
    for subscription in subscriptions:
        subscription.secret = vault.rotate(subscription.secret)
        if subscription.previous_secret is not None:
            subscription.previous_secret = vault.rotate(subscription.previous_secret)
    secret = IdentityProvider.client_secret.is_not(None)
    providers = db.scalars(select(IdentityProvider).where(secret).with_for_update()).all()
    for provider in providers:
        provider.client_secret = vault.rotate(provider.client_secret or b"")
    held = select(DirectoryConnection).where(DirectoryConnection.token.is_not(None))
    connections = db.scalars(held.with_for_update()).all()
    for connection in connections:
        assert connection.token is not None
        connection.token = vault.rotate(connection.token)
    number = len(keys) + len(subscriptions) + len(providers) + len(connections)
    number += storage.rewrap(db, vault)
    audit.record(
        db,
        action="keys.reencrypted",
        actor=audit.OPERATOR,
        now=now,
        organisation_id=None,
        detail={"secrets": number},
    )
    return number
