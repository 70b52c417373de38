"""The life of an appointment as data. Terminal states accept nothing."""

from enum import StrEnum

from app.errors import Conflict


class Status(StrEnum):
    """Where an appointment stands."""

    SCHEDULED = "scheduled"
    ARRIVED = "arrived"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class Step(StrEnum):
    """What can happen to an appointment. Start, complete and cancel are its session's steps."""

    ARRIVE = "arrive"
    START = "start"
    COMPLETE = "complete"
    CANCEL = "cancel"
    NO_SHOW = "no_show"


_S = Status
TRANSITIONS: dict[tuple[Status, Step], Status] = {
    (_S.SCHEDULED, Step.ARRIVE): _S.ARRIVED,
    (_S.SCHEDULED, Step.START): _S.IN_PROGRESS,
    (_S.ARRIVED, Step.START): _S.IN_PROGRESS,
    (_S.IN_PROGRESS, Step.COMPLETE): _S.COMPLETED,
    (_S.SCHEDULED, Step.CANCEL): _S.CANCELLED,
    (_S.ARRIVED, Step.CANCEL): _S.CANCELLED,
    (_S.SCHEDULED, Step.NO_SHOW): _S.NO_SHOW,
    (_S.ARRIVED, Step.NO_SHOW): _S.NO_SHOW,
    (_S.IN_PROGRESS, Step.NO_SHOW): _S.NO_SHOW,
}
# What the session of an appointment can be, by the appointment's status; a test holds them to it.
SESSION_STATES: dict[Status, frozenset[str]] = {
    _S.SCHEDULED: frozenset({"scheduled"}),
    _S.ARRIVED: frozenset({"scheduled"}),
    _S.IN_PROGRESS: frozenset({"active"}),
    _S.COMPLETED: frozenset({"ended"}),
    _S.CANCELLED: frozenset({"cancelled"}),
    _S.NO_SHOW: frozenset({"ended", "cancelled"}),
}
NOT_STARTED = (_S.SCHEDULED, _S.ARRIVED)
OPEN = (*NOT_STARTED, _S.IN_PROGRESS)


def sources_of(step: Step) -> list[Status]:
    """Return the states from which `step` is possible."""
    return [status for (status, possible) in TRANSITIONS if possible is step]


def target_of(step: Step) -> Status:
    """Return the state `step` leads to; each step has one."""
    return next(target for (_, possible), target in TRANSITIONS.items() if possible is step)


def refusal(status: str) -> Conflict:
    """Say that nothing of the kind can be done to an appointment that stands there."""
    return Conflict(
        f"The appointment is {status.replace('_', ' ')}.",
        code=f"appointment_{status}",
        field="status",
    )
