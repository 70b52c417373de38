"""When a session ends by itself, told by facts alone; the clock is a value."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.organisations.policy import Policy, merged
from app.visits.rules import LOOK_AGAIN, Ending, Facts, ending, is_overrun, next_look

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
END = START + timedelta(minutes=30)
POLICY = Policy()
OPEN = Facts(
    state="active",
    planned_start=START,
    planned_end=END,
    started_at=START,
    overrun_at=None,
    is_somebody_inside=False,
    last_left_at=None,
    is_patient_excused=True,
)
EMERGENCY = replace(OPEN, planned_start=None, planned_end=None, is_emergency=True)
WAITING = replace(OPEN, state="scheduled", started_at=None, is_patient_excused=False)


def at(minutes: float) -> datetime:
    """Return a moment by its distance from the planned start."""
    return START + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("facts", "minutes", "rule"),
    [
        # Nobody in it: fifteen minutes after the plan, not before.
        (OPEN, 44.9, None),
        (OPEN, 45, Ending.EMPTY),
        # Whoever left last counts, if that was later.
        (replace(OPEN, last_left_at=at(40)), 45, None),
        (replace(OPEN, last_left_at=at(40)), 55, Ending.EMPTY),
        # An early leave closes nothing within the plan: they may come back.
        (replace(OPEN, last_left_at=at(5)), 30, None),
        # Begun long after its plan: not closed before the doctor is in.
        (replace(OPEN, started_at=at(300)), 301, None),
        (replace(OPEN, started_at=at(300)), 315, Ending.EMPTY),
        # Somebody inside: four hours after the plan.
        (replace(OPEN, is_somebody_inside=True), 269.9, None),
        (replace(OPEN, is_somebody_inside=True), 270, Ending.FORGOTTEN),
        # Without a plan: nobody has come yet is no empty room, everybody left is.
        (replace(OPEN, planned_start=None, planned_end=None), 60, None),
        (replace(OPEN, planned_start=None, planned_end=None), 240, Ending.FORGOTTEN),
        (replace(OPEN, planned_start=None, planned_end=None, last_left_at=at(20)), 35,
         Ending.EMPTY),
        # An emergency is not cut off, however long it takes; it ends when everybody has left.
        (replace(EMERGENCY, is_somebody_inside=True), 9000, None),
        (replace(EMERGENCY, last_left_at=at(500)), 514, None),
        (replace(EMERGENCY, last_left_at=at(500)), 515, Ending.EMPTY),
        (EMERGENCY, 240, Ending.FORGOTTEN),
        # A patient who never came, whether the doctor had opened the room or not.
        (WAITING, 29.9, None),
        (WAITING, 30, Ending.NO_SHOW),
        (replace(OPEN, is_patient_excused=False, is_somebody_inside=True), 30, Ending.NO_SHOW),
        # One who stood at the door is no no-show; what nobody opened is forgotten some day.
        (replace(WAITING, is_patient_excused=True), 200, None),
        (replace(WAITING, is_patient_excused=True), 270, Ending.FORGOTTEN),
    ],
)  # fmt: skip
def test_what_closes_a_session(facts: Facts, minutes: float, rule: Ending | None) -> None:
    """With the defaults of the policy, to the second."""
    assert ending(facts, POLICY, at(minutes)) == rule


def test_it_is_told_once_that_a_visit_goes_on_past_its_plan() -> None:
    """While somebody is inside, after the pause the policy grants."""
    inside = replace(OPEN, is_somebody_inside=True)
    assert not is_overrun(inside, POLICY, at(29.9))
    assert is_overrun(inside, POLICY, at(30))
    assert not is_overrun(inside, replace(POLICY, overrun_after_s=600), at(39.9))
    assert not is_overrun(OPEN, POLICY, at(30))
    assert not is_overrun(replace(inside, overrun_at=at(30)), POLICY, at(31))


MINUTES = st.integers(-600, 1500)
MOMENTS = st.none() | MINUTES.map(at)
FACTS = st.builds(
    Facts,
    state=st.sampled_from(["scheduled", "active"]),
    planned_start=MOMENTS,
    planned_end=MOMENTS,
    started_at=MOMENTS,
    overrun_at=st.none(),
    is_somebody_inside=st.booleans(),
    last_left_at=MOMENTS,
    is_patient_excused=st.booleans(),
    is_emergency=st.booleans(),
)


@settings(max_examples=500, deadline=None)
@given(facts=FACTS, now=MINUTES, later=st.integers(0, 86_400))
def test_no_rule_applies_before_the_next_look(facts: Facts, now: int, later: int) -> None:
    """As long as nothing happens to the session, looking then is early enough."""
    start, end = facts.planned_start, facts.planned_end
    assume(end is None or (start is not None and start < end))
    moment = at(now)
    if ending(facts, POLICY, moment) or is_overrun(facts, POLICY, moment):
        return
    look = next_look(facts, POLICY, moment)
    assert look > moment
    between = min(moment + timedelta(seconds=later), look - timedelta(seconds=1.5))
    if between > moment:
        assert ending(facts, POLICY, between) is None
        assert not is_overrun(facts, POLICY, between)


def test_a_session_ahead_is_not_looked_at_before_its_time() -> None:
    """Thousands are planned; only what is on is looked at every few minutes."""
    ahead = replace(WAITING, is_patient_excused=False)
    assert next_look(ahead, POLICY, at(-5000)) == START
    assert next_look(ahead, POLICY, START) == START + LOOK_AGAIN


@pytest.mark.parametrize(
    ("settings", "visit_type", "field", "value"),
    [
        ({}, None, "late_after_s", 300),
        ({"late_after_s": 60}, None, "late_after_s", 60),
        ({"late_after_s": 60}, "follow-up", "late_after_s", 60),
        ({"visit_types": {"follow-up": {"late_after_s": 9}}}, "follow-up", "late_after_s", 9),
        ({"visit_types": {"follow-up": {"late_after_s": 9}}}, "other", "late_after_s", 300),
        ({"reminders_s": [60]}, None, "reminders_s", (60,)),
        ({"sign_in": {"issuer": "x"}}, None, "waiting_room", True),
    ],
)
def test_a_policy_is_the_defaults_with_what_was_decided(
    settings: dict[str, Any], visit_type: str | None, field: str, value: Any
) -> None:
    """For one kind of visit first, then for all; other settings are passed over."""
    assert getattr(Policy.of(settings, visit_type), field) == value


def test_null_takes_a_decision_back() -> None:
    """RFC 7396, also inside a kind of visit; what was not named stays."""
    before = {"late_after_s": 60, "visit_types": {"a": {"late_after_s": 9}, "b": {}}, "x": 1}
    changes = {"late_after_s": None, "visit_types": {"a": {"late_after_s": None}, "b": None}}
    assert merged(before, changes) == {"visit_types": {"a": {}}, "x": 1}
