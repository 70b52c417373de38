"""Message signatures in the form of the Standard Webhooks specification.

Used both ways: for webhooks to hospitals, and between Prosody's modules and the API.
Source: standardwebhooks.com, `webhook-id`, `webhook-timestamp` and `webhook-signature`.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import datetime

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET_PREFIX = "whsec_"
MINIMUM_SECRET_BYTES = 24


def decode_secret(text: str) -> bytes:
    """Return the key bytes of a `whsec_…` or plain base64 secret.

    Raises:
        ValueError: it is not base64, or shorter than 24 bytes.
    """
    try:
        secret = base64.b64decode(text.strip().removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("A signing secret must be base64.") from error
    if len(secret) < MINIMUM_SECRET_BYTES:
        raise ValueError(f"A signing secret must have at least {MINIMUM_SECRET_BYTES} bytes.")
    return secret


def encode_secret(secret: bytes) -> str:
    """Return the secret in the `whsec_…` form that receivers' libraries take."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def sign(
    message_id: str, body: bytes, *, secrets: Iterable[bytes], now: datetime
) -> dict[str, str]:
    """Return the three headers that prove `body`: one signature per secret, for rotation."""
    text = body.decode()
    signatures = [Webhook(secret).sign(message_id, now, text) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def verified_secret(
    headers: Mapping[str, str], body: bytes, *, secrets: Iterable[bytes]
) -> bytes | None:
    """Return which of our secrets signed this message within five minutes, or None."""
    for secret in secrets:
        try:
            Webhook(secret).verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError):
            continue
        return secret
    return None
