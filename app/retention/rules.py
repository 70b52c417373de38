"""How long an organisation keeps what, for each kind of visit: from its policy to moments."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_

from app.organisations.policy import VISIT_TYPES, Policy
from app.sessions.models import CareSession


@dataclass(frozen=True, slots=True)
class Group:
    """Sessions to which the same rules apply: those of one kind of visit, or (`visit_type` None)
    all whose kind has no rules of its own."""

    visit_type: str | None
    others: frozenset[str]
    policy: Policy

    def holds(self) -> ColumnElement[bool]:
        """Return the condition that a session is one of them."""
        if self.visit_type is not None:
            return CareSession.visit_type == self.visit_type
        own = CareSession.visit_type
        return or_(own.is_(None), own.not_in(sorted(self.others)))

    def recordings_before(self, now: datetime) -> datetime:
        """Return before when a session must be over for its recordings to go."""
        return now - timedelta(days=self.policy.keep_recordings_days)

    def files_before(self, now: datetime) -> datetime:
        """Return the same for what was shared in it."""
        return now - timedelta(days=self.policy.keep_files_days)

    def contacts_before(self, now: datetime) -> datetime:
        """Return the same for contacts and news."""
        return now - timedelta(days=self.policy.keep_contacts_days)

    def records_before(self, now: datetime) -> datetime:
        """Return the same for all the rest, which goes last: it says what the others were."""
        kept = self.policy
        days = (
            kept.keep_recordings_days,
            kept.keep_files_days,
            kept.keep_contacts_days,
            kept.keep_records_days,
        )
        return now - timedelta(days=max(days))


def visit_types(settings: Mapping[str, Any]) -> Iterator[str | None]:
    """Yield the kinds of visit that have rules of their own, after None for all others."""
    yield None
    yield from sorted(settings.get(VISIT_TYPES, {}))


def group_of(settings: Mapping[str, Any], visit_type: str | None) -> Group:
    """Return the group of one kind of visit, or of all that have no rules of their own; each
    session is in exactly one. A kind that has none any more goes by those of all."""
    others = frozenset(settings.get(VISIT_TYPES, {})) if visit_type is None else frozenset()
    return Group(visit_type, others, Policy.of(settings, visit_type))
