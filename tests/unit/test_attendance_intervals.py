"""Stays of connections become time a person was there."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.attendance.intervals import Interval, interruptions, merge, seconds_late

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Connection:
    """A stay given in minutes after nine."""

    came: float
    went: float | None
    leave_reason: str | None = None

    @property
    def joined_at(self) -> datetime:
        """When it came."""
        return at(self.came)

    @property
    def left_at(self) -> datetime | None:
        """When it went."""
        return None if self.went is None else at(self.went)


def at(minutes: float) -> datetime:
    """Return a moment after nine."""
    return NINE + timedelta(minutes=minutes)


def test_a_reconnection_is_a_second_interval_and_one_interruption() -> None:
    """The gap between both is not attendance."""
    found = merge([Connection(0, 10, "disconnected"), Connection(12, 20, "left")])
    assert [(one.joined_at, one.left_at) for one in found] == [(at(0), at(10)), (at(12), at(20))]
    assert interruptions(found) == 1
    assert sum(one.seconds(at(99)) for one in found) == 18 * 60


def test_two_devices_at_once_count_once() -> None:
    """Also when the second came and went while the first stayed."""
    found = merge([Connection(0, 30, "left"), Connection(5, 10, "disconnected")])
    assert found == [Interval(at(0), at(30), "left", 2)]


def test_who_moved_to_another_device_was_there_all_the_time() -> None:
    """The new connection came before, or in the moment, the old one went."""
    found = merge([Connection(0, 10, "replaced"), Connection(10, None)])
    assert found == [Interval(at(0), None, None, 2)]


def test_a_device_that_takes_anothers_place_is_no_absence() -> None:
    """Prosody puts the first out before the second is in; anybody else who comes back came back."""
    stays = [Connection(0, 5, "replaced"), Connection(5.0001, 9, "left")]
    assert merge(stays) == [Interval(at(0), at(9), "left", 2)]
    kicked = [Connection(0, 5, "kicked"), Connection(5.0001, 9, "left")]
    assert len(merge(kicked)) == 2


def test_an_open_stay_is_not_closed_by_a_shorter_one() -> None:
    """Whatever the order in which they began."""
    assert merge([Connection(0, None), Connection(5, 10, "left")])[0].left_at is None
    assert merge([Connection(0, 10, "left"), Connection(5, None)])[0].left_at is None


def test_leaving_by_oneself_is_no_interruption() -> None:
    """Nor is the last loss, after which nobody came back."""
    assert interruptions(merge([Connection(0, 5, "left"), Connection(6, 7, "disconnected")])) == 0


def test_late_is_who_came_later_than_the_rule_allows() -> None:
    """On time, early and without a plan there is no lateness."""
    rule = {"planned_start": NINE, "late_after_s": 300}
    assert seconds_late(at(6), **rule) == 360  # type: ignore[arg-type]
    assert seconds_late(at(5), **rule) is None  # type: ignore[arg-type]
    assert seconds_late(at(-5), **rule) is None  # type: ignore[arg-type]
    assert seconds_late(None, **rule) is None  # type: ignore[arg-type]
    assert seconds_late(at(6), planned_start=None, late_after_s=300) is None


STAYS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 60)).map(lambda t: Connection(t[0], sum(t))),
    max_size=12,
)


@given(STAYS)
def test_merged_time_is_each_minute_once(stays: list[Connection]) -> None:
    """As counted minute by minute, and the intervals neither touch nor overlap."""
    found = merge(stays)
    minutes = {m for stay in stays for m in range(int(stay.came), int(stay.went or 0))}
    assert sum(one.seconds(NINE) for one in found) == 60 * len(minutes)
    assert sum(one.connections for one in found) == len(stays)
    for before, after in pairwise(found):
        assert before.left_at is not None
        assert before.left_at < after.joined_at
