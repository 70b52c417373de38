"""One signed request to a receiver, and what it came to."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from app.errors import DomainError
from app.ports import HttpSender
from app.signing import sign

HEADERS = {"content-type": "application/json", "user-agent": "Teleconsult-Webhooks/1"}
# Says which repeat that somebody asked for this is; the first sending has none.
REDELIVERY = "teleconsult-redelivery"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver did with one request. `error` is '' when it took it."""

    status: int | None
    at: datetime
    duration_ms: int
    error: str = ""
    detail: str = ""
    retry_after_s: int = 0


def send_signed(
    http: HttpSender,
    url: str,
    body: bytes,
    *,
    message_id: str,
    secrets: Iterable[bytes],
    now: datetime,
    redelivery: int = 0,
) -> Answer:
    """Send `body` once, with a signature by each secret."""
    headers = {**HEADERS, **sign(message_id, body, secrets=secrets, now=now)}
    if redelivery:
        headers[REDELIVERY] = str(redelivery)
    began = time.monotonic()
    try:
        status: int | None = http.post(url, body, headers)
    except DomainError as error:
        status = status_in(error.code)
        return Answer(
            status, now, _ms_since(began), error.code, error.detail, error.retry_after_s or 0
        )
    return Answer(status, now, _ms_since(began))


def status_in(code: str) -> int | None:
    """Return the status a receiver answered with, None when it did not answer."""
    kind, _, status = code.partition("_")
    return int(status) if kind == "http" and status.isdigit() else None


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
