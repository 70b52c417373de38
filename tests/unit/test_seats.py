"""The one rule of who may enter, in the order in which reasons are told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.seats import EARLY_JOIN_S, NOW, a_seat

SOON = NOW + timedelta(seconds=EARLY_JOIN_S)
# From the last reason to the first: each added one hides those before it.
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("too-early", {"session_state": "scheduled", "planned_start": SOON + timedelta(seconds=1)}),
    ("link-expired", {"link_expires_at": NOW}),
    ("link-revoked", {"link_revoked_at": NOW}),
    ("removed", {"participant_state": "removed"}),
    ("session-ended", {"session_state": "ended"}),
]


def barrier(**facts: Any) -> str:
    """Return what keeps this seat's person out now."""
    return a_seat(**facts).barrier(early_join_s=EARLY_JOIN_S, now=NOW)


def test_an_open_session_has_no_barrier() -> None:
    """The plain case."""
    assert barrier() == ""


@pytest.mark.parametrize(("code", "fault"), FAULTS)
def test_each_reason_alone_keeps_out(code: str, fault: dict[str, Any]) -> None:
    """One fact each."""
    assert barrier(**fault) == code


@pytest.mark.parametrize("last", range(len(FAULTS)))
def test_what_is_final_is_told_before_what_will_pass(last: int) -> None:
    """All lesser reasons hold as well, and the greatest is told."""
    facts: dict[str, Any] = {}
    for _, fault in FAULTS[: last + 1]:
        facts |= fault
    assert barrier(**facts) == FAULTS[last][0]


def test_a_cancelled_session_says_so() -> None:
    """Cancelled is not ended."""
    assert barrier(session_state="cancelled") == "session-cancelled"


def test_the_door_opens_early_join_s_before_the_plan_to_the_second() -> None:
    """Not a second earlier, and not a second later."""
    assert barrier(session_state="scheduled", planned_start=SOON) == ""
    later = SOON + timedelta(seconds=1)
    assert barrier(session_state="scheduled", planned_start=later) == "too-early"


def test_a_session_that_was_started_before_its_time_is_open() -> None:
    """Starting is the decision; the plan only opens the door by itself."""
    assert barrier(session_state="active", planned_start=NOW + timedelta(days=1)) == ""


def test_a_link_works_until_the_moment_it_expires() -> None:
    """The last instant before is still good."""
    assert barrier(link_expires_at=NOW + timedelta(microseconds=1)) == ""


def test_a_session_without_a_plan_has_no_opening_time() -> None:
    """None, not a guess."""
    assert a_seat(planned_start=None).opens_at(EARLY_JOIN_S) is None
    planned = a_seat(planned_start=datetime(2026, 1, 1, 9, tzinfo=UTC))
    assert planned.opens_at(900) == datetime(2026, 1, 1, 8, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("role", "kind", "is_host"),
    [
        ("doctor", "consultation", True),
        ("nurse", "consultation", True),
        ("patient", "consultation", False),
        ("paramedic", "consultation", False),
        ("paramedic", "emergency", True),
        ("observer", "emergency", False),
    ],
)
def test_a_host_is_who_may_be_alone_in_the_room(role: str, kind: str, is_host: bool) -> None:
    """It follows from the permission, not from the role's name."""
    assert a_seat(role=role, session_kind=kind).is_host == is_host
    granted = a_seat(role="patient", participant_permissions={"enter_without_host": True})
    assert granted.is_host
