"""What a browser shows to go on with a view: signed, and good for that one view alone.

It says who may ask; whether there is still something to get is looked at each time.
"""

from collections.abc import Sequence
from uuid import UUID

import jwt

from app.claims import read as claims_in
from app.claims import signed
from app.errors import NotFound
from app.playback.models import PlaybackView

ISSUER = "teleconsult-playback"
CLAIMS = ["exp", "sub", "org"]


def issue(view: PlaybackView, *, secret: bytes) -> str:
    """Return the ticket of a view; it dies with it."""
    claims = {
        "sub": str(view.id),
        "org": str(view.organisation_id),
        "exp": view.expires_at,
    }
    return signed(claims, issuer=ISSUER, secret=secret)


def organisation_of(text: str, view_id: UUID, *, secrets: Sequence[bytes]) -> UUID:
    """Return whose recording a ticket is for.

    Raises:
        NotFound: there is none, it was altered, has expired, or is of another view.
    """
    try:
        claims = claims_in(text, issuer=ISSUER, secrets=secrets, required=CLAIMS)
    except jwt.InvalidTokenError as error:
        raise _nothing() from error
    if claims["sub"] != str(view_id):
        raise _nothing()
    return UUID(claims["org"])


def _nothing() -> NotFound:
    return NotFound("There is nothing at this address.", code="ticket_unknown")
