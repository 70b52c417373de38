"""Tokens that are wrong in one place, and right in all others."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.organisations.keys import Signer

GONE = object()
Claims = Mapping[str, Any]
Sign = Callable[[RSAPrivateKey, bytes], bytes]


@dataclass(frozen=True, slots=True)
class In:
    """A time, in seconds from now."""

    seconds: int


def rs256(key: RSAPrivateKey, content: bytes) -> bytes:
    """Sign as we do."""
    return key.sign(content, padding.PKCS1v15(), hashes.SHA256())


def rs512(key: RSAPrivateKey, content: bytes) -> bytes:
    """Sign with the right key and another hash."""
    return key.sign(content, padding.PKCS1v15(), hashes.SHA512())


def strangers_rs256(_key: RSAPrivateKey, content: bytes) -> bytes:
    """Sign with a key of somebody else."""
    return rs256(_strangers_key(), content)


def hmac_of_public_key(key: RSAPrivateKey, content: bytes) -> bytes:
    """Sign with what everybody can download, as if it were a shared secret."""
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hmac.digest(pem, content, hashlib.sha256)


def nothing(_key: RSAPrivateKey, _content: bytes) -> bytes:
    """Do not sign."""
    return b""


def strangers_jwk() -> dict[str, str]:
    """Return the stranger's public key as a token header can carry it."""
    numbers = _strangers_key().public_key().public_numbers()
    modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
    return {"kty": "RSA", "n": _base64(modulus), "e": "AQAB"}


@dataclass(frozen=True)
class Forgery:
    """One wrong token and the code it must be refused with.

    Args:
        name: what is wrong, as the test's id.
        code: what the client is told.
        claims: members that differ from an honest token; GONE takes one out.
        header: the same for its header.
        sign: makes the signature.
        spoil: what is done to the finished text.
    """

    name: str
    code: str
    claims: Claims = field(default_factory=dict)
    header: Claims = field(default_factory=dict)
    sign: Sign = rs256
    spoil: Callable[[str], str | None] = str

    def token(self, honest: Claims, signer: Signer) -> str | None:
        """Return the token made from the claims of an honest one."""
        header = {"typ": "JWT", "alg": "RS256", "kid": signer.kid}
        return self.spoil(
            signed(
                _changed(header, self.header), _changed(honest, self.claims), signer.key, self.sign
            )
        )


def signed(header: Claims, claims: Claims, key: RSAPrivateKey, sign: Sign = rs256) -> str:
    """Return a token; PyJWT would refuse to make most of ours."""
    content = f"{_base64(_json(header))}.{_base64(_json(claims))}"
    return f"{content}.{_base64(sign(key, content.encode()))}"


def altered_claims(token: str) -> str:
    """Put other claims under a good signature: the holder means another room."""
    head, body, tail = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["room"] = "a" * 20
    return f"{head}.{_base64(_json(claims))}.{tail}"


def altered_signature(token: str) -> str:
    """Change one bit of the signature."""
    head, body, tail = token.split(".")
    signature = bytearray(base64.urlsafe_b64decode(tail + "=="))
    signature[0] ^= 1
    return f"{head}.{body}.{_base64(bytes(signature))}"


def _changed(members: Claims, changes: Claims) -> dict[str, Any]:
    merged = {**members, **changes}
    return {name: _now(value) for name, value in merged.items() if value is not GONE}


def _now(value: Any) -> Any:
    return int(time.time()) + value.seconds if isinstance(value, In) else value


@cache
def _strangers_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def _json(content: Claims) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
