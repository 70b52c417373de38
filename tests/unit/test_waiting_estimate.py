"""How long it will take: said only where there is ground, and never less than a turn for each one
ahead."""

from datetime import UTC, datetime, timedelta

import pytest

from app.participants.waiting import estimate

NOW = datetime(2026, 6, 18, 9, tzinfo=UTC)


def admitted(*minutes_ago: float) -> list[datetime]:
    return [NOW - timedelta(minutes=minutes) for minutes in minutes_ago]


@pytest.mark.parametrize(
    ("admissions", "place", "seconds"),
    [
        (admitted(), 1, None),
        (admitted(5), 1, None),
        (admitted(5, 15), 1, None),  # one pause is no pace
        (admitted(0, 10, 20), 1, 600),
        (admitted(4, 14, 24), 1, 360),  # four minutes of the turn have passed
        (admitted(4, 14, 24), 3, 1560),
        (admitted(60, 70, 80), 1, 0),  # it takes longer than usual: it cannot be less than now
        (admitted(60, 70, 80), 2, 600),  # but one ahead still takes a turn
        (admitted(0, 10, 20, 110), 1, 600),  # one long visit does not change the usual one
        (admitted(0, 0.1, 10, 10.1, 20), 1, 594),  # families come in together
        (admitted(0, 0.1, 0.2, 0.3), 1, None),
        (admitted(-1, 9, 19), 1, 600),  # clocks of two machines
    ],
)
def test_the_estimate(admissions: list[datetime], place: int, seconds: int | None) -> None:
    assert estimate(admissions, place=place, now=NOW) == seconds
