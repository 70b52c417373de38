"""A day of an organisation, in its own time zone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def bounds(day: date, zone: str) -> tuple[datetime, datetime]:
    """Return where a day begins and ends; it may have 23 or 25 hours."""
    first, last = (
        datetime.combine(d, time(), ZoneInfo(zone)) for d in (day, day + timedelta(days=1))
    )
    return first.astimezone(UTC), last.astimezone(UTC)


def today(zone: str, now: datetime) -> date:
    """Return which day it is there."""
    return now.astimezone(ZoneInfo(zone)).date()
