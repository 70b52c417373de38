"""When a message that can wait is sent: hours of rest, also where the clock jumps."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import from_unix
from app.notifications.quiet import STILL_USEFUL, Quiet, remind_at, send_at

NIGHT = Quiet.of("21:00", "07:00", "Europe/Berlin")
CLOCK = st.times().map(lambda t: t.strftime("%H:%M"))
# Zones with odd jumps: half an hour, southern, at midnight.
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]
)
MOMENTS = st.integers(1_735_689_600, 1_830_297_600).map(from_unix)
HOURS = st.builds(Quiet.of, CLOCK, CLOCK, ZONES)


def moment(text: str) -> datetime:
    """Return a moment by the clock of Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)


def wall(at: datetime, quiet: Quiet) -> datetime:
    """Return what the clock on the wall shows."""
    return at.astimezone(quiet.zone).replace(tzinfo=None)


@given(MOMENTS, HOURS)
def test_what_can_wait_never_comes_in_hours_of_rest(at: datetime, quiet: Quiet) -> None:
    """It comes at once or at their end, within a day and a jump, never earlier."""
    sent = send_at(at, quiet, useful_until=None)
    assert quiet.span(sent) is None
    assert at <= sent <= at + timedelta(hours=25)
    if sent != at:
        assert quiet.span(sent - timedelta(seconds=1)) is not None


@given(MOMENTS, HOURS)
def test_rest_is_by_the_clock_on_the_wall(at: datetime, quiet: Quiet) -> None:
    """Except in the hours around a jump, where the wall shows a time twice or not at all."""
    near = [at + timedelta(hours=hour) for hour in range(-26, 27)]
    if len({one.astimezone(quiet.zone).utcoffset() for one in near}) > 1:
        return
    time = wall(at, quiet).time()
    if quiet.begins <= quiet.ends:
        rests = quiet.begins <= time < quiet.ends
    else:
        rests = time >= quiet.begins or time < quiet.ends
    assert (quiet.span(at) is not None) == rests


@given(MOMENTS, st.integers(900, 172_800), ZONES)
def test_a_reminder_comes_before_the_start_and_wakes_nobody(
    start: datetime, before_s: int, zone: str
) -> None:
    """Whatever the hour of the session, and in the nights of the jumps."""
    quiet = Quiet.of("21:00", "07:00", zone)
    at = remind_at(start, timedelta(seconds=before_s), quiet)
    assert at + timedelta(minutes=15) <= start
    assert quiet.span(at) is None


@pytest.mark.parametrize(
    ("start", "before_h", "expected"),
    [
        ("2026-06-10 12:00", 1, "2026-06-10 11:00"),
        # At the end of the rest, when that still helps …
        ("2026-06-10 07:30", 1, "2026-06-10 07:00"),
        ("2026-06-10 22:00", 24, "2026-06-10 07:00"),
        # … and on the evening before when it does not.
        ("2026-06-10 07:10", 1, "2026-06-09 20:59"),
        # The night of 29 March has nine hours, that of 25 October eleven.
        ("2026-03-29 07:30", 1, "2026-03-29 07:00"),
        ("2026-10-25 07:05", 1, "2026-10-24 20:59"),
    ],
)
def test_reminders_around_a_night(start: str, before_h: int, expected: str) -> None:
    """By examples."""
    assert remind_at(moment(start), timedelta(hours=before_h), NIGHT) == moment(expected)


def test_what_would_come_too_late_does_not_wait() -> None:
    """The session is before the end of the rest."""
    night, start = moment("2026-06-10 02:00"), moment("2026-06-10 06:00")
    assert send_at(night, NIGHT, useful_until=start) == night
    assert send_at(night, NIGHT, useful_until=moment("2026-06-10 08:00") - STILL_USEFUL) == moment(
        "2026-06-10 07:00"
    )


def test_equal_ends_mean_no_rest() -> None:
    """Who wants everything at once says so."""
    assert Quiet.of("08:00", "08:00", "UTC").span(moment("2026-06-10 08:00")) is None
