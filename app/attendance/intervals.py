"""From the stays of connections to the time a person was there. Pure: no database, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

# A second device takes the place of the first: out and in, a moment apart, is no absence.
HANDED_OVER = timedelta(seconds=1)


class Stay(Protocol):
    """One stay of one connection in the room."""

    @property
    def joined_at(self) -> datetime:
        """When it came in."""

    @property
    def left_at(self) -> datetime | None:
        """When it was gone; None while it is inside."""

    @property
    def leave_reason(self) -> str | None:
        """Why it is gone."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A time during which at least one connection of a person was in the room.

    `left_at` is None while one still is. `reason` is that of the connection that left last;
    `connections` counts those that make up the interval.
    """

    joined_at: datetime
    left_at: datetime | None
    reason: str | None
    connections: int

    def seconds(self, now: datetime) -> float:
        """Return how long it lasted, or lasts until now."""
        return max((self.left_at or now) - self.joined_at, timedelta()).total_seconds()


def merge(stays: Iterable[Stay]) -> list[Interval]:
    """Return the intervals in order; what two devices did at the same time counts once."""
    merged: list[Interval] = []
    for stay in sorted(stays, key=lambda s: s.joined_at):
        last = merged[-1] if merged else None
        if last is None or _is_apart(last, stay):
            merged.append(Interval(stay.joined_at, stay.left_at, stay.leave_reason, 1))
        else:
            merged[-1] = _joined(last, stay)
    return merged


def interruptions(intervals: Sequence[Interval]) -> int:
    """Return how often the person was cut off and came back."""
    return sum(one.reason == "disconnected" for one in intervals[:-1])


def seconds_late(
    first: datetime | None, *, planned_start: datetime | None, late_after_s: int
) -> int | None:
    """Return by how much the first arrival missed the planned start; None when it did not, by
    more than `late_after_s`, or when there was no plan or no arrival."""
    if first is None or planned_start is None:
        return None
    late = int((first - planned_start).total_seconds())
    return late if late > late_after_s else None


def _is_apart(last: Interval, stay: Stay) -> bool:
    if last.left_at is None:
        return False
    bridged = HANDED_OVER if last.reason == "replaced" else timedelta()
    return stay.joined_at > last.left_at + bridged


def _joined(interval: Interval, stay: Stay) -> Interval:
    is_last = _ends_later(stay.left_at, interval.left_at)
    return Interval(
        interval.joined_at,
        stay.left_at if is_last else interval.left_at,
        stay.leave_reason if is_last else interval.reason,
        interval.connections + 1,
    )


def _ends_later(one: datetime | None, other: datetime | None) -> bool:
    """Compare two ends; one that is still to come is the later."""
    if one is None or other is None:
        return one is None
    return one > other
