"""Jibri's `metadata.json`, which lies beside a file: read as what it is, somebody else's text.

Written by Jibri's FileRecordingJibriService: `meeting_url`, `participants` as the recorder's
browser saw them in the end, and whatever came with the request, which is how our `recording_id`
gets there (prosody-plugins/mod_teleconsult_recording.lua).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

MISSING, UNREADABLE = "metadata_missing", "metadata_unreadable"
# More people than any room holds.
MOST_PEOPLE = 1000


@dataclass(frozen=True, slots=True)
class Noted:
    """What it says. `seen`: ids of people, None for each whose id is none."""

    recording_id: UUID | None
    seen: Sequence[str | None]
    findings: Sequence[str]


def read(text: bytes) -> Noted:
    """Return what there is to know. Nothing in it is an error: a file without it is a file."""
    if not text:
        return Noted(None, (), (MISSING,))
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Noted(None, (), (UNREADABLE,))
    if not isinstance(told, dict):
        return Noted(None, (), (UNREADABLE,))
    people = told.get("participants")
    is_list = isinstance(people, list)
    seen = [_person(one) for one in people[:MOST_PEOPLE]] if isinstance(people, list) else []
    return Noted(_id(told.get("recording_id")), seen, () if is_list else (UNREADABLE,))


def _person(told: Any) -> str | None:
    user = told.get("user") if isinstance(told, dict) else None
    found = _id(user.get("id")) if isinstance(user, dict) else None
    return str(found) if found else None


def _id(told: Any) -> UUID | None:
    try:
        return UUID(told)
    except (ValueError, TypeError, AttributeError):
        return None
