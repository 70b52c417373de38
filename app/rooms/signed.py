"""Requests of Prosody's modules: proved by a signature, answered with one."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import orjson
from flask import Response, request
from marshmallow import Schema, ValidationError

from app.audit import service as audit
from app.clock import utc_now
from app.errors import Invalid, Unauthorized
from app.signing import sign, verified_secret
from app.web.services import current_services

P = ParamSpec("P")
T = TypeVar("T")

LARGEST_BODY_BYTES = 256 * 1024
# Question and answer are signed with the same key; by their ids they cannot stand for each other.
ANSWER = ".answer"


def signed(view: Callable[P, Response]) -> Callable[P, Response]:
    """Let only messages of our own modules in, and sign the answer with the secret they used, so
    that the secret can be changed while both sides run.

    Raises:
        Unauthorized: the signature is missing, wrong, or older than five minutes.
    """

    @wraps(view)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Response:
        secret = _proved()
        response = view(*args, **kwargs)
        message_id, body = request.headers["webhook-id"] + ANSWER, response.get_data()
        response.headers.update(sign(message_id, body, secrets=[secret], now=utc_now()))
        return response

    return wrapper


def body_as(schema: Schema) -> Any:
    """Return the request's body as `schema` reads it.

    Raises:
        Invalid: it is no JSON, or not of this shape.
    """
    try:
        return schema.load(orjson.loads(request.get_data()))
    except orjson.JSONDecodeError as error:
        raise Invalid("The body is no JSON.", code="invalid_request") from error
    except ValidationError as error:
        fields = ", ".join(sorted(str(name) for name in error.normalized_messages()))
        raise Invalid(f"Missing or wrong: {fields}.", code="invalid_request") from error


def answer(content: Any) -> Response:
    """Return a JSON answer."""
    return Response(orjson.dumps(content), content_type="application/json")


def _proved() -> bytes:
    request.max_content_length = LARGEST_BODY_BYTES
    secrets = current_services().settings.room_events_secret
    secret = verified_secret(dict(request.headers), request.get_data(), secrets=secrets)
    if secret is None or request.headers["webhook-id"].endswith(ANSWER):
        _audit_stranger()
        raise Unauthorized("The signature is not valid.", code="room_signature_invalid")
    return secret


def _audit_stranger() -> None:
    with current_services().database.statements() as db:
        audit.record(
            db,
            action="room.signature_refused",
            actor=audit.STRANGER,
            now=utc_now(),
            organisation_id=None,
            refused=True,
            detail={"path": request.path},
        )
