"""Hours of rest: when a message that can wait is sent. Pure; all moments carry a time zone."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

# A reminder that comes later than this before the start helps nobody to be ready.
STILL_USEFUL = timedelta(minutes=15)
JUST_BEFORE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of rest by the clock on the wall. Equal ends mean that there are none."""

    begins: time
    ends: time
    zone: ZoneInfo

    @staticmethod
    def of(begins: str, ends: str, zone: str) -> "Quiet":
        """Return the hours from what is stored: `HH:MM`, and a name of the tz database."""
        return Quiet(time.fromisoformat(begins), time.fromisoformat(ends), ZoneInfo(zone))

    def span(self, at: datetime) -> tuple[datetime, datetime] | None:
        """Return when the rest around this moment begins and ends, in UTC; None when it is none."""
        if self.begins == self.ends:
            return None
        today = at.astimezone(self.zone).date()
        for day in (today - timedelta(days=1), today):
            last_day = day if self.begins < self.ends else day + timedelta(days=1)
            begin = datetime.combine(day, self.begins, self.zone).astimezone(UTC)
            end = datetime.combine(last_day, self.ends, self.zone).astimezone(UTC)
            if begin <= at < end:
                return begin, end
        return None


def send_at(wanted: datetime, quiet: Quiet, *, useful_until: datetime | None) -> datetime:
    """Return when to send what can wait: not while the person rests, unless waiting makes it
    useless."""
    span = quiet.span(wanted)
    if span is None or (useful_until is not None and span[1] > useful_until):
        return wanted
    return span[1]


def remind_at(start: datetime, before: timedelta, quiet: Quiet) -> datetime:
    """Return when to remind. In hours of rest it is done at their end if that leaves time enough
    before the start, else just before they begin."""
    wanted = start - before
    span = quiet.span(wanted)
    if span is None:
        return wanted
    begin, end = span
    return end if end + STILL_USEFUL <= start else begin - JUST_BEFORE
