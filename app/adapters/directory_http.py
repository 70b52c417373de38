"""Calling a hospital's own service for JSON: one deadline for all of it, and no waiting in line
behind one that is silent."""

from collections.abc import Mapping
from threading import Lock
from typing import Any

import orjson
from cachetools import TTLCache

from app.adapters.http_guarded import GuardedSender
from app.bulkhead import Bulkhead
from app.errors import Invalid, Unavailable
from app.ports import OutsideService

# After a silence nobody waits for this service for a while: each caller would wait the whole time.
SILENT_FOR_S = 10.0
MOST_SERVICES = 1000
SILENCE = ("no_answer", "no_connection")


class DirectoryHttp:
    """Requests of one process to all hospitals' services.

    The code of an error is that of `GuardedSender`, or `not_json`.
    """

    def __init__(self, sender: GuardedSender, bulkhead: Bulkhead) -> None:
        self._sender = sender
        self._bulkhead = bulkhead
        self._lock = Lock()
        self._silent: TTLCache[str, bool] = TTLCache(MOST_SERVICES, SILENT_FOR_S)

    def get(
        self, service: OutsideService, path: str, *, accept: str = "application/json"
    ) -> Any | None:
        """Return the JSON at `path`, or None for a 404.

        Raises:
            Unavailable, Invalid: see `ports.Directory`.
        """
        try:
            with self._bulkhead.place():
                body = self._call("GET", service, path, headers={"accept": accept})
        except Invalid as error:
            if error.code == "http_404":
                return None
            raise
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise Invalid("The service did not answer with JSON.", code="not_json") from None

    def put(
        self,
        service: OutsideService,
        path: str,
        content: Any,
        *,
        content_type: str = "application/json",
    ) -> None:
        """Store JSON at `path`.

        Raises:
            Unavailable, Invalid: see `ports.Directory`.
        """
        headers = {"content-type": content_type}
        self._call("PUT", service, path, headers=headers, body=orjson.dumps(content))

    def _call(
        self,
        method: str,
        service: OutsideService,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
    ) -> bytes:
        with self._lock:
            is_silent = service.url in self._silent
        if is_silent:
            raise Unavailable("The service was silent a moment ago.", code="no_answer")
        bearer = {"authorization": f"Bearer {service.token}"} if service.token else {}
        try:
            return self._sender.call(method, service.url + path, body, {**headers, **bearer})
        except Unavailable as error:
            if error.code in SILENCE:
                with self._lock:
                    self._silent[service.url] = True
            raise
