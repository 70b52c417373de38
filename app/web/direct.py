"""The short way: the requests of every join, and a removal, are answered in front of Flask.

Flask's routing, contexts and request objects take longer than all that such a request needs. The
same routes stand behind Flask, too: what is not of the plainest form is read or refused there,
and the OpenAPI document is made from there. Errors, request ids and log lines are the same.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any

import orjson
from flask import Response, request
from werkzeug.datastructures import EnvironHeaders, Headers

from app.errors import Invalid
from app.observability import begin_request, end_request
from app.services import Services
from app.web.problems import from_error
from app.web.services import current_services

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

MAX_BODY_BYTES = 262_144
NO_BODY = (b"", b"{}")
UNKEPT = (("Cache-Control", "no-store"),)


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as far as a handler looks at it."""

    path: str
    headers: Headers
    body: bytes
    # Where it comes from, as far as proxies are to be believed; '' when nobody knows.
    address: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer, with the headers that are its own."""

    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    status: HTTPStatus = HTTPStatus.OK


# Takes the services, the call, and what the path names.
Handler = Callable[..., Answer]
# With None it has changed nothing, and leaves the request to Flask.
Shortcut = Callable[..., Answer | None]


@dataclass(frozen=True, slots=True)
class Door:
    """A route: `rule` is what logs call it, `path` its plainest form. A DELETE has no body."""

    rule: str
    path: re.Pattern[str]
    handler: Shortcut
    method: str = "POST"


class ShortWay:
    """A WSGI application: serves the doors, and gives all else to Flask."""

    def __init__(self, flask: WsgiApp, services: Services, doors: Sequence[Door]) -> None:
        self._flask = flask
        self._services = services
        self._doors = doors

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        for door in self._doors:
            if door.method == method and (found := door.path.fullmatch(path)):
                if not _is_plain(environ):
                    break
                return self._serve(door, found.groupdict(), environ, start_response)
        return self._flask(environ, start_response)

    def _serve(
        self, door: Door, named: dict[str, str], environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        request_id = begin_request(door.method, door.rule)
        try:
            answer = door.handler(self._services, _call(environ), **named)
        except Exception as error:  # noqa: BLE001 - every error has its answer
            refusal = from_error(error)
            refusal.headers["X-Request-Id"] = request_id
            end_request(refusal.status_code)
            return refusal(environ, start_response)
        if answer is None:
            return self._flask(environ, start_response)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(answer.body))),
            ("X-Request-Id", request_id),
            *answer.headers,
        ]
        start_response(f"{answer.status:d} {answer.status.phrase}", headers)
        return [answer.body]


def behind_flask(handler: Handler) -> Callable[..., Response]:
    """Return the handler as a view of Flask."""

    @wraps(handler)
    def view(**named: str) -> Response:
        call = Call(request.path, request.headers, request.get_data(), request.remote_addr or "")
        answer = handler(current_services(), call, **named)
        return Response(answer.body, content_type="application/json", headers=answer.headers)

    return view


def as_json(content: Any) -> bytes:
    """Return `content` as JSON: moments are RFC 3339, ids are text."""
    return orjson.dumps(content, option=orjson.OPT_UTC_Z)


def refuse_body(body: bytes) -> None:
    """Refuse a body where none is taken.

    Raises:
        Invalid: there is one.
    """
    if body not in NO_BODY:
        raise Invalid("This operation takes no body.", code="invalid_request")


def _is_plain(environ: Environ) -> bool:
    """Tell whether it has no query, and a body of a known size that we take."""
    if environ.get("QUERY_STRING"):
        return False
    if environ["REQUEST_METHOD"] == "DELETE":
        return _has_no_body(environ)
    size = environ.get("CONTENT_LENGTH") or ""
    return size.isdecimal() and int(size) <= MAX_BODY_BYTES


def _has_no_body(environ: Environ) -> bool:
    """Where no size is told, that is sure in HTTP/1.1 only: in HTTP/2 a body may follow unsaid."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        return False
    size = environ.get("CONTENT_LENGTH")
    return size == "0" or (not size and environ["SERVER_PROTOCOL"] == "HTTP/1.1")


def _call(environ: Environ) -> Call:
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(size) if size else b""
    address = environ.get("REMOTE_ADDR", "")
    return Call(environ["PATH_INFO"], EnvironHeaders(environ), body, address)
