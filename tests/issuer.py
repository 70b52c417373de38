"""An OpenID Connect issuer of the tests' own, over HTTP, that can be made to misbehave.

It is strict where a careless one is not: a code works once, for the client, the address and the
PKCE verifier it was asked with.
"""

import json
import threading
import time
from base64 import b64decode
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import jwt
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

CLIENT_ID = "teleconsult"
CLIENT_SECRET = "known to the issuer"
AUDIENCE = "teleconsult-api"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

# One of these takes long to make. Issuers take turns with a few, so that two at once have two.
KEYS = 4
_issuers = count()


@cache
def _rsa(_number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """`fault` names what is wrong with it now; `keys` are the keys it publishes."""

    def __init__(self) -> None:
        self.fault = ""
        # Another address in front of it, if there is one.
        self.line = ""
        self.keys: dict[str, PrivateKey] = {
            "rsa": _rsa(next(_issuers) % KEYS),
            "ec": ec.generate_private_key(ec.SECP256R1()),
        }
        self.asked: list[str] = []
        self.person: dict[str, Any] = {"sub": "ada", "name": "Ada Okafor", "roles": ["doctor"]}
        self.id_token: dict[str, Any] = {}
        # A port comes again, and an issuer's name belongs to one hospital.
        self._realm = uuid4().hex
        self._codes: dict[str, dict[str, str]] = {}
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The issuer's name and address."""
        return self.line or f"http://127.0.0.1:{self._server.server_address[1]}/{self._realm}"

    def stop(self) -> None:
        """Answer nobody any more."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def rotate(self) -> None:
        """Publish another key in the place of all."""
        self.keys = {uuid4().hex: rsa.generate_private_key(public_exponent=65537, key_size=2048)}

    def token(self, *, kid: str = "", key: Any = None, alg: str = "", **claims: Any) -> str:
        """Return an access token; a claim given as None is left out."""
        kid = kid or next(iter(self.keys))
        key = key or self.keys[kid]
        now = int(time.time())
        whole = {
            "iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + 300, **self.person, **claims,
        }  # fmt: skip
        content = {name: value for name, value in whole.items() if value is not None}
        algorithm = alg or ("ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256")
        return jwt.encode(content, key, algorithm=algorithm, headers={"kid": kid})

    def allow(self, address: str) -> dict[str, str]:
        """Do as a person who signs in at the address a browser was sent to; return the answer."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = uuid4().hex
        self._codes[code] = query
        return {"code": code, "state": query["state"], "iss": self.url}

    def answer(self, method: str, path: str, form: Mapping[str, str]) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        path = path.removeprefix(f"/{self._realm}")
        self.asked.append(path)
        if self.fault == "slow":
            self._released.wait(30)
        if self.fault in GARBAGE:
            return GARBAGE[self.fault]
        if path == "/.well-known/openid-configuration":
            return 200, self._about()
        if path == "/jwks":
            return 200, {"keys": [_public(kid, key) for kid, key in self.keys.items()]}
        return self._redeem(form) if path == "/token" and method == "POST" else (404, {})

    def _about(self) -> dict[str, Any]:
        outside = "http://issuer.example" if self.fault == "plain http" else self.url
        return {
            "issuer": "https://other.example" if self.fault == "other name" else self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{outside}/jwks",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def _redeem(self, form: Mapping[str, str]) -> tuple[int, Any]:
        asked = self._codes.pop(form.get("code", ""), None)
        challenge = create_s256_code_challenge(form.get("code_verifier", ""))
        good = (
            asked is not None
            and form.get("client") == f"{CLIENT_ID}:{CLIENT_SECRET}"
            and (asked["redirect_uri"], asked["code_challenge"])
            == (form.get("redirect_uri"), challenge)
        )
        if not good or asked is None:
            return 400, {"error": "invalid_grant"}
        claims = {"aud": CLIENT_ID, "nonce": asked["nonce"], **self.id_token}
        return 200, {"id_token": self.token(**claims), "token_type": "Bearer"}


GARBAGE: dict[str, tuple[int, Any]] = {
    "page": (200, "<html>Welcome</html>"),
    "list": (200, [1, 2]),
    "empty": (200, {}),
    "error": (500, {"error": "server_error"}),
    "huge": (200, {"x": "x" * 1_000_000}),
    "redirect": (302, {}),
    "broken utf-8": (200, b"\xff\xfe{"),
}
# What is well-formed and yet must not be believed.
LIES = ("other name", "plain http")


def _public(kid: str, key: PrivateKey) -> dict[str, Any]:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": kid, "use": "sig"}


def _handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Hands each request to the issuer."""

        def do_GET(self) -> None:
            """Answer a GET."""
            self._answer({})

        def do_POST(self) -> None:
            """Answer a form, with who sends it."""
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            basic = self.headers.get("Authorization", "").removeprefix("Basic ")
            self._answer({**form, "client": b64decode(basic).decode()})

        def _answer(self, form: dict[str, str]) -> None:
            status, body = issuer.answer(self.command, self.path, form)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if issuer.fault == "trickle":
                    for byte in content:
                        self.wfile.write(bytes([byte]))
                        time.sleep(0.1)
                self.wfile.write(content)
            except OSError:  # the caller waits no longer
                self.close_connection = True

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    return Handler
