"""The life of a recording as data."""

from enum import StrEnum


class State(StrEnum):
    """Where a recording stands."""

    # Waits for consents, for a recorder, or for the room to take the order.
    REQUESTED = "requested"
    # Allowed, and the focus was asked for a recorder.
    STARTING = "starting"
    ACTIVE = "active"
    STOPPING = "stopping"
    # Nothing is recorded any more; the recorder's file is fetched and looked at.
    PROCESSING = "processing"
    # There is a file to see, or one that is withheld.
    AVAILABLE = "available"
    # There is nothing, or what was recorded is lost.
    FAILED = "failed"
    # Its time was over, or somebody deleted it: nobody can read it any more, ever.
    EXPIRED = "expired"
    DELETED = "deleted"


class Step(StrEnum):
    """What can happen to a recording."""

    ALLOW = "allow"
    QUEUE = "queue"
    BEGIN = "begin"
    STOP = "stop"
    FINISH = "finish"
    FAIL = "fail"
    KEEP = "keep"
    FIND = "find"
    EXPIRE = "expire"
    DELETE = "delete"


_S = State
# Nothing is recorded any more, and there may be something of it. Of one that failed, too: what came
# is kept.
_KEPT = (_S.PROCESSING, _S.AVAILABLE, _S.FAILED)
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
    (_S.PROCESSING, Step.KEEP): _S.AVAILABLE,
    (_S.PROCESSING, Step.FAIL): _S.FAILED,
    # A recorder that was thought lost hands over its file after all.
    (_S.FAILED, Step.FIND): _S.PROCESSING,
    **{(state, Step.EXPIRE): _S.EXPIRED for state in _KEPT},
    **{(state, Step.DELETE): _S.DELETED for state in _KEPT},
}
# At most one of a session is in one of these, which a unique index holds.
LIVE = frozenset({_S.REQUESTED, _S.STARTING, _S.ACTIVE, _S.STOPPING})
# A recorder may be in the room.
RUNNING = frozenset({_S.STARTING, _S.ACTIVE, _S.STOPPING})
# There is nothing any more.
OVER = frozenset({_S.EXPIRED, _S.DELETED})
# There may be something in which people are seen and heard.
WITH_CONTENT = frozenset({_S.STARTING, _S.ACTIVE, _S.STOPPING, _S.PROCESSING, _S.AVAILABLE})


def target_of(state: str, step: Step) -> State | None:
    """Return the state `step` leads to, None where it makes no sense."""
    return TRANSITIONS.get((State(state), step))
