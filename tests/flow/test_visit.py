"""A visit on the real stack, from the plan to its end by itself: real Prosody, real relay."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.clock import utc_now
from tests.flow.clinic import Clinic, until
from tests.flow.xmpp_client import logged_in

TOLD_WITHIN_S = 10.0
VISIT_TYPE = "short"
LASTING = timedelta(seconds=8)


@pytest.fixture
def patience(clinic: Clinic) -> None:
    """The hospital closes an empty room of a short visit a second after its plan."""
    tag = clinic.do("GET", "/organisation").headers["ETag"]
    policy = {"visit_types": {VISIT_TYPE: {"end_empty_after_s": 1}}}
    clinic.do("PATCH", "/organisation", json={"policy": policy}, headers={"If-Match": tag})


def planned(clinic: Clinic) -> dict[str, Any]:
    """Make an appointment that has just begun, with a doctor and a patient of the directory."""
    now = utc_now()
    return clinic.hospital.make(
        "/appointments",
        {
            "patient_reference": "patient-1",
            "provider_reference": "doctor-1",
            "visit_type": VISIT_TYPE,
            "start": now.isoformat(),
            "end": (now + LASTING).isoformat(),
        },
    )


def status(clinic: Clinic, made: dict[str, Any]) -> dict[str, Any]:
    """Read how the visit stands."""
    return dict(clinic.do("GET", f"/visits/{made['id']}/status").json())


@pytest.mark.usefixtures("patience")
def test_a_visit_begins_with_its_doctor_and_ends_when_everybody_left(clinic: Clinic) -> None:
    """Nobody calls the API in between: the people come and go, and the relay does the rest."""
    made = planned(clinic)
    room = clinic.do("GET", f"/sessions/{made['session_id']}").json()["room_name"]
    doctor = next(one for one in made["people"] if one["role"] == "doctor")

    async def come_and_go() -> None:
        token = clinic.token(doctor["link"].rsplit("/", 1)[1])
        async with logged_in(clinic.port, token) as client:
            await client.enter(room)
            began = lambda: status(clinic, made)["status"] == "in_progress"  # noqa: E731
            assert await asyncio.to_thread(until, began, TOLD_WITHIN_S)
            assert status(clinic, made)["counts"]["present"] == 1

    assert status(clinic, made)["status"] == "scheduled"
    asyncio.run(come_and_go())
    within_s = LASTING.total_seconds() + TOLD_WITHIN_S
    assert until(lambda: status(clinic, made)["status"] == "completed", within_s)
    ended = status(clinic, made)
    assert (ended["session_state"], ended["reason"]) == ("ended", "empty")
    assert ended["ended_at"] > ended["planned_end"]
