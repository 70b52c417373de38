"""Two people in one call: the seed's acceptance tests on the real client and real servers."""

from dataclasses import dataclass
from typing import Any

import pytest

from app.localstack.supervisor import LocalStack
from tests.browser.conftest import Arrive
from tests.browser.person import Person, until
from tests.proxy import Proxy
from tests.stack_client import StackClient


@dataclass(frozen=True, slots=True)
class Call:
    """A doctor and a patient in a running call."""

    session: dict[str, Any]
    doctor: Person
    patient: Person
    doctor_row: dict[str, Any]
    patient_row: dict[str, Any]


@pytest.fixture
def call(hospital: StackClient, person: Arrive) -> Call:
    """TST-TC001-1 and TST-TC001-2 as the starting point of the other tests."""
    session = hospital.session()
    doctor_row, patient_row = (hospital.invite(session, role) for role in ("doctor", "patient"))
    doctor = person(doctor_row["link"])
    doctor.enter()
    doctor.wait_state("in-call")
    patient = person(patient_row["link"])
    patient.enter()
    patient.wait_state("in-call")
    doctor.wait_media()
    patient.wait_media()
    return Call(session, doctor, patient, doctor_row, patient_row)


def removed_path(call: Call) -> str:
    return f"/sessions/{call.session['id']}/participants/{call.patient_row['id']}"


def resumed(someone: Person) -> bool:
    """Whether the page has lost its signalling and has it back, in the meeting it was in."""
    return "signalling" in [event.get("what") for event in someone.events("restored")]


def wait_resumed(someone: Person) -> None:
    until(lambda: resumed(someone), "signalling restored", someone.story)
    assert len(someone.events("joined")) == 1


def test_doctor_and_patient_see_and_hear_each_other(call: Call, hospital: StackClient) -> None:
    """TST-TC001-1, TST-TC001-2: the doctor starts, the patient joins the running session."""
    until(lambda: len(hospital.read(call.session)["present"]) == 2, "two people present")
    assert call.doctor.page.get_by_test_id("people").inner_text().count("\n") >= 1


def test_ending_the_session_ends_it_for_everybody(call: Call, hospital: StackClient) -> None:
    """TST-TC001-3: both pages say so, and both links are useless."""
    answer = hospital.call("POST", f"/sessions/{call.session['id']}/end", json={"reason": "done"})
    assert answer.status_code == 200, answer.text
    call.doctor.wait_state("ended")
    call.patient.wait_state("ended")
    for row in (call.doctor_row, call.patient_row):
        refused = hospital.call("POST", f"/j/{row['link'].rsplit('/', 1)[1]}/token")
        assert (refused.status_code, refused.json()["code"]) == (410, "session_ended")
    until(lambda: hospital.read(call.session)["present"] == [], "nobody present")


def test_a_paramedic_added_to_a_running_session_joins(
    call: Call, hospital: StackClient, person: Arrive
) -> None:
    """TST-TC003-1."""
    row = hospital.invite(call.session, "paramedic")
    paramedic = person(row["link"])
    paramedic.enter()
    paramedic.wait_state("in-call")
    until(lambda: len(hospital.read(call.session)["present"]) == 3, "three people present")
    until(lambda: len(call.doctor.events("participant-joined")) == 2, "the doctor sees both")


def test_a_removed_participant_is_out_for_good(
    call: Call, hospital: StackClient, person: Arrive
) -> None:
    """TST-TC003-2: disconnected at once; link, page and reload stay out; the doctor stays in."""
    answer = hospital.call("DELETE", removed_path(call))
    assert answer.status_code == 200, answer.text
    call.patient.wait_state("removed")

    call.patient.page.reload()
    call.patient.wait_state("removed")
    again = person(call.patient_row["link"])
    again.wait_state("removed")
    assert call.doctor.state == "in-call"
    until(
        lambda: hospital.read(call.session)["present"] == [call.doctor_row["id"]],
        "only the doctor present",
    )


def test_a_lost_websocket_comes_back_by_itself(call: Call, network: Proxy) -> None:
    """TST-TC004-1, reset: same room, same role, media never stops, the other side sees nothing."""
    before = call.patient.media()
    assert network.reset() > 0
    wait_resumed(call.patient)
    assert call.patient.state == "in-call"
    call.patient.wait_media(more_than=before)
    assert call.doctor.events("participant-left") == []


def test_a_network_that_is_gone_for_five_seconds_comes_back(call: Call, network: Proxy) -> None:
    """TST-TC004-1, refused: the pages reconnect once they can, with media flowing meanwhile."""
    before = call.doctor.media()
    network.refuse()
    try:
        call.patient.page.wait_for_timeout(5000)  # the length of the fault, not a wait for success
        assert not resumed(call.patient)
    finally:
        network.allow()
    wait_resumed(call.patient)
    wait_resumed(call.doctor)
    call.doctor.wait_media(more_than=before)
    assert call.doctor.events("participant-left") == []


def test_a_reload_brings_the_person_back_without_a_click(call: Call, hospital: StackClient) -> None:
    """Same room, same role, new token; media flows again."""
    call.patient.page.reload()
    call.patient.wait_state("in-call")
    call.patient.wait_media()
    call.doctor.wait_media(more_than=call.doctor.media())
    until(lambda: len(hospital.read(call.session)["present"]) == 2, "two people present")


def test_a_killed_prosody_does_not_end_the_call(
    call: Call, hospital: StackClient, stack: LocalStack
) -> None:
    """Media goes on while it is down; both pages rejoin within 30 s of its return."""
    before = call.doctor.media()
    stack.part("prosody").kill()
    call.doctor.wait_media(more_than=before)
    stack.part("prosody").restart()
    for someone in (call.doctor, call.patient):
        until(lambda who=someone: len(who.events("joined")) >= 2, "rejoined", someone.story, 30)  # type: ignore[misc]
        someone.wait_state("in-call")
    call.doctor.wait_media()
    until(lambda: len(hospital.read(call.session)["present"]) == 2, "two people present")
