"""The life of a session is a table without holes."""

from itertools import product

import pytest

from app.errors import Conflict
from app.sessions.states import OVER, TRANSITIONS, State, Step, refusal, sources_of, target_of


@pytest.mark.parametrize(("state", "step"), list(product(State, Step)))
def test_every_pair_of_state_and_step_has_one_answer(state: State, step: Step) -> None:
    """It leads somewhere, or it is refused with a code that names the state."""
    if (state, step) in TRANSITIONS:
        assert state in sources_of(step)
        assert TRANSITIONS[state, step] == target_of(step)
    else:
        error = refusal(step, state)
        assert isinstance(error, Conflict)
        assert (error.code, error.field) == (f"session_{state}", "state")
        assert state not in sources_of(step)


@pytest.mark.parametrize("step", list(Step))
def test_a_step_leads_to_one_state_from_wherever_it_starts(step: Step) -> None:
    """A conditional UPDATE writes one target, so a step must have only one."""
    assert len({target for (_, taken), target in TRANSITIONS.items() if taken is step}) == 1


def test_what_is_over_accepts_nothing() -> None:
    """Terminal states are the ones no step leaves."""
    left = {state for state, _ in TRANSITIONS}
    assert set(State) - left == OVER


def test_every_state_but_the_first_is_reached() -> None:
    """`active` is reached by creating an immediate session too."""
    assert set(TRANSITIONS.values()) == set(State) - {State.SCHEDULED}
