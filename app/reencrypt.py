"""Encrypts all stored secrets with the newest master key, so that an older one can be dropped."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.encryption import Vault
from app.organisations.models import SigningKey
from app.webhooks.models import WebhookSubscription


def reencrypt(db: Session, vault: Vault) -> int:
    """Encrypt signing keys and webhook secrets anew; return how many.

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
    return len(keys) + len(subscriptions)
