"""What one message says, whatever carries it: in the person's language, and no more than it must.

It names the person and the hospital, nobody else and no reason: messages are read by others.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, get_timezone_name

from app.notifications.kinds import RULES, Channel, Kind

FOLDER = Path(__file__).parent / "templates"
DEFAULT_LANGUAGE = "en"
# Day before month, as everywhere but in one country: 3/2 would be read both ways.
LOCALE_OF = {"en": "en_GB", "de": "de", "fr": "fr"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`id` is the row's, `sequence` the session's version. `link` is '' when there is nothing to
    open any more."""

    id: UUID
    kind: Kind
    channel: Channel
    session_id: UUID
    session_reference: str | None
    sequence: int
    participant_id: UUID
    reference: str | None
    organisation: str
    name: str
    email: str
    phone: str
    locale: str
    timezone: str
    link: str
    planned_start: datetime | None
    planned_end: datetime | None

    @property
    def language(self) -> str:
        """Return which of our languages the person gets: English when we do not speak theirs."""
        language = self.locale.replace("_", "-").partition("-")[0].lower()
        return language if language in _everything() else DEFAULT_LANGUAGE

    @property
    def subject(self) -> str:
        """Return the one line that says what it is about."""
        return self._sentence("subject")

    @property
    def lead(self) -> str:
        """Return the sentence that says all."""
        return self._sentence("lead")

    @property
    def is_urgent(self) -> bool:
        """Tell whether it is about a call that goes on now."""
        return RULES[self.kind].urgent

    @property
    def when(self) -> str:
        """Return the planned start by the person's clock, all of it in words, or ''."""
        start = self._local_start
        if start is None:
            return ""
        locale = LOCALE_OF[self.language]
        zone = get_timezone_name(start, "long", locale=locale)
        return f"{format_date(start, 'full', locale=locale)}, {start:%H:%M} ({zone})"

    @property
    def short_when(self) -> str:
        """Return the same for a phone."""
        start = self._local_start
        if start is None:
            return ""
        date = format_skeleton("MMMd", start, locale=LOCALE_OF[self.language])
        return f"{date} {start:%H:%M} {start.tzname()}"

    @property
    def _local_start(self) -> datetime | None:
        start = self.planned_start
        return None if start is None else start.astimezone(ZoneInfo(self.timezone))

    def _sentence(self, name: str) -> str:
        text: str = kind_words(self.language, self.kind)[name]
        return text.replace("{organisation}", self.organisation)


def words(language: str) -> Mapping[str, str]:
    """Return the sentences of one language that all messages share."""
    return MappingProxyType(_everything()[language]["common"])


def kind_words(language: str, kind: Kind) -> Mapping[str, str]:
    """Return the sentences of one kind of message: `subject`, `lead` and, for a phone, `short`."""
    return MappingProxyType(_everything()[language]["kinds"][kind])


@cache
def _everything() -> Mapping[str, Any]:
    return MappingProxyType(json.loads((FOLDER / "words.json").read_text(encoding="utf-8")))
