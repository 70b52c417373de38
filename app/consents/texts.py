"""The texts people are asked with: an organisation's own where it has put one, else ours.

A text is known by the SHA-256 of its exact characters, and so is what somebody agreed to. Of each
language the newest version counts. Whoever agreed to an older one is asked again.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.consents.models import ConsentText

RECORDING = "recording"
PURPOSES = (RECORDING,)
LANGUAGES = ("en", "de", "fr")
OURS = 0
FILE = Path(__file__).parent / "texts.json"


@dataclass(frozen=True, slots=True)
class Text:
    """One text in one language; `is_current`: nobody is asked with another any more."""

    purpose: str
    language: str
    version: int
    text: str
    sha256: str
    is_current: bool = True


def digest(text: str) -> str:
    """Return what a text is known by."""
    return sha256(text.encode()).hexdigest()


@cache
def ours(purpose: str, language: str) -> Text:
    """Return the text of this release."""
    text: str = json.loads(FILE.read_text(encoding="utf-8"))[purpose][language]
    return Text(purpose, language, OURS, text, digest(text))


def current(db: Session, organisation_id: UUID, purpose: str) -> dict[str, Text]:
    """Return the texts that count now, by language."""
    return {
        language: own[-1]
        if (own := _own(db, organisation_id, purpose, language))
        else ours(purpose, language)
        for language in LANGUAGES
    }


def in_force(
    db: Session, organisation_id: UUID, purpose: str, language: str, *, at: datetime
) -> Text:
    """Return the text that counted at a moment, in one language."""
    own = _own(db, organisation_id, purpose, language, until=at)
    return own[-1] if own else ours(purpose, language)


def find(db: Session, organisation_id: UUID, purpose: str, sha: str) -> Text | None:
    """Return the text with this hash, current or not; None: nobody was ever shown such a text. An
    organisation may have gone back to an earlier one: then it is the version that counts now."""
    found = None
    for language in LANGUAGES:
        own = _own(db, organisation_id, purpose, language)
        for text in (replace(ours(purpose, language), is_current=not own), *own):
            if text.sha256 == sha and not (found and found.is_current):
                found = text
    return found


def standing(act: str | None, language: str | None, sha: str | None, own: str | None) -> str:
    """Return where somebody stands who last did `act` with a text: `given`, `refused`, `withdrawn`,
    or `missing`, which it also is when the text they agreed to does not count any more.

    Args:
        own: the hash of the organisation's newest text in this language, None: it has none.
    """
    if act is None or language is None:
        return "missing"
    if act == "given" and sha != (own or ours(RECORDING, language).sha256):
        return "missing"
    return act


def _own(
    db: Session,
    organisation_id: UUID,
    purpose: str,
    language: str,
    *,
    until: datetime | None = None,
) -> list[Text]:
    """Return an organisation's versions in one language, oldest first; those there were until a
    moment, if one is given."""
    theirs = select(ConsentText).where(
        ConsentText.organisation_id == organisation_id,
        ConsentText.purpose == purpose,
        ConsentText.language == language,
    )
    if until is not None:
        theirs = theirs.where(ConsentText.created_at <= until)
    rows = db.scalars(theirs.order_by(ConsentText.version)).all()
    return [
        Text(purpose, language, row.version, row.text, row.sha256, row is rows[-1]) for row in rows
    ]
