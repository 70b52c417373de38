"""HTTP to the hospitals' identity providers: short, small, and never redirected."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from app.adapters.http_guarded import GuardedSender
from app.bulkhead import Bulkhead
from app.errors import Invalid, Unavailable

# For all of it: a server that sends a byte now and then keeps no caller longer than this.
WHOLE_S = 5.0
LARGEST_BYTES = 262_144
FORM = "application/x-www-form-urlencoded"


class PlainIdentityHttp:
    """Implements `ports.IdentityHttp`. An issuer may be inside the hospital's own network.

    Only forms are sent while somebody waits, so only they need a place in the bulkhead.
    """

    def __init__(self, bulkhead: Bulkhead, *, whole_s: float = WHOLE_S) -> None:
        self._bulkhead = bulkhead
        self._sender = GuardedSender(
            timeout_s=whole_s, allow_private=True, longest_bytes=LARGEST_BYTES
        )

    def get(self, url: str) -> dict[str, Any]:
        """Return the JSON object at an address; see the port."""
        status, body = self._send("GET", url, b"", {})
        if status != 200:
            raise _unavailable()
        return body

    def post_form(
        self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None
    ) -> tuple[int, dict[str, Any]]:
        """Send a form once; see the port."""
        headers = {"Content-Type": FORM}
        if basic is not None:
            headers["Authorization"] = f"Basic {b64encode(':'.join(basic).encode()).decode()}"
        try:
            with self._bulkhead.place():
                return self._send("POST", url, urlencode(form).encode(), headers)
        except Unavailable as error:
            raise _unavailable() from error

    def _send(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        try:
            answer = self._sender.call(method, url, body, {"Accept": "application/json", **headers})
            value = orjson.loads(answer)
        except Unavailable as error:
            raise _unavailable() from error
        except Invalid as error:
            kind, _, status = error.code.partition("_")
            if kind != "http":
                raise _unavailable() from error
            return int(status), {}  # what it says to a refusal is of no use
        except orjson.JSONDecodeError as error:
            raise _unavailable() from error
        if not isinstance(value, dict):
            raise _unavailable()
        return 200, value


def _unavailable() -> Unavailable:
    return Unavailable(
        "The hospital's identity provider does not answer.", code="issuer_unavailable"
    )
