"""HTTP to the hospitals' identity providers: short, small, and never redirected."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
import requests

from app.errors import Unavailable

CONNECT_S = 2.0
READ_S = 3.0
# A server that sends a byte now and then keeps no caller longer than this.
WHOLE_S = 5.0
LARGEST_BYTES = 262_144


class PlainIdentityHttp:
    """Implements `ports.IdentityHttp`."""

    def get(self, url: str) -> dict[str, Any]:
        """Return the JSON object at an address; see the port."""
        status, body = self._send("GET", url)
        if status != 200:
            raise _unavailable()
        return body

    def post_form(
        self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None
    ) -> tuple[int, dict[str, Any]]:
        """Send a form once; see the port."""
        return self._send("POST", url, data=dict(form), auth=basic)

    def _send(self, method: str, url: str, **options: Any) -> tuple[int, dict[str, Any]]:
        with _translated(), requests.Session() as session:
            # Neither a proxy nor a .netrc of the machine: what is sent is a secret.
            session.trust_env = False
            with session.request(
                method,
                url,
                headers={"Accept": "application/json"},
                timeout=(CONNECT_S, READ_S),
                allow_redirects=False,
                stream=True,
                **options,
            ) as answer:
                return answer.status_code, _object(answer)


def _object(answer: requests.Response) -> dict[str, Any]:
    deadline = time.monotonic() + WHOLE_S
    body = bytearray()
    for piece in answer.iter_content(8192):
        body += piece
        if len(body) > LARGEST_BYTES or time.monotonic() > deadline:
            raise _unavailable()
    value = orjson.loads(bytes(body))
    if not isinstance(value, dict):
        raise _unavailable()
    return value


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (requests.RequestException, ValueError) as error:
        raise _unavailable() from error


def _unavailable() -> Unavailable:
    return Unavailable(
        "The hospital's identity provider does not answer.", code="issuer_unavailable"
    )
