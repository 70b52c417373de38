"""Who was there, as the hospital reads it: from what Prosody told, by the clock of the room."""

import csv
import io
import time
from datetime import timedelta
from typing import Any

import pytest

from app.attendance import totals
from app.clock import utc_now
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.prosody import Prosody, Someone, invite


@pytest.fixture
def session(alice: Hospital) -> dict[str, Any]:
    """A session that was to begin ten minutes ago and to end five minutes ago."""
    began = utc_now() - timedelta(minutes=10)
    return alice.new_session(
        planned_start=began.isoformat(), planned_end=(began + timedelta(minutes=5)).isoformat()
    )


@pytest.fixture
def doctor(services: Services, alice: Hospital, session: dict[str, Any]) -> Someone:
    """Its doctor."""
    return invite(services, alice, session, "doctor")


@pytest.fixture
def patient(services: Services, alice: Hospital, session: dict[str, Any]) -> Someone:
    """Its patient."""
    return invite(services, alice, session, "patient")


def ago(seconds: float) -> float:
    """Return a moment of the room's clock."""
    return time.time() - seconds


def read(hospital: Hospital, session: dict[str, Any]) -> dict[str, Any]:
    """Return the attendance, people by their id under `by_id`."""
    answer = hospital.get(f"/sessions/{session['id']}/attendance")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    return {**body, "by_id": {one["participant_id"]: one for one in body["people"]}}


def test_a_lost_connection_is_two_intervals_and_one_interruption(
    alice: Hospital, prosody: Prosody, session: dict[str, Any], doctor: Someone, patient: Someone
) -> None:
    """The time between is not attendance; who came with a second device is not there twice."""
    prosody.tell(
        doctor.joined(at=ago(600)),
        patient.joined(at=ago(500)),
        patient.left("disconnected", at=ago(400)),
        patient.joined(at=ago(370), connection="c2"),
        patient.joined(at=ago(360), connection="c3"),
        patient.left("replaced", at=ago(360), connection="c2"),
        patient.left("left", at=ago(270), connection="c3"),
    )
    found = read(alice, session)["by_id"][patient.id]
    assert found["outcome"] == "attended"
    assert found["interruptions"] == 1
    assert found["present_s"] == pytest.approx(200, abs=1)
    assert [one["connections"] for one in found["intervals"]] == [1, 2]
    assert [one["leave_reason"] for one in found["intervals"]] == ["disconnected", "left"]


def test_lateness_and_overrun_are_by_the_plan(
    alice: Hospital, prosody: Prosody, session: dict[str, Any], doctor: Someone, patient: Someone
) -> None:
    """The doctor was in time, the patient three hundred and some seconds late, both stayed on."""
    prosody.tell(doctor.joined(at=ago(590)), patient.joined(at=ago(200)))
    found = read(alice, session)
    assert found["by_id"][doctor.id]["late_s"] is None
    assert found["by_id"][patient.id]["late_s"] == pytest.approx(400, abs=5)
    assert found["by_id"][patient.id]["outcome"] == "present"
    assert found["by_id"][patient.id]["last_left_at"] is None
    assert found["overrun_s"] == pytest.approx(300, abs=10)


def test_who_never_came_is_expected_and_then_absent(
    alice: Hospital, prosody: Prosody, session: dict[str, Any], doctor: Someone, patient: Someone
) -> None:
    """Until the session is over, or the person was removed, they may still come."""
    prosody.tell(doctor.joined(at=ago(500)))
    assert read(alice, session)["by_id"][patient.id]["outcome"] == "expected"
    assert alice.post(f"/sessions/{session['id']}/end").status_code in (200, 202)
    found = read(alice, session)["by_id"][patient.id]
    assert (found["outcome"], found["present_s"], found["intervals"]) == ("absent", 0, [])


def test_a_removed_person_who_never_came_is_absent(
    alice: Hospital, session: dict[str, Any], patient: Someone
) -> None:
    """Nobody waits for them any more."""
    alice.delete(f"/sessions/{session['id']}/participants/{patient.id}")
    assert read(alice, session)["by_id"][patient.id]["outcome"] == "absent"


def test_the_table_has_a_line_per_interval_and_no_formula(
    services: Services, alice: Hospital, prosody: Prosody, session: dict[str, Any], doctor: Someone
) -> None:
    """A name must not run in the spreadsheet of whoever opens it."""
    alice.invite(session["id"], "relative", display_name="=1+1", reference="+x")
    prosody.tell(doctor.joined(at=ago(500)), doctor.left(at=ago(400)))
    prosody.tell(doctor.joined(at=ago(300), connection="c2"))
    answer = alice.get(f"/sessions/{session['id']}/attendance.csv")
    assert answer.content_type.startswith("text/csv")
    assert f"attendance-{session['id']}.csv" in answer.headers["Content-Disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["role"] for line in lines] == ["doctor", "doctor", "relative"]
    assert lines[0]["left_at"].endswith("Z")
    assert lines[1]["left_at"] == ""
    assert (lines[2]["display_name"], lines[2]["reference"]) == ("'=1+1", "'+x")


@pytest.mark.parametrize("form", ["attendance", "attendance.csv"])
def test_another_hospital_sees_nothing(
    charlie: Hospital, session: dict[str, Any], form: str
) -> None:
    """A 404, as if there were no such session."""
    answer = charlie.get(f"/sessions/{session['id']}/{form}")
    assert (answer.status_code, answer.get_json()["code"]) == (404, "session_not_found")


def figures(alice: Hospital) -> dict[str, float]:
    """Return the figures about finished stays."""
    lines = alice.app.test_client().get("/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    wanted = ("call_duration_seconds_count", "call_duration_seconds_sum", "connection_failures")
    return {name: float(value) for name, value in pairs if name in wanted}


def test_counting_stays_up_changes_no_figure(
    services: Services, alice: Hospital, prosody: Prosody, doctor: Someone, patient: Someone
) -> None:
    """Before, between and after: a stay is in the totals or beside them, never in both."""
    before = figures(alice)
    prosody.tell(
        doctor.joined(at=ago(500)),
        doctor.left(at=ago(400)),
        patient.joined(at=ago(450)),
        patient.left("disconnected", at=ago(400)),
    )
    grown = figures(alice)
    assert grown["call_duration_seconds_count"] == before["call_duration_seconds_count"] + 2
    assert grown["connection_failures"] == before["connection_failures"] + 1
    with services.database.begin() as db:
        assert totals.count(db, limit=1) == 1
    assert figures(alice) == pytest.approx(grown)
    counted = None
    while counted != 0:
        with services.database.begin() as db:
            counted = totals.count(db)
    assert figures(alice) == pytest.approx(grown)
