"""The life of a shared file as data. What is deleted accepts nothing."""

from enum import StrEnum

from app.errors import Conflict


class State(StrEnum):
    """Where a file stands."""

    UPLOADING = "uploading"
    SCANNING = "scanning"
    AVAILABLE = "available"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    DELETED = "deleted"


class Step(StrEnum):
    """What can happen to a file."""

    RECEIVE = "receive"
    PASS = "pass"
    REFUSE = "refuse"
    QUARANTINE = "quarantine"
    DELETE = "delete"


_LIVING = [state for state in State if state is not State.DELETED]
TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.UPLOADING, Step.RECEIVE): State.SCANNING,
    (State.SCANNING, Step.PASS): State.AVAILABLE,
    (State.SCANNING, Step.REFUSE): State.REFUSED,
    (State.SCANNING, Step.QUARANTINE): State.QUARANTINED,
    **{(state, Step.DELETE): State.DELETED for state in _LIVING},
}


def sources_of(step: Step) -> list[State]:
    """Return the states from which `step` is possible."""
    return [state for (state, possible) in TRANSITIONS if possible is step]


def target_of(step: Step) -> State:
    """Return the state `step` leads to; each step has one."""
    return next(target for (_, possible), target in TRANSITIONS.items() if possible is step)


def refusal(state: str) -> Conflict:
    """Say why this cannot be done to a file that stands there."""
    return Conflict(f"The file is {state}.", code=f"file_{state}", field="state")
