"""The life of a recorder's file as data."""

from enum import StrEnum


class State(StrEnum):
    """Where a file stands."""

    # Its bytes are coming.
    ARRIVING = "arriving"
    # All of it is here, and a worker looks at it.
    PROCESSING = "processing"
    AVAILABLE = "available"
    # Somebody may be in it who had not agreed: nobody sees it until a person has decided.
    WITHHELD = "withheld"
    # Of no recording that we know: kept, and shown to nobody until we do.
    ORPHANED = "orphaned"
    # Nothing can be made of it. What came is kept.
    FAILED = "failed"
    DELETED = "deleted"


class Step(StrEnum):
    """What can happen to a file."""

    RECEIVE = "receive"
    # What came is not what the recorder has: it is sent again.
    RESTART = "restart"
    PASS = "pass"
    WITHHOLD = "withhold"
    RELEASE = "release"
    SET_ASIDE = "set_aside"
    # Its recording has become known.
    RECOGNISE = "recognise"
    FAIL = "fail"
    # What it failed for is mended.
    RETRY = "retry"
    DELETE = "delete"


_S = State
TRANSITIONS: dict[tuple[State, Step], State] = {
    (_S.ARRIVING, Step.RECEIVE): _S.PROCESSING,
    (_S.PROCESSING, Step.RESTART): _S.ARRIVING,
    (_S.PROCESSING, Step.PASS): _S.AVAILABLE,
    (_S.PROCESSING, Step.WITHHOLD): _S.WITHHELD,
    # Somebody took their consent back; of what is withheld a person has more to decide then.
    (_S.AVAILABLE, Step.WITHHOLD): _S.WITHHELD,
    (_S.WITHHELD, Step.WITHHOLD): _S.WITHHELD,
    (_S.WITHHELD, Step.RELEASE): _S.AVAILABLE,
    (_S.PROCESSING, Step.SET_ASIDE): _S.ORPHANED,
    (_S.ORPHANED, Step.RECOGNISE): _S.PROCESSING,
    (_S.PROCESSING, Step.FAIL): _S.FAILED,
    (_S.FAILED, Step.RETRY): _S.PROCESSING,
    **{(state, Step.DELETE): _S.DELETED for state in _S if state is not _S.DELETED},
}
# Something is still to be done about it.
UNFINISHED = frozenset({_S.ARRIVING, _S.PROCESSING})
# There is something to see in it, whoever may.
READY = frozenset({_S.AVAILABLE, _S.WITHHELD})


def sources_of(step: Step) -> list[State]:
    """Return the states from which `step` is possible."""
    return [state for (state, possible) in TRANSITIONS if possible is step]


def target_of(step: Step) -> State:
    """Return the state `step` leads to; each step has one."""
    return next(target for (_, possible), target in TRANSITIONS.items() if possible is step)
