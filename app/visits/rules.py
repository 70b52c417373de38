"""When a session ends by itself or is past its time: the organisation's rules as plain functions.

All of them are about what is true now, so a sweep that was down only has to look again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.organisations.policy import Policy
from app.sessions.states import State

# A session whose time has come is looked at as often at least: somebody may come back into the
# room, or the policy may change, and neither says so here.
LOOK_AGAIN = timedelta(minutes=5)
SOONEST = timedelta(seconds=1)


class Ending(StrEnum):
    """Which rule closes the session; kept as its `end_reason`."""

    NO_SHOW = "no_show"
    FORGOTTEN = "forgotten"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules want to know of one open session."""

    state: str
    planned_start: datetime | None
    planned_end: datetime | None
    started_at: datetime | None
    overrun_at: datetime | None
    is_somebody_inside: bool
    last_left_at: datetime | None
    # Not of an appointment, or the patient was there, in the room or at its door.
    is_patient_excused: bool
    is_emergency: bool = False

    @property
    def is_active(self) -> bool:
        """Whether the room is open."""
        return self.state == State.ACTIVE


def no_show_at(facts: Facts, policy: Policy) -> datetime | None:
    """Return when the patient counts as not having come."""
    if facts.is_patient_excused or facts.planned_start is None:
        return None
    return facts.planned_start + timedelta(seconds=policy.no_show_after_s)


def forgotten_at(facts: Facts, policy: Policy) -> datetime | None:
    """Return when the session counts as forgotten, whoever is inside. An emergency that people
    entered is never forgotten: it ends when it is empty."""
    if facts.is_emergency and (facts.is_somebody_inside or facts.last_left_at is not None):
        return None
    latest = _latest(facts.planned_end or facts.planned_start, facts.started_at)
    return latest and latest + timedelta(seconds=policy.end_forgotten_after_s)


def empty_at(facts: Facts, policy: Policy) -> datetime | None:
    """Return when an open room is closed that nobody is in: never before the planned end, because
    people come back, and not for a room without a plan that nobody has entered yet."""
    is_waited_for = facts.planned_end is None and facts.last_left_at is None
    if not facts.is_active or facts.is_somebody_inside or is_waited_for:
        return None
    latest = _latest(facts.planned_end, facts.last_left_at, facts.started_at)
    return latest and latest + timedelta(seconds=policy.end_empty_after_s)


def overrun_at(facts: Facts, policy: Policy) -> datetime | None:
    """Return when it is told that people are inside past the plan; it is told once."""
    is_over = facts.overrun_at is not None or facts.planned_end is None
    if not facts.is_active or not facts.is_somebody_inside or is_over:
        return None
    assert facts.planned_end is not None
    return facts.planned_end + timedelta(seconds=policy.overrun_after_s)


def ending(facts: Facts, policy: Policy, now: datetime) -> Ending | None:
    """Return the rule that closes the session now."""
    due = {
        Ending.NO_SHOW: no_show_at(facts, policy),
        Ending.FORGOTTEN: forgotten_at(facts, policy),
        Ending.EMPTY: empty_at(facts, policy),
    }
    return next((rule for rule, at in due.items() if at is not None and at <= now), None)


def is_overrun(facts: Facts, policy: Policy, now: datetime) -> bool:
    """Tell whether it must be told now that the session is past its plan."""
    at = overrun_at(facts, policy)
    return at is not None and at <= now


def next_look(facts: Facts, policy: Policy, now: datetime) -> datetime:
    """Return when a rule may next apply, if nothing closes the session now.

    Every moment here is the earliest possible: who is inside may leave now.
    """
    if not facts.is_active and facts.planned_start is not None and facts.planned_start > now:
        return facts.planned_start
    moments = [
        no_show_at(facts, policy),
        forgotten_at(facts, policy),
        empty_at(facts, policy),
        overrun_at(facts, policy),
    ]
    if facts.is_somebody_inside:
        after = _latest(facts.planned_end, now)
        assert after is not None
        moments.append(after + timedelta(seconds=policy.end_empty_after_s))
    soonest = min([now + LOOK_AGAIN, *(at for at in moments if at is not None and at > now)])
    return max(soonest, now + SOONEST)


def _latest(*moments: datetime | None) -> datetime | None:
    return max((at for at in moments if at is not None), default=None)
