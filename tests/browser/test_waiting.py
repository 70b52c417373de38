"""The waiting room with real clients and servers: a patient waits, and is let in or not."""

from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Arrive
from tests.browser.person import Person
from tests.stack_client import StackClient


@dataclass(frozen=True, slots=True)
class Waiting:
    """A doctor in the room and a patient who waits."""

    path: str
    doctor: Person
    patient: Person
    patient_row: dict[str, Any]


@pytest.fixture
def waiting(hospital: StackClient, person: Arrive) -> Waiting:
    """The patient is there first, which is of no use."""
    session = hospital.session(waiting_room=True)
    doctor_row, patient_row = (hospital.invite(session, role) for role in ("doctor", "patient"))
    patient = person(patient_row["link"])
    patient.enter()
    patient.wait_state("queue")
    doctor = person(doctor_row["link"])
    doctor.enter()
    doctor.wait_state("in-call")
    return Waiting(f"/sessions/{session['id']}/waiting", doctor, patient, patient_row)


def test_the_hospital_admits_and_the_call_begins(waiting: Waiting, hospital: StackClient) -> None:
    """By REST; and a reload later needs no second admission."""
    expect(waiting.patient.page.get_by_test_id("place")).to_have_text("You are next.")
    answer = hospital.call("POST", f"{waiting.path}/admit-next")
    assert answer.json()["participant_id"] == waiting.patient_row["id"], answer.text
    waiting.patient.wait_state("in-call")
    waiting.patient.wait_media()
    waiting.doctor.wait_media()
    waiting.patient.page.reload()
    waiting.patient.wait_state("in-call")
    waiting.patient.wait_media()


def test_the_doctor_admits_on_the_page(waiting: Waiting) -> None:
    """The list over the picture has one line, and then none."""
    page = waiting.doctor.page
    page.get_by_role("button", name="Let in: Some patient").click()
    waiting.patient.wait_state("in-call")
    waiting.patient.wait_media()
    expect(page.get_by_test_id("waiting")).to_be_hidden()


def test_a_denied_patient_reads_why(waiting: Waiting, hospital: StackClient) -> None:
    """And is let in after all, when somebody decides so."""
    who = waiting.patient_row["id"]
    message = "Your doctor will call you by telephone."
    hospital.call("POST", f"{waiting.path}/{who}/deny", json={"message": message})
    waiting.patient.wait_state("denied")
    expect(waiting.patient.page.get_by_test_id("message")).to_have_text(message)
    hospital.call("POST", f"{waiting.path}/{who}/admit")
    # The page loads itself again, so it cannot be asked in between.
    waiting.patient.page.wait_for_selector("body[data-state='lobby']")
    waiting.patient.enter()
    waiting.patient.wait_state("in-call")
