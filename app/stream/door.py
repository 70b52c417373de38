"""Who may listen, by the rules of the API: its own functions answer, so the two cannot disagree."""

from typing import Any

from flask import Flask
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import Request
from starlette.responses import Response

from app.errors import DomainError
from app.services import Services
from app.web.auth import Caller, admitted
from app.web.problems import database_unavailable, from_domain
from app.web.services import attach_services

SCOPE = "events:read"


class Door:
    """Answers from the API's own authentication, in a request of Flask's made of the stream's."""

    def __init__(self, services: Services) -> None:
        self._flask = Flask("app.stream", static_folder=None)
        attach_services(self._flask, services)

    def admit(self, headers: dict[str, str], address: str) -> Caller:
        """Return the caller.

        Raises:
            Unauthorized, Forbidden: as the API does.
        """
        context = self._flask.test_request_context(
            "/stream/events", headers=headers, environ_base={"REMOTE_ADDR": address}
        )
        with context:
            return admitted(SCOPE)


def identity(request: Request, *, proxies: int) -> tuple[dict[str, str], str]:
    """Return what a caller is known by: the token and the address."""
    token = request.headers.get("authorization")
    return {"authorization": token} if token else {}, address_of(request, proxies=proxies)


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
