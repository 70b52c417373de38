"""Checks what the hospitals' issuers sign (OpenID Connect Core, RFC 7519, RFC 8725).

An issuer's addresses and keys come by discovery and are kept. When it does not answer, what is kept
goes on working; only a key nobody has seen yet then says "unavailable" instead of "invalid". Each
is asked in a thread of its own, so that a slow one costs its own callers a moment, and nobody else
a thread of the API.
"""

import ipaddress
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import jwt
from jwt import PyJWK

from app.bulkhead import Bulkhead
from app.errors import Unauthorized, Unavailable
from app.ports import IdentityHttp

# Signatures by a private key only: with HS256 whoever knows the public key could sign.
ALGORITHMS = ("RS256", "ES256")
LEEWAY_S = 60
FRESH_S = 600.0
# After that long without an answer a key may have been withdrawn, and is believed no more.
KEPT_S = 86_400.0
# Between two looks at an issuer, so that forged key ids do not become requests to it.
PAUSE_S = 10.0
# So long callers wait for a look, from its beginning; a later answer is for whoever comes then.
PATIENCE_S = 1.0
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
REQUIRED = ["exp", "iat", "sub", "iss", "aud"]


@dataclass(frozen=True, slots=True)
class Discovery:
    """What an issuer says of itself."""

    authorization_endpoint: str
    token_endpoint: str
    auth_methods: tuple[str, ...]


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass(slots=True)
class _Known:
    """What is kept of one issuer; `looked` is set while it is not being asked."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    looked: threading.Event = field(default_factory=_set)
    discovery: Discovery | None = None
    keys: Mapping[str | None, PyJWK] = field(default_factory=dict)
    answered_at: float = float("-inf")
    tried_at: float = float("-inf")


class Issuers:
    """The keys and addresses of all issuers this process has met."""

    def __init__(
        self,
        http: IdentityHttp,
        bulkhead: Bulkhead,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._bulkhead = bulkhead
        self._clock = clock
        self._issuers: dict[str, _Known] = {}

    def claims(self, issuer: str, token: str, *, audience: str) -> dict[str, Any]:
        """Return what `issuer` says in `token` to `audience`.

        Raises:
            Unauthorized: expired, altered, of another issuer or for another audience.
            Unavailable: its key is not known, and the issuer does not answer.
        """
        key = self._key(issuer, _kid(token))
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=issuer,
                audience=audience,
                leeway=LEEWAY_S,
                options={"require": REQUIRED},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("The access token has expired.", code="token_expired") from error
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise _invalid() from error
        return dict(claims)

    def discovery(self, issuer: str) -> Discovery:
        """Return where people sign in at an issuer.

        Raises:
            Unavailable: not known yet, and the issuer does not answer.
        """
        known = self._known(issuer)
        if known.discovery is None or self._age(known) > KEPT_S:
            self._look(issuer, known)
        elif self._age(known) > FRESH_S:
            self._look_behind(issuer, known)
        if known.discovery is None:
            raise unavailable()
        return known.discovery

    def _key(self, issuer: str, kid: str | None) -> PyJWK:
        known = self._known(issuer)
        key = known.keys.get(kid)
        if key is not None and self._age(known) <= FRESH_S:
            return key
        if key is not None and self._age(known) <= KEPT_S:
            self._look_behind(issuer, known)
            return key
        self._look(issuer, known)
        key = known.keys.get(kid)
        if key is None or self._age(known) > KEPT_S:
            raise _invalid() if self._has_answered(known) else unavailable()
        return key

    def _known(self, issuer: str) -> _Known:
        return self._issuers.setdefault(issuer, _Known())

    def _age(self, known: _Known) -> float:
        return self._clock() - known.answered_at

    def _has_answered(self, known: _Known) -> bool:
        """Tell whether the last look brought an answer."""
        return known.answered_at >= known.tried_at

    def _look(self, issuer: str, known: _Known) -> None:
        """Ask the issuer, unless that was just done, and wait a moment; whoever comes meanwhile
        waits for the same answer, if a thread can be spared.

        Raises:
            Unavailable: none can.
        """
        self._look_behind(issuer, known)
        if known.looked.is_set():
            return
        try:
            with self._bulkhead.place():
                known.looked.wait(max(0.0, known.tried_at + PATIENCE_S - self._clock()))
        except Unavailable as error:
            raise unavailable() from error

    def _look_behind(self, issuer: str, known: _Known) -> None:
        """Ask without waiting, unless that was just done."""
        with known.lock:
            if known.looked.is_set() and self._clock() - known.tried_at >= PAUSE_S:
                known.looked.clear()
                known.tried_at = self._clock()
                threading.Thread(target=self._ask, args=(issuer, known), daemon=True).start()

    def _ask(self, issuer: str, known: _Known) -> None:
        try:
            about = self._http.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
            discovery = _discovery(issuer, about)
            keys = _keys(self._http.get(_address(issuer, about, "jwks_uri")))
        except Unavailable:
            return
        else:
            known.discovery, known.keys = discovery, keys
            known.answered_at = known.tried_at
        finally:
            known.looked.set()


def is_safe(url: str) -> bool:
    """Tell whether secrets may go to an address: https, or this machine itself."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    )


def unavailable() -> Unavailable:
    """Return what is said when an issuer is needed and does not answer."""
    return Unavailable(
        "The hospital's identity provider does not answer.", code="issuer_unavailable"
    )


def issuer_of(token: str) -> str | None:
    """Return the issuer a token names, believed by nobody yet; None when it is no token."""
    try:
        return str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
    except (jwt.InvalidTokenError, ValueError):
        return None


def _kid(token: str) -> str | None:
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise _invalid() from error
    if header.get("alg") not in ALGORITHMS:
        raise _invalid()
    kid = header.get("kid")
    return kid if isinstance(kid, str) else None


def _discovery(issuer: str, about: Mapping[str, Any]) -> Discovery:
    if about.get("issuer") != issuer:  # OpenID Connect Discovery 4.3: exactly the same
        raise unavailable()
    methods = about.get("token_endpoint_auth_methods_supported")
    return Discovery(
        authorization_endpoint=_address(issuer, about, "authorization_endpoint"),
        token_endpoint=_address(issuer, about, "token_endpoint"),
        auth_methods=tuple(methods) if isinstance(methods, list) else ("client_secret_basic",),
    )


def _address(issuer: str, about: Mapping[str, Any], name: str) -> str:
    """Return an address the issuer names. Only one on this machine may name others on it: what it
    says is called from inside our network."""
    url = about.get(name)
    if not isinstance(url, str) or not is_safe(url):
        raise unavailable()
    if _is_here(url) and not _is_here(issuer):
        raise unavailable()
    return url


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_link_local or address.is_unspecified


def _keys(answer: Mapping[str, Any]) -> dict[str | None, PyJWK]:
    """Return the usable keys by id; a lone key also serves tokens that name none."""
    listed = answer.get("keys")
    if not isinstance(listed, list):
        raise unavailable()
    keys: dict[str | None, PyJWK] = {}
    for one in listed:
        if not isinstance(one, dict) or one.get("kty") not in ("RSA", "EC"):
            continue
        if one.get("use", "sig") != "sig" or one.get("alg", "RS256") not in ALGORITHMS:
            continue
        try:
            keys[one.get("kid")] = PyJWK(one)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
    if len(keys) == 1:
        keys.setdefault(None, next(iter(keys.values())))
    return keys


def _invalid() -> Unauthorized:
    return Unauthorized("The access token is not valid.", code="token_invalid")
