"""Who calls the API: a program with a token of ours, or a person of the hospital, with a token of
the hospital's own issuer or signed in on our pages. Each is limited to one organisation and to
scopes."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, wraps
from typing import Any
from uuid import UUID

import jwt
from flask import g, request
from sqlalchemy.orm import Session
from werkzeug.datastructures import Headers

from app.access import issuers, scopes
from app.access import service as access
from app.audit import service as audit
from app.audit.service import Actor, Entry
from app.claims import read as claims_in
from app.claims import signed
from app.clock import utc_now
from app.db.engine import EVERY_ORGANISATION, enter_organisation
from app.errors import DomainError, Forbidden, Unauthorized
from app.services import Services
from app.web import cookies, limits
from app.web.refusals import note_refusal
from app.web.services import current_services

ISSUER = "teleconsult-api"
SCOPES = scopes.SCOPES
# Nobody has shown anything yet, so there is nothing to note.
UNNOTED = {"token_missing"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is behind a request: a `client` (a program) or a `user` (a person of the hospital).

    `client_id` is the opaque id of either.
    """

    client_id: UUID
    organisation_id: UUID
    scopes: frozenset[str]
    kind: str = "client"
    name: str = field(default="", repr=False)

    @property
    def subject(self) -> str:
        """The id under which the audit log knows the caller."""
        return str(self.client_id)


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
        "sub": str(client_id),
        "org": str(organisation_id),
        "scope": " ".join(scopes),
        "iat": now,
        "exp": now + timedelta(seconds=ttl_s),
    }
    return signed(claims, issuer=ISSUER, secret=secret)


def requires(scope: str | None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let only callers with `scope` in (with None: every caller), limit the transaction to their
    organisation, and give the view `caller`. Stands inside `transactional`."""
    assert scope is None or scope in SCOPES, scope
    named = [scope] if scope else []
    security: list[dict[str, list[str]]] = [
        {"oauth2": named},
        {"openIdConnect": named},
        {"staffCookie": []},
    ]

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def wrapper(*args: Any, db: Session, **kwargs: Any) -> Any:
            caller = admitted(scope)
            enter_organisation(db, caller.organisation_id)
            try:
                return view(*args, db=db, caller=caller, **kwargs)
            except Forbidden as error:  # by a rule of what it asks for, and not by its scopes
                _audit_refusal(caller, error.code)
                raise

        return describe(wrapper, security=security)

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


def admitted(scope: str | None) -> Caller:
    """Return the caller of this request if it may use `scope`; whoever shows something and may not
    is audited.

    Raises:
        Unauthorized: there is no valid token.
        Forbidden: the token has not this scope.
    """
    caller = None
    try:
        caller = current_caller()
        limits.count_caller(caller.subject)
        if scope is not None and scope not in caller.scopes:
            raise Forbidden(f"This needs the scope {scope}.", code="scope_missing")
    except DomainError as error:
        if isinstance(error, Unauthorized | Forbidden) and error.code not in UNNOTED:
            _audit_refusal(caller, error.code)
        if isinstance(error, Unauthorized):
            limits.count_address()
        raise
    return caller


def _audit_refusal(caller: Caller | None, code: str) -> None:
    entry = Entry(
        action="api.called",
        actor=actor_of(caller) if caller else audit.STRANGER,
        organisation_id=caller.organisation_id if caller else None,
        refused=True,
        detail={"code": code},
    )
    note_refusal(entry, now=now())


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
        Unauthorized: nothing is shown, or it is expired, altered or of nobody we know.
        Forbidden: a cookie of ours came with a write from a page that is not ours.
        Unavailable: the issuer of the token does not answer.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        caller = _bearer(token)
    elif cookies.staff_token() is not None:
        caller = _signed_in()
    else:
        raise Unauthorized(
            "Send an access token: Authorization: Bearer <token from POST /oauth/token>.",
            code="token_missing",
        )
    g.caller = caller
    return caller


def _bearer(token: str) -> Caller:
    try:
        claims = _claims(token, current_services().settings.api_token_secret)
    except jwt.InvalidTokenError as error:
        issuer = issuers.issuer_of(token)
        if issuer in (None, ISSUER):
            raise Unauthorized("The access token is not valid.", code="token_invalid") from error
        return _person(issuer or "", token)
    if _has_expired(claims):
        raise Unauthorized("The access token has expired.", code="token_expired")
    return _program(claims)


def program_of(services: Services, headers: Headers, scope: str) -> Caller | None:
    """Return the program that calls, if a token of ours says so and that it has the scope. With
    None it may be somebody else, or nobody; that is for `requires` to find out.

    For what is answered in front of Flask.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    try:
        claims = _claims(token, services.settings.api_token_secret)
    except jwt.InvalidTokenError:
        return None
    caller = _program(claims)
    return None if _has_expired(claims) or scope not in caller.scopes else caller


def _program(claims: Mapping[str, Any]) -> Caller:
    return Caller(UUID(claims["sub"]), UUID(claims["org"]), frozenset(claims["scope"].split()))


def _has_expired(claims: Mapping[str, Any]) -> bool:
    return bool(claims["exp"] <= utc_now().timestamp())


def _person(issuer: str, token: str) -> Caller:
    """Return the person a token of a hospital's issuer names, in that hospital only."""
    services = current_services()
    with services.database.begin() as db:
        provider = access.provider_by_issuer(db, issuer)
    if provider is None:
        raise Unauthorized("The access token is not valid.", code="token_invalid")
    # Outside the transaction: this may ask the issuer.
    claims = services.issuers.claims(issuer, token, audience=provider.audience)
    return Caller(
        access.subject_of(provider, str(claims["sub"])),
        provider.organisation_id,
        frozenset(access.scopes_of(provider, claims)),
        "user",
        access.name_of(provider, claims),
    )


def _signed_in() -> Caller:
    row = cookies.current_session(now())
    return Caller(row.subject, row.organisation_id, frozenset(row.scopes), "user", row.name)


@lru_cache(1024)  # a program sends the same token for an hour, and reading one takes a while
def _claims(token: str, secrets: tuple[bytes, ...]) -> dict[str, Any]:
    """Return what a token of ours says, though it may have expired since.

    Raises:
        jwt.InvalidTokenError: none of these secrets made it.
    """
    required = ("exp", "sub", "org", "scope")
    return claims_in(
        token, issuer=ISSUER, secrets=secrets, required=required, may_have_expired=True
    )


def actor_of(caller: Caller) -> Actor:
    """Return the caller as the audit log names it."""
    return Actor(caller.kind, caller.subject)


def now() -> datetime:
    """Return the moment this request began; the same for all it does."""
    if "now" not in g:
        g.now = utc_now()
    moment: datetime = g.now
    return moment
