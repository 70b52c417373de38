"""Recording with everybody's consent, with the real client and a recorder that writes a file."""

from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Arrive
from tests.browser.person import Person, until
from tests.stack_client import StackClient

STOPS_WITHIN_S = 2.0
REFUSED = "Nothing is recorded: somebody did not agree."


def enter(person: Arrive, row: dict[str, Any]) -> Person:
    """Come into the call."""
    someone = person(row["link"])
    someone.enter()
    someone.wait_state("in-call")
    return someone


def says(someone: Person, text: str) -> None:
    """Wait until the page says this of the recording."""
    expect(someone.page.get_by_test_id("recording-state")).to_contain_text(text, timeout=20_000)


def record(doctor: Person) -> None:
    """Press the doctor's button."""
    doctor.page.get_by_test_id("record").click()


def answer(someone: Person, button: str) -> None:
    """Answer the question that has come up in the call."""
    someone.page.get_by_test_id(button).click(timeout=20_000)


def test_nobody_is_recorded_who_has_not_agreed(hospital: StackClient, person: Arrive) -> None:
    """RQ-TC007: one refuses, and nothing starts; all agree, and it does; a third is asked first;
    one takes it back, and it stops."""
    session = hospital.session()
    rows = {role: hospital.invite(session, role) for role in ("doctor", "patient", "nurse")}
    doctor, patient = enter(person, rows["doctor"]), enter(person, rows["patient"])
    until(lambda: len(hospital.read(session)["present"]) == 2, "two people present")
    doctor.page.get_by_test_id("panel-button").click()

    record(doctor)
    answer(doctor, "call-agree")
    answer(patient, "call-refuse")
    for someone in (doctor, patient):
        says(someone, REFUSED)

    changes_their_mind(hospital, session, rows["patient"])
    record(doctor)
    for someone in (doctor, patient):
        says(someone, "This call is being recorded.")
        assert "recorder" not in someone.page.get_by_test_id("people").inner_text()

    nurse = person(rows["nurse"]["link"])
    expect(nurse.page.get_by_test_id("enter")).to_be_visible()
    nurse.enter()
    nurse.wait_state("consent")
    assert len(hospital.read(session)["present"]) == 2
    nurse.page.get_by_test_id("agree").click()
    nurse.wait_state("in-call")
    says(nurse, "This call is being recorded.")

    patient.page.get_by_test_id("withdraw").click()
    until(lambda: not is_recorded(hospital, session), "the end", patient.story, STOPS_WITHIN_S)
    for someone in (doctor, patient, nurse):
        says(someone, "somebody took back their agreement")


def changes_their_mind(hospital: StackClient, session: dict[str, Any], row: dict[str, Any]) -> None:
    """Tell the hospital on the phone that it is all right after all."""
    texts = hospital.call("GET", "/consent-texts").json()["items"]
    sha = next(text["sha256"] for text in texts if text["language"] == "en")
    body = {"participant_id": row["id"], "act": "given", "channel": "phone", "text_sha256": sha}
    hospital.make(f"/sessions/{session['id']}/consents", body)


def is_recorded(hospital: StackClient, session: dict[str, Any]) -> bool:
    """Whether a recorder is in the room, as far as the focus has said."""
    items = hospital.call("GET", f"/sessions/{session['id']}/recordings").json()["items"]
    return items[0]["state"] in ("starting", "active", "stopping")
