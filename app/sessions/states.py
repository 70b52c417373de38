"""The life of a session as data. Terminal states accept nothing."""

from enum import StrEnum

from app.appointments.states import Step as AppointmentStep
from app.errors import Conflict


class State(StrEnum):
    """Where a session stands."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    ENDED = "ended"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """What can be done to a session."""

    START = "start"
    END = "end"
    CANCEL = "cancel"


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.SCHEDULED, Step.START): State.ACTIVE,
    (State.SCHEDULED, Step.CANCEL): State.CANCELLED,
    (State.ACTIVE, Step.END): State.ENDED,
}
OVER = frozenset({State.ENDED, State.CANCELLED})
# What a step means for the session's appointment, if it has one.
FOLLOWED_BY = {
    Step.START: AppointmentStep.START,
    Step.END: AppointmentStep.COMPLETE,
    Step.CANCEL: AppointmentStep.CANCEL,
}


def sources_of(step: Step) -> list[State]:
    """Return the states from which `step` is possible."""
    return [state for (state, possible) in TRANSITIONS if possible is step]


def target_of(step: Step) -> State:
    """Return the state `step` leads to; each step has one."""
    return next(target for (_, possible), target in TRANSITIONS.items() if possible is step)


def refusal(step: Step, state: str) -> Conflict:
    """Say why `step` is impossible from `state`."""
    return Conflict(
        f"A session that is {state} cannot {step}.", code=f"session_{state}", field="state"
    )
