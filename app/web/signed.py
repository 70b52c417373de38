"""Requests of programs of ours elsewhere (Prosody's modules, recorders): proved by a signature,
answered with one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import orjson
from marshmallow import Schema, ValidationError

from app.audit import refusals
from app.audit import service as audit
from app.clock import utc_now
from app.errors import Invalid, Unauthorized
from app.services import Services
from app.settings import Settings
from app.signing import sign, verified_secret
from app.web.addresses import network_of
from app.web.direct import Answer, Call, Handler, as_json

# Question and answer are signed with the same key; by their ids they cannot stand for each other.
ANSWER = ".answer"


@dataclass(frozen=True, slots=True)
class Signers:
    """Who may ask: whoever has one of these secrets. `refused` is what the audit log calls a
    request of somebody else, `code` what they are told."""

    secrets: Callable[[Settings], Sequence[bytes]]
    refused: str
    code: str

    def __call__(self, handler: Callable[[Services, Call], Any]) -> Handler:
        """Let only their requests in, and sign the answer with the secret they used, so that the
        secret can be changed while both sides run.

        Raises:
            Unauthorized: the signature is missing, wrong, or older than five minutes.
        """

        @wraps(handler)
        def wrapper(services: Services, call: Call) -> Answer:
            secret = self._proved(services, call)
            body = as_json(handler(services, call))
            message_id = call.headers["webhook-id"] + ANSWER
            proof = sign(message_id, body, secrets=[secret], now=utc_now())
            return Answer(body, tuple(proof.items()))

        return wrapper

    def _proved(self, services: Services, call: Call) -> bytes:
        known = self.secrets(services.settings)
        secret = verified_secret(dict(call.headers), call.body, secrets=known)
        if secret is None or call.headers["webhook-id"].endswith(ANSWER):
            _audit_stranger(services, call, self.refused)
            raise Unauthorized("The signature is not valid.", code=self.code)
        return secret


def read(schema: Schema, body: bytes) -> Any:
    """Return a body as `schema` reads it.

    Raises:
        Invalid: it is no JSON, or not of this shape.
    """
    try:
        return schema.load(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise Invalid("The body is no JSON.", code="invalid_request") from error
    except ValidationError as error:
        fields = ", ".join(sorted(str(name) for name in error.normalized_messages()))
        raise Invalid(f"Missing or wrong: {fields}.", code="invalid_request") from error


def _audit_stranger(services: Services, call: Call, action: str) -> None:
    entry = audit.Entry(
        action=action,
        actor=audit.STRANGER,
        organisation_id=None,
        refused=True,
        detail={"path": call.path},
    )
    with services.database.direct() as db:
        refusals.note(
            db,
            services.limiter,
            entry,
            who=network_of(call.address),
            bound=services.settings.audit_refusals,
            now=utc_now(),
        )
