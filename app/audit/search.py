"""Looking through the audit log, newest first, in time that does not grow with the years.

A request looks at a bounded number of entries along one index (see migration 0103). Where these do
not fill the page, it is shorter than asked for, and its cursor says where to go on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.audit.models import AuditEntry
from app.web.paging import Page, read_cursor, write_cursor

# So many entries one request looks at.
MOST = 2000
# Most pages are filled by the last month; only the others look into the partitions of seven years.
RECENTLY = timedelta(days=31)
SKEW = timedelta(days=1)  # how much the clocks of two machines may differ
# Moments that anybody can ask for lie between; see `app.web.schemas.Moment`.
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
LOWEST = UUID(int=0)

# Which way of the function leads to what meets a condition, those with the fewest entries first.
WAYS = {
    "session_id": "session",
    "participant_id": "participant",
    "actor_id": "actor",
    "outcome": "refused",
    "action": "action",
    "actor_kind": "kind",
}
# Ways that lead to so few entries that the last month does not fill a page.
FEW = ("session", "participant")
# So many in every hospital that a look at all entries soon meets them: no way leads to these.
BUSY = {("outcome", "done"), ("actor_kind", "participant"), ("actor_kind", "room")}
PAGE = text("""
    SELECT * FROM teleconference.audit_page(:way, :organisation_id, :since, :at, :id, :limit, :most,
      :session_id, :participant_id, :actor_id, :actor_kind, :action, :outcome)""")


@dataclass(frozen=True, slots=True)
class Question:
    """Which entries of an organisation are asked for: from `since` on, and before `at` and `id` in
    the order of pages, those that meet all of `wanted`."""

    organisation_id: UUID
    wanted: Mapping[str, Any]
    since: datetime
    at: datetime
    id: UUID

    def is_met_by(self, entry: AuditEntry) -> bool:
        """Tell whether an entry meets all conditions."""
        return all(getattr(entry, name) == value for name, value in self.wanted.items())


def ask(
    organisation_id: UUID,
    *,
    cursor: str | None,
    since: datetime | None,
    until: datetime | None,
    **conditions: Any,
) -> Question:
    """Return a question of conditions, of which None is none.

    Raises:
        Invalid: the cursor is not one of ours.
    """
    end = (until or LAST, LOWEST)
    at, id_ = min(end, read_cursor(cursor)) if cursor else end
    wanted = {name: value for name, value in conditions.items() if value is not None}
    ids = [wanted[name] for name in ("session_id", "participant_id") if name in wanted]
    earliest = max([since or FIRST, *(_made(one) - SKEW for one in ids)])
    return Question(organisation_id, wanted, earliest, at, id_)


def look(
    db: Session, question: Question, *, now: datetime, limit: int, most: int = MOST
) -> Page[AuditEntry]:
    """Return a page of the entries that are asked for.

    Args:
        most: how many entries to look at, if conditions are left that no way meets by itself.
    """
    way, met = _way(question.wanted)
    values = {
        "way": way,
        "organisation_id": question.organisation_id,
        "at": question.at,
        "id": question.id,
        "limit": limit + 1,
        "most": max(limit + 1, most if question.wanted.keys() - {met} else 0),
        **{name: question.wanted.get(name) for name in WAYS},
    }
    page: Page[AuditEntry] = Page([], None)
    for since in _spans(question, way, now):
        found = select(AuditEntry).from_statement(PAGE)
        page = _page(db.scalars(found, {**values, "since": since}).all(), question, limit)
        if page.next_cursor is not None:
            break
    return page


def _way(wanted: Mapping[str, Any]) -> tuple[str, str]:
    """Return the way, and the condition that is met along it."""
    for name, way in WAYS.items():
        if name in wanted and (name, wanted[name]) not in BUSY:
            return way, name
    return "all", ""


def _spans(question: Question, way: str, now: datetime) -> list[datetime]:
    """Return since when to look: lately, unless few entries are looked for; and then since ever."""
    lately = min(max(question.at, FIRST + RECENTLY), now) - RECENTLY
    if way in FEW or lately <= question.since:
        return [question.since]
    return [lately, question.since]


def _page(rows: Sequence[AuditEntry], question: Question, limit: int) -> Page[AuditEntry]:
    found = [row for row in dict.fromkeys(rows) if question.is_met_by(row)]
    if len(found) > limit:
        return Page(found[:limit], write_cursor(found[limit - 1], "at"))
    # A row more than was found is where the looking ended.
    ended = rows[-1] if len(rows) > len(found) else None
    return Page(found, write_cursor(ended, "at") if ended else None)


def _made(id_: UUID) -> datetime:
    """Return since when there can be something of this id: ours tell when they were made."""
    if id_.version != 7:
        return FIRST + SKEW
    # Anybody can ask for an id of the year 10889.
    return datetime.fromtimestamp(min(id_.int >> 80, 2**47) / 1000, UTC)
