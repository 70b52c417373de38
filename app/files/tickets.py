"""Short-lived addresses of bytes: whoever has one may do one thing with one file, as one person.

Signed, not stored: what has changed since (a deleted file, a removed person) is looked at again
when they are used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import jwt

from app.audit.service import Actor
from app.claims import read as claims_in
from app.claims import signed
from app.errors import Gone, NotFound

ISSUER = "teleconsult-files"
UPLOAD, CONTENT, PREVIEW = "upload", "content", "preview"
ACTS = {UPLOAD: "file.uploaded", CONTENT: "file.downloaded", PREVIEW: "file.previewed"}
CLAIMS = ["exp", "sub", "org", "for", "as"]
LIVES = {
    UPLOAD: timedelta(hours=24),
    CONTENT: timedelta(minutes=5),
    PREVIEW: timedelta(minutes=5),
}


@dataclass(frozen=True, slots=True)
class Ticket:
    """What somebody may do: `purpose` with `file_id`, as `actor`."""

    purpose: str
    organisation_id: UUID
    file_id: UUID
    actor: Actor

    @property
    def act(self) -> str:
        """What the audit log calls its use."""
        return ACTS[self.purpose]


def issue(ticket: Ticket, *, secret: bytes, now: datetime) -> tuple[str, datetime]:
    """Return the ticket as text for an address, and when it expires."""
    expires_at = now + LIVES[ticket.purpose]
    claims = {
        "for": ticket.purpose,
        "org": str(ticket.organisation_id),
        "sub": str(ticket.file_id),
        "as": [ticket.actor.kind, ticket.actor.id],
        "exp": expires_at,
    }
    return signed(claims, issuer=ISSUER, secret=secret), expires_at


def read(text: str, *, secrets: Sequence[bytes], purposes: Sequence[str]) -> Ticket:
    """Return the ticket behind an address.

    Raises:
        Gone: it has expired; ask for a new one.
        NotFound: it is none of ours, or is for something else.
    """
    try:
        claims = claims_in(text, issuer=ISSUER, secrets=secrets, required=CLAIMS)
    except jwt.ExpiredSignatureError as error:
        raise Gone("This address has expired; ask for a new one.", code="ticket_expired") from error
    except jwt.InvalidTokenError as error:
        raise _nothing() from error
    if claims["for"] not in purposes:
        raise _nothing()
    actor = Actor(*claims["as"])
    return Ticket(claims["for"], UUID(claims["org"]), UUID(claims["sub"]), actor)


def _nothing() -> NotFound:
    return NotFound("There is nothing at this address.", code="ticket_unknown")
