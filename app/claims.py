"""Claims of ours in a short text that somebody carries and shows: a JWT (RFC 7519) under a secret.

`issuer` tells what it is for: a text made for one purpose is none for another.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import jwt

ALGORITHM = "HS256"


def signed(claims: Mapping[str, Any], *, issuer: str, secret: bytes) -> str:
    """Return the text."""
    return jwt.encode({"iss": issuer, **claims}, secret, algorithm=ALGORITHM)


def read(
    text: str,
    *,
    issuer: str,
    secrets: Sequence[bytes],
    required: Sequence[str],
    may_have_expired: bool = False,
) -> dict[str, Any]:
    """Return what a text says that one of our secrets made, whichever of them is in use now.

    Raises:
        jwt.ExpiredSignatureError: its time is over.
        jwt.InvalidTokenError: it is none of ours, for something else, or lacks a required claim.
    """
    for secret in secrets:
        with suppress(jwt.InvalidSignatureError):
            return jwt.decode(
                text,
                secret,
                algorithms=[ALGORITHM],
                issuer=issuer,
                options={"require": list(required), "verify_exp": not may_have_expired},
            )
    raise jwt.InvalidSignatureError
