"""Who calls the API: a short token in our own name, limited to one organisation and to scopes."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from uuid import UUID

import jwt
from flask import g, request
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.clock import utc_now
from app.db.engine import EVERY_ORGANISATION, enter_organisation
from app.errors import Forbidden, Unauthorized
from app.web.services import current_services

ISSUER = "teleconsult-api"
ALGORITHM = "HS256"

SCOPES = {
    "sessions:read": "Read sessions and their attendance.",
    "sessions:write": "Create, change, start, end and cancel sessions.",
    "participants:read": "Read who takes part in a session.",
    "participants:write": "Invite, change and remove participants; replace links.",
    "rooms:moderate": "Send messages to a live room.",
    "notifications:manage": "Read which messages people were sent; send an invitation again.",
    "webhooks:manage": "Subscribe addresses to events.",
    "emergency:enter": "Enter an emergency uninvited, with a reason.",
    "emergency:review": "Read and review uninvited entries.",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """The program behind a request."""

    client_id: UUID
    organisation_id: UUID
    scopes: frozenset[str]


def issue_token(
    *,
    client_id: UUID,
    organisation_id: UUID,
    scopes: Sequence[str],
    secret: bytes,
    ttl_s: int,
    now: datetime,
) -> str:
    """Return a signed API token (RFC 9068 in spirit: iss, sub, scope, exp)."""
    claims = {
        "iss": ISSUER,
        "sub": str(client_id),
        "org": str(organisation_id),
        "scope": " ".join(scopes),
        "iat": now,
        "exp": now + timedelta(seconds=ttl_s),
    }
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def requires(scope: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let only callers with `scope` in, limit the transaction to their organisation, and give
    the view `caller`. Stands inside `transactional`."""
    assert scope in SCOPES, scope

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def wrapper(*args: Any, db: Session, **kwargs: Any) -> Any:
            caller = _admitted(scope)
            enter_organisation(db, caller.organisation_id)
            return view(*args, db=db, caller=caller, **kwargs)

        return describe(wrapper, security=[{"oauth2": [scope]}])

    return decorate


def across_organisations(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let the view see all organisations, because its caller has none: it comes for a token or a
    public key, or it is Prosody and proves itself by signature. Stands inside `transactional`, in
    the place of `requires`."""

    @wraps(view)
    def wrapper(*args: Any, db: Session, **kwargs: Any) -> Any:
        enter_organisation(db, EVERY_ORGANISATION)
        return view(*args, db=db, **kwargs)

    return wrapper


def _admitted(scope: str) -> Caller:
    """Return the caller if it may use `scope`; whoever shows a token and may not is audited."""
    caller = None
    try:
        caller = current_caller()
        if scope not in caller.scopes:
            raise Forbidden(f"This needs the scope {scope}.", code="scope_missing")
    except (Unauthorized, Forbidden) as error:
        if error.code != "token_missing":
            _audit_refusal(caller, error.code)
        raise
    return caller


def _audit_refusal(caller: Caller | None, code: str) -> None:
    # On a connection of its own: the request's transaction rolls back.
    with current_services().database.statements() as db:
        audit.record(
            db,
            action="api.called",
            actor=actor_of(caller) if caller else audit.STRANGER,
            now=now(),
            organisation_id=caller.organisation_id if caller else None,
            refused=True,
            detail={"code": code},
        )


def describe(view: Callable[..., Any], **members: Any) -> Callable[..., Any]:
    """Add members to a view's OpenAPI operation, as flask-smorest's `Blueprint.doc` does."""
    apidoc: dict[str, Any] = deepcopy(getattr(view, "_apidoc", {}))
    manual = apidoc.setdefault("manual_doc", {})
    # Two decorators may each bring a header.
    parameters = manual.get("parameters", []) + members.get("parameters", [])
    manual.update(members, **({"parameters": parameters} if parameters else {}))
    view._apidoc = apidoc  # type: ignore[attr-defined]
    return view


def current_caller() -> Caller:
    """Return who sends this request.

    Raises:
        Unauthorized: no token, or one that is expired, altered or not ours.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized(
            "Send an access token: Authorization: Bearer <token from POST /oauth/token>.",
            code="token_missing",
        )
    g.caller = caller = _caller(_verified(token))
    return caller


def _verified(token: str) -> dict[str, Any]:
    for secret in current_services().settings.api_token_secret:
        try:
            return dict(
                jwt.decode(
                    token,
                    secret,
                    algorithms=[ALGORITHM],
                    issuer=ISSUER,
                    options={"require": ["exp", "sub", "org", "scope"]},
                )
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("The access token has expired.", code="token_expired") from error
        except jwt.InvalidTokenError:
            continue
    raise Unauthorized("The access token is not valid.", code="token_invalid")


def _caller(claims: dict[str, Any]) -> Caller:
    return Caller(UUID(claims["sub"]), UUID(claims["org"]), frozenset(claims["scope"].split()))


def actor_of(caller: Caller) -> Actor:
    """Return the caller as the audit log names it."""
    return Actor("client", str(caller.client_id))


def now() -> datetime:
    """Return the moment this request began; the same for all it does."""
    if "now" not in g:
        g.now = utc_now()
    moment: datetime = g.now
    return moment
