"""The life of a recording as data. Terminal states accept nothing."""

from enum import StrEnum


class State(StrEnum):
    """Where a recording stands."""

    # Waits for consents, for a recorder, or for the room to take the order.
    REQUESTED = "requested"
    # Allowed, and the focus was asked for a recorder.
    STARTING = "starting"
    ACTIVE = "active"
    STOPPING = "stopping"
    # Nothing is recorded any more; there is a file.
    PROCESSING = "processing"
    FAILED = "failed"


class Step(StrEnum):
    """What can happen to a recording."""

    ALLOW = "allow"
    QUEUE = "queue"
    BEGIN = "begin"
    STOP = "stop"
    FINISH = "finish"
    FAIL = "fail"


_S = State
TRANSITIONS: dict[tuple[State, Step], State] = {
    (_S.REQUESTED, Step.ALLOW): _S.STARTING,
    # All recorders are busy: it waits for the next that is free.
    (_S.STARTING, Step.QUEUE): _S.REQUESTED,
    (_S.STARTING, Step.BEGIN): _S.ACTIVE,
    (_S.STARTING, Step.STOP): _S.STOPPING,
    (_S.ACTIVE, Step.STOP): _S.STOPPING,
    (_S.ACTIVE, Step.FINISH): _S.PROCESSING,
    (_S.STOPPING, Step.FINISH): _S.PROCESSING,
    (_S.REQUESTED, Step.FAIL): _S.FAILED,
    (_S.STARTING, Step.FAIL): _S.FAILED,
    (_S.STOPPING, Step.FAIL): _S.FAILED,
}
# At most one of a session is in one of these, which a unique index holds.
LIVE = frozenset({_S.REQUESTED, _S.STARTING, _S.ACTIVE, _S.STOPPING})
# A recorder may be in the room.
RUNNING = frozenset({_S.STARTING, _S.ACTIVE, _S.STOPPING})
# There may be something in which people are seen and heard.
WITH_CONTENT = frozenset({_S.STARTING, _S.ACTIVE, _S.STOPPING, _S.PROCESSING})


def target_of(state: str, step: Step) -> State | None:
    """Return the state `step` leads to, None where it makes no sense."""
    return TRANSITIONS.get((State(state), step))
