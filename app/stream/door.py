"""Who may listen, by the rules of the API: its own functions answer, so the two cannot disagree."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Flask
from flask.ctx import RequestContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import Request
from starlette.responses import Response

from app.clock import utc_now
from app.errors import DomainError, Unauthorized
from app.services import Services
from app.web import cookies
from app.web.auth import Caller, admitted
from app.web.problems import database_unavailable, from_domain
from app.web.services import attach_services

# A program shows a token, and a page of ours the cookie of its reader, who need do nothing for it.
SHOWN = ("authorization",)
SHOWN_BY_PAGES = ("cookie", "origin", "sec-fetch-site", "sec-fetch-mode")


class Door:
    """Answers from the API's own authentication, in a request of Flask's made of the stream's."""

    def __init__(self, services: Services) -> None:
        self._flask = Flask("app.stream", static_folder=None)
        attach_services(self._flask, services)

    def admit(self, headers: Mapping[str, str], address: str, *, scope: str) -> Caller:
        """Return the caller.

        Raises:
            Unauthorized, Forbidden: as the API does.
        """
        with self._request(headers, address):
            return admitted(scope)

    def is_signed_in(self, headers: Mapping[str, str], address: str) -> bool:
        """Tell whether the reader of a page is signed in still."""
        with self._request(headers, address):
            try:
                cookies.current_session(utc_now())
            except Unauthorized:
                return False
        return True

    def _request(self, headers: Mapping[str, str], address: str) -> RequestContext:
        return self._flask.test_request_context(
            "/stream", headers=headers, environ_base={"REMOTE_ADDR": address}
        )


def program(request: Request, *, proxies: int) -> tuple[dict[str, str], str]:
    """Return what a program is known by: the token and the address."""
    return _shown(request, SHOWN), address_of(request, proxies=proxies)


def reader(request: Request, *, proxies: int) -> tuple[dict[str, str], str]:
    """Return what the reader of a page is known by: cookie, origin and address."""
    headers = {**_shown(request, SHOWN_BY_PAGES), cookies.BACKGROUND: "1"}
    return headers, address_of(request, proxies=proxies)


def _shown(request: Request, names: Sequence[str]) -> dict[str, str]:
    return {name: request.headers[name] for name in names if name in request.headers}


def address_of(request: Request, *, proxies: int) -> str:
    """Return where a request comes from: what the outermost of so many proxies of ours wrote, as
    `ProxyFix` has it for the API. Anybody can write the rest."""
    told = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    if 0 < proxies <= len(told) and told[-proxies].strip():
        return told[-proxies].strip()
    return request.client.host if request.client else ""


async def refused(_request: Request, error: Exception) -> Response:
    """Answer a refusal as the API does: a problem document."""
    known: Any = error if isinstance(error, DomainError) else database_unavailable()
    answer = from_domain(known)
    headers = {k: v for k, v in answer.headers.items() if k.lower() != "content-length"}
    return Response(answer.get_data(), answer.status_code, headers)


REFUSALS: dict[Any, Any] = {DomainError: refused, DBAPIError: refused, PoolTimeout: refused}
