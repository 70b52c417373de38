"""Every error as `application/problem+json` (RFC 9457): one body, stable codes, no stack trace."""

from http import HTTPStatus
from typing import Any

import orjson
import structlog
from flask import Flask, Response, request
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import BadRequest, HTTPException, UnprocessableEntity

from app import errors
from app.db.constraints import conflict_of
from app.observability import place_of

log = structlog.get_logger()

STATUS: dict[type[errors.DomainError], HTTPStatus] = {
    errors.Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Hidden: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Gone: HTTPStatus.GONE,
    errors.Stale: HTTPStatus.PRECONDITION_FAILED,
    errors.Locked: HTTPStatus.LOCKED,
    errors.TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooSlow: HTTPStatus.REQUEST_TIMEOUT,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
DEFAULT_RETRY_AFTER_S = 5
# Not made from the statuses' names, because Python changes those.
HTTP_CODES = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    HTTPStatus.PRECONDITION_REQUIRED: "precondition_required",
}
# Where werkzeug's own sentence speaks to somebody who typed an address into a browser.
HTTP_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is no such address. Ids are UUIDs.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take this method; see Allow.",
}
# marshmallow's name for what is wrong with an object as a whole.
WHOLE = "_schema"
BODY = "body"


def register_problems(app: Flask) -> None:
    """Answer every exception with a problem document."""
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(Exception, from_error)


def from_error(error: Exception) -> Response:
    """Map what is raised below the web: a refusal, a trouble of the database, or a bug."""
    if isinstance(error, errors.DomainError):
        return from_domain(error)
    if isinstance(error, DBAPIError):
        return from_database(error)
    if isinstance(error, PoolTimeout):
        return from_pool(error)
    return from_surprise(error)


def problem(
    status: HTTPStatus | int, code: str, detail: str, *, retryable: bool = False, **members: Any
) -> Response:
    """Build one problem document; `members` that are None are left out."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        "retryable": retryable,
        **{name: value for name, value in members.items() if value is not None},
    }
    return Response(orjson.dumps(body), int(status), content_type="application/problem+json")


def from_domain(error: errors.DomainError) -> Response:
    """Map a refusal of ours by its class."""
    response = problem(
        STATUS[type(error)],
        error.code,
        error.detail,
        retryable=error.retryable,
        field=error.field,
    )
    if isinstance(error, errors.Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="teleconsult"'
    if error.retryable:
        response.headers["Retry-After"] = str(error.retry_after_s or DEFAULT_RETRY_AFTER_S)
    return response


def from_http(error: HTTPException) -> Response:
    """Map what Flask, werkzeug and webargs raise."""
    if isinstance(error, UnprocessableEntity):
        return from_validation(error)
    if isinstance(error, BadRequest) and getattr(error, "data", None):
        return problem(error.code, "invalid_json", "The body is not valid JSON.")
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    code = HTTP_CODES.get(HTTPStatus(status), f"http_{status}")
    told = HTTP_DETAILS.get(HTTPStatus(status)) or error.description or HTTPStatus(status).phrase
    response = problem(status, code, told)
    for name, value in error.get_headers(request.environ):
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def from_validation(error: UnprocessableEntity) -> Response:
    """Show every field that was wrong and why; `field` names the first."""
    messages = getattr(error, "data", {}).get("messages", {})
    found = list(_flatten(messages))
    if not found:
        return problem(error.code, "invalid_request", error.description or "It was not understood.")
    first = found[0]
    return problem(
        error.code,
        "invalid_request",
        f"{first['field']}: {first['message']}",
        field=first["field"],
        errors=found,
    )


def from_database(error: DBAPIError) -> Response:
    """Translate a constraint into its conflict; anything else means the database is not well."""
    conflict = conflict_of(error)
    if conflict is not None:
        return from_domain(conflict)
    if isinstance(error, OperationalError) or error.connection_invalidated:
        log.warning("database_unavailable", kind=type(error.orig).__name__)
        return from_domain(database_unavailable())
    return from_surprise(error)


def from_pool(error: PoolTimeout) -> Response:
    """All connections are busy: the caller may try again soon."""
    log.warning("database_pool_exhausted")
    return from_domain(database_unavailable())


def database_unavailable() -> errors.Unavailable:
    """Say what to do; a connection lost in the middle of a commit leaves open what was done."""
    return errors.Unavailable(
        "The database does not answer. Try again; with the same Idempotency-Key it is done once.",
        code="database_unavailable",
    )


def from_surprise(error: Exception) -> Response:
    """A bug of ours: logged with its kind and place, told without either."""
    # Without the error's own text, which may hold what a person typed.
    log.error("unexpected_error", kind=type(error).__name__, place=place_of(error))
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something went wrong on our side. It has been logged.",
    )


def _flatten(messages: Any, path: str = "") -> Any:
    """Yield {'field', 'message'} for each leaf of marshmallow's nested messages."""
    if isinstance(messages, dict):
        for key, value in messages.items():
            # The first level is the place: json, query, headers. The caller knows where it wrote.
            yield from _flatten(value, f"{path}.{key}" if path else f"{key}")
        return
    for message in messages if isinstance(messages, list) else [messages]:
        where = path.removesuffix(f".{WHOLE}")
        yield {"field": where.partition(".")[2] or BODY, "message": str(message)}
