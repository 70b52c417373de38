"""What the table says of a figure follows from its numbers."""

import pytest

from tests.bench.figures import Figure, Goal, percentile, table


@pytest.mark.parametrize(
    ("figure", "ratio", "met"),
    [
        (Figure("a", "ms", 2.0, goal=Goal(2.0)), None, True),
        (Figure("a", "ms", 2.1, goal=Goal(2.0)), None, False),
        (Figure("a", "1/s", 60, 100, Goal(0.6, "ratio", at_least=True)), 0.6, True),
        (Figure("a", "1/s", 59, 100, Goal(0.6, "ratio", at_least=True)), 0.59, False),
        (Figure("a", "1/s", 1, 100, Goal(2, "ratio"), [1.0, 2.0, 9.0]), 2.0, True),
        (Figure("a", "ms", 1.0, goal=Goal(2, "ratio")), None, False),
        (Figure("a", "ms", 1.0), None, None),
    ],
)
def test_a_goal_is_held_against_its_number(
    figure: Figure, ratio: float | None, met: bool | None
) -> None:
    assert figure.ratio == ratio
    assert figure.is_met is met
    assert len(table([figure]).splitlines()) == 2


def test_percentiles_are_values_that_were_seen() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0
    assert percentile([1.0], 1) == 1.0
