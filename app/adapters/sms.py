"""The hospital's SMS gateway: one POST per text.

Gateways differ in their JSON; this is the least of it: `to` in E.164, `text`, and an id that makes
a repeat recognisable, also as `Idempotency-Key`. A small relay in front adapts it to a vendor's.
"""

import orjson

from app.adapters.http_guarded import GuardedSender
from app.adapters.notification_service import HEADERS, post
from app.errors import Invalid


class HttpSmsGateway:
    """Implements `ports.SmsGateway`."""

    def __init__(self, *, url: str, token: str, timeout_s: float) -> None:
        self._url, self._token = url, token
        self._http = GuardedSender(timeout_s=timeout_s, allow_private=True)

    def send(self, message_id: str, number: str, text: str) -> None:
        """Hand one text over; see `ports.SmsGateway`."""
        if not self._url:
            raise Invalid("SMS_GATEWAY_URL is not set.", code="sms_not_configured")
        body = orjson.dumps({"id": message_id, "to": number, "text": text})
        headers = {**HEADERS, "idempotency-key": message_id}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        post(self._http, self._url, body, headers)
