"""The hospital's own notification service, which knows its people and how they want to be told.

One POST per message, signed as in the Standard Webhooks specification; `webhook-id` is the same at
every attempt. The address is the operator's own and may be a private one, unlike a webhook's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from app.adapters.http_guarded import GuardedSender
from app.clock import utc_now
from app.errors import Invalid, Unavailable
from app.signing import sign

# Something is to be corrected at one of the two ends: the message can wait for it.
OF_THE_SETTINGS = ("http_401", "http_403", "address_refused")
HEADERS = {"content-type": "application/json", "user-agent": "Teleconsult-Notifications/1"}


class HttpNotificationService:
    """Implements `ports.NotificationService`."""

    def __init__(self, *, url: str, secrets: Sequence[bytes], timeout_s: float) -> None:
        self._url, self._secrets = url, secrets
        self._http = GuardedSender(timeout_s=timeout_s, allow_private=True)

    def send(self, message_id: str, message: Mapping[str, Any]) -> None:
        """Hand one message over; see `ports.NotificationService`."""
        if not (self._url and self._secrets):
            raise Invalid("The notification service is not set up.", code="service_not_configured")
        body = orjson.dumps(dict(message))
        signed = sign(message_id, body, secrets=self._secrets, now=utc_now())
        post(self._http, self._url, body, {**HEADERS, **signed})


def post(http: GuardedSender, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Send to an address of the operator's.

    Raises:
        Unavailable: not now; also when who we are was not accepted, which a setting can correct.
        Invalid: this message never.
    """
    try:
        http.post(url, body, headers)
    except Invalid as error:
        if error.code in OF_THE_SETTINGS:
            raise Unavailable("The receiver does not let us in.", code=error.code) from None
        raise
