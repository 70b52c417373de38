"""Sign-in of people at their hospital's issuer: authorization code, PKCE, state and nonce.

Source: OpenID Connect Core 3.1, RFC 7636, RFC 9207, RFC 9700 section 2.1.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

import orjson
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from app.access.issuers import Discovery, Issuers, unavailable
from app.access.models import IdentityProvider
from app.clock import from_unix
from app.encryption import Vault
from app.errors import Unauthorized, Unavailable
from app.ids import new_id
from app.ports import IdentityHttp

SECRET_BYTES = 32
PENDING_FOR = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in under way. It is kept in the browser that began it, encrypted, so that nobody can
    end it elsewhere and nothing is stored for who never comes back."""

    id: str
    provider_id: str
    state: str
    nonce: str
    verifier: str
    then: str
    began: float

    def sealed(self, vault: Vault) -> str:
        """Return it as the text of a cookie."""
        return vault.encrypt(orjson.dumps(asdict(self))).decode()

    @classmethod
    def opened(cls, text: str, vault: Vault, *, now: datetime) -> Self:
        """Return what a cookie holds.

        Raises:
            Unauthorized: it is not ours, or too old.
        """
        try:
            pending = cls(**orjson.loads(vault.decrypt(text.encode())))
        except (Unavailable, ValueError, TypeError) as error:
            raise expired() from error
        if now > from_unix(pending.began) + PENDING_FOR:
            raise expired()
        return pending

    @property
    def sign_in_id(self) -> UUID:
        """Its id, which is used up by the session that comes of it."""
        return UUID(self.id)


def begin(*, provider: IdentityProvider, then: str, now: datetime) -> Pending:
    """Start a sign-in that ends at the address `then` of ours."""
    return Pending(
        id=str(new_id()),
        provider_id=str(provider.id),
        state=secrets.token_urlsafe(SECRET_BYTES),
        nonce=secrets.token_urlsafe(SECRET_BYTES),
        verifier=secrets.token_urlsafe(SECRET_BYTES),
        then=then,
        began=now.timestamp(),
    )


def address(
    pending: Pending,
    *,
    provider: IdentityProvider,
    discovery: Discovery,
    redirect_uri: str,
    ask_again: bool,
) -> str:
    """Return where to send the browser."""
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": "openid profile",
        "state": pending.state,
        "nonce": pending.nonce,
        "code_challenge": create_s256_code_challenge(pending.verifier),
        "code_challenge_method": "S256",
    }
    # Who signed out on a shared computer must not be let in again by the issuer's memory.
    if ask_again:
        query["prompt"] = "login"
    return str(add_params_to_uri(discovery.authorization_endpoint, list(query.items())))


def accept(pending: Pending, answer: Mapping[str, str], *, provider: IdentityProvider) -> str:
    """Return the code of an issuer's answer to this very sign-in.

    Raises:
        Unauthorized: it answers another one, or refuses.
    """
    if not hmac.compare_digest(pending.state.encode(), answer.get("state", "").encode()):
        raise expired()
    if answer.get("iss", provider.issuer) != provider.issuer:
        raise expired()
    code = answer.get("code")
    if not code:
        raise refused()
    return code


def redeem(
    http: IdentityHttp,
    issuers: Issuers,
    vault: Vault,
    *,
    pending: Pending,
    provider: IdentityProvider,
    code: str,
    redirect_uri: str,
) -> dict[str, Any]:
    """Exchange the code and return the checked claims of the ID token.

    Raises:
        Unauthorized: the issuer does not take the code, or its token is not for this sign-in.
        Unavailable: it does not answer.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": pending.verifier,
    }
    discovery = issuers.discovery(provider.issuer)
    basic = _add_client(form, provider, discovery, vault)
    status, answer = http.post_form(discovery.token_endpoint, form, basic)
    if status >= 500:
        raise unavailable()
    token = answer.get("id_token")
    if status != 200 or not isinstance(token, str):
        raise refused()
    claims = _checked(issuers, provider, token)
    nonce = claims.get("nonce")
    same = isinstance(nonce, str) and hmac.compare_digest(nonce.encode(), pending.nonce.encode())
    # Core 3.1.3.7: with several audiences the party it was issued to must be us.
    if not same or claims.get("azp", provider.client_id) != provider.client_id:
        raise refused()
    return claims


def expired() -> Unauthorized:
    """Return what is said to an answer that belongs to no sign-in under way here."""
    return Unauthorized("This sign-in is not under way any more.", code="sign_in_expired")


def refused() -> Unauthorized:
    """Return what is said when the issuer does not vouch for the person."""
    return Unauthorized("The identity provider did not sign you in.", code="sign_in_refused")


def _checked(issuers: Issuers, provider: IdentityProvider, token: str) -> dict[str, Any]:
    try:
        return issuers.claims(provider.issuer, token, audience=provider.client_id)
    except Unauthorized as error:
        raise refused() from error


def _add_client(
    form: dict[str, str], provider: IdentityProvider, discovery: Discovery, vault: Vault
) -> tuple[str, str] | None:
    """Say who we are, in the way the issuer wants."""
    if provider.client_secret is None:
        form["client_id"] = provider.client_id
        return None
    secret = vault.decrypt(provider.client_secret).decode()
    if "client_secret_basic" in discovery.auth_methods:
        return provider.client_id, secret
    form |= {"client_id": provider.client_id, "client_secret": secret}
    return None
