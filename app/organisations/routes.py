"""Signing in: `/oauth/token`, who is signed in, and the keys others check our tokens with."""

from http import HTTPStatus
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from flask import Response, request
from jwt.algorithms import RSAAlgorithm
from sqlalchemy.orm import Session

from app.errors import DomainError, Invalid, NotFound, Unauthorized
from app.organisations import clients, keys
from app.organisations.models import ApiClient, Organisation, SigningKey
from app.organisations.schemas import KeySetOut, MeOut, TokenIn, TokenOut
from app.web import limits
from app.web.answers import json_answer
from app.web.auth import Caller, across_organisations, issue_token, now, requires
from app.web.blueprint import Blueprint
from app.web.problems import from_domain, problem
from app.web.refusals import note_refusal
from app.web.services import current_services
from app.web.transactions import transactional

blp = Blueprint("sign-in", __name__, description="Access tokens and public keys")

KEYS_CACHED_S = 300
# Our code -> the `error` of RFC 6749, which OAuth libraries look at.
OAUTH_ERRORS = {
    "client_invalid": "invalid_client",
    "invalid_request": "invalid_request",
    "invalid_scope": "invalid_scope",
    "unsupported_grant_type": "unsupported_grant_type",
}


@blp.route("/oauth/token", methods=["POST"])
@transactional
@across_organisations
@blp.arguments(TokenIn, location="form", content_type="application/x-www-form-urlencoded")
@blp.response(200, TokenOut, headers={"Cache-Control": {"schema": {"type": "string"}}})
def create_token(form: dict[str, str], *, db: Session) -> Any:
    """Get an access token by client credentials (form or HTTP Basic)."""
    limits.count_address()
    if not form["grant_type"]:
        raise Invalid(
            "Send grant_type=client_credentials as a form.",
            code="invalid_request",
            field="grant_type",
        )
    if form["grant_type"] != "client_credentials":
        raise Invalid(
            "grant_type must be client_credentials.",
            code="unsupported_grant_type",
            field="grant_type",
        )
    client = _authenticated(db, *_credentials(form))
    return _token(client, _granted(client, form["scope"])), {"Cache-Control": "no-store"}


@blp.errorhandler(DomainError)
def refuse(error: DomainError) -> Response:
    """Answer with what RFC 6749 section 5.2 wants besides: `error`, and 400 but for the client."""
    response = from_domain(error)
    if error.code in OAUTH_ERRORS:
        is_client = isinstance(error, Unauthorized)
        response = problem(
            HTTPStatus.UNAUTHORIZED if is_client else HTTPStatus.BAD_REQUEST,
            error.code,
            error.detail,
            field=error.field,
            error=OAUTH_ERRORS[error.code],
        )
        response.headers["Cache-Control"] = "no-store"
        if is_client:
            response.headers["WWW-Authenticate"] = 'Basic realm="teleconsult"'
    return response


@blp.route("/staff/me", methods=["GET"])
@transactional
@requires(None)
@blp.response(200, MeOut)
def read_me(*, db: Session, caller: Caller) -> Any:
    """Read who is calling: the person signed in on our pages, or behind the token."""
    organisation = db.get_one(Organisation, caller.organisation_id)
    me = {
        "kind": caller.kind,
        "subject": caller.subject,
        "name": caller.name,
        "scopes": sorted(caller.scopes),
        "organisation": {"id": organisation.id, "name": organisation.name},
    }
    return me, {"Cache-Control": "no-store"}


@blp.route("/.well-known/jwks.json", methods=["GET"])
@transactional
@across_organisations
@blp.response(200, KeySetOut)
def read_jwks(*, db: Session) -> Response:
    """The public keys of Jitsi tokens as a JSON Web Key Set (RFC 7517)."""
    return _cached(json_answer({"keys": [_jwk(key) for key in keys.published(db, now())]}))


@blp.route("/jitsi/keys/<string:name>", methods=["GET"])
@transactional
@across_organisations
@blp.response(200, {"type": "string"}, content_type="application/x-pem-file")
def read_jitsi_key(name: str, *, db: Session) -> Response:
    """One public key under the name Jitsi's key server option asks for."""
    for key in keys.published(db, now()):
        if keys.key_server_name(key.kid) == name:
            return _cached(Response(key.public_pem, content_type="application/x-pem-file"))
    raise NotFound("There is no such key.", code="key_not_found")


def _credentials(form: dict[str, str]) -> tuple[str, str]:
    basic = request.authorization
    if basic is not None and basic.type == "basic":
        return basic.username or "", basic.password or ""
    return form["client_id"], form["client_secret"]


def _authenticated(db: Session, client_id: str, secret: str) -> ApiClient:
    limits.require_patience(client_id)
    try:
        return clients.authenticate(db, client_id=client_id, secret=secret, now=now())
    except Unauthorized as error:
        _audit_refusal(db, client_id, error.code)
        if limits.count_failed_sign_in(client_id):
            _audit_refusal(db, client_id, "sign_in_throttled")
        raise


def _audit_refusal(db: Session, client_id: str, code: str) -> None:
    note_refusal(clients.refusal(db, client_id=client_id, code=code), now=now())


def _granted(client: ApiClient, asked: str) -> list[str]:
    wanted = asked.split() or client.scopes
    if not set(wanted) <= set(client.scopes):
        raise Invalid(
            "This client may not have every scope it asks for.", code="invalid_scope", field="scope"
        )
    return list(wanted)


def _token(client: ApiClient, scopes: list[str]) -> dict[str, Any]:
    settings = current_services().settings
    text = issue_token(
        client_id=client.id,
        organisation_id=client.organisation_id,
        scopes=scopes,
        secret=settings.api_token_secret[0],
        ttl_s=settings.api_token_ttl_s,
        now=now(),
    )
    return {
        "access_token": text,
        "token_type": "Bearer",
        "expires_in": settings.api_token_ttl_s,
        "scope": " ".join(scopes),
    }


def _jwk(row: SigningKey) -> dict[str, Any]:
    key = load_pem_public_key(row.public_pem.encode())
    assert isinstance(key, RSAPublicKey)
    jwk = RSAAlgorithm.to_jwk(key, as_dict=True)
    return {**jwk, "kid": row.kid, "use": "sig", "alg": "RS256"}


def _cached(response: Response) -> Response:
    response.headers["Cache-Control"] = f"public, max-age={KEYS_CACHED_S}"
    return response
