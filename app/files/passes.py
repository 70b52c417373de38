"""What Jitsi's client shows for a request about files: a pass for one person in one room, good for
a minute. Prosody fetches it for who is in the room; upstream it would sign one by itself
(mod_short_lived_token). What has changed since is looked at when it is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import jwt

from app.claims import read as claims_in
from app.claims import signed
from app.errors import Unauthorized

ISSUER = "teleconsult-room-files"
CLAIMS = ["exp", "sub", "link", "meeting"]
# A client asks for a new one when it has ten seconds left.
LIVES = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Pass:
    """Who is in which room: `meeting` is Jitsi's own id of it, which stands in the addresses."""

    participant_id: UUID
    link_id: UUID
    meeting: str


def issue(one: Pass, *, secret: bytes, now: datetime) -> tuple[str, datetime]:
    """Return the pass as text, and when it expires."""
    expires_at = now + LIVES
    claims = {
        "sub": str(one.participant_id),
        "link": str(one.link_id),
        "meeting": one.meeting,
        "exp": expires_at,
    }
    return signed(claims, issuer=ISSUER, secret=secret), expires_at


def read(text: str, *, secrets: Sequence[bytes]) -> Pass:
    """Return what a pass says.

    Raises:
        Unauthorized: it has expired, or is none of ours.
    """
    try:
        claims = claims_in(text, issuer=ISSUER, secrets=secrets, required=CLAIMS)
    except jwt.ExpiredSignatureError as error:
        raise Unauthorized("This pass has expired.", code="pass_expired") from error
    except jwt.InvalidTokenError as error:
        raise Unauthorized("This is no pass for a room's files.", code="pass_invalid") from error
    return Pass(UUID(claims["sub"]), UUID(claims["link"]), str(claims["meeting"]))
