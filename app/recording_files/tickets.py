"""The address a recorder sends a file's bytes to: whoever has it may send that one file.

A recorder is given one with each signed call, so that the bytes themselves need no signature.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import jwt

from app.claims import read as claims_in
from app.claims import signed
from app.errors import Gone, NotFound
from app.recording_files.models import RecordingFile

ISSUER = "teleconsult-recorder"
CLAIMS = ["exp", "sub", "org"]
LIVES = timedelta(hours=1)


def issue(file: RecordingFile, *, secret: bytes, now: datetime) -> str:
    """Return a ticket for a file's bytes."""
    owner = str(file.organisation_id) if file.organisation_id else ""
    claims = {"sub": str(file.id), "org": owner, "exp": now + LIVES}
    return signed(claims, issuer=ISSUER, secret=secret)


def read(text: str, *, secrets: Sequence[bytes]) -> tuple[UUID, UUID | None]:
    """Return which file it is for, and whose that is if anybody's.

    Raises:
        Gone: it has expired; call again.
        NotFound: it is none of ours.
    """
    try:
        claims = claims_in(text, issuer=ISSUER, secrets=secrets, required=CLAIMS)
    except jwt.ExpiredSignatureError as error:
        raise Gone("This address has expired; ask for a new one.", code="ticket_expired") from error
    except jwt.InvalidTokenError as error:
        raise NotFound("There is nothing at this address.", code="ticket_unknown") from error
    return UUID(claims["sub"]), UUID(claims["org"]) if claims["org"] else None
