"""Seats made by hand, for tests of what is pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.participants.seats import Seat

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EARLY_JOIN_S = 900
_SEAT = Seat(
    organisation_id=UUID(int=1),
    organisation_name="Alice Hospital",
    organisation_permissions={},
    session_id=UUID(int=2),
    session_kind="consultation",
    session_state="active",
    room_name="abcdefghijklmnopqrst",
    capacity=10,
    planned_start=None,
    planned_end=None,
    participant_id=UUID(int=3),
    role="patient",
    participant_state="invited",
    display_name="Bob",
    locale="en",
    participant_permissions={},
    link_id=UUID(int=4),
    link_expires_at=NOW + timedelta(days=7),
    link_revoked_at=None,
    host_present=False,
)


def a_seat(**facts: Any) -> Seat:
    """Return a patient's seat in an open session, with these facts changed."""
    return replace(_SEAT, **facts)
