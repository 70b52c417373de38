"""Who may not enter, or not yet: what the person sees on the real page with the real client."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from app.clock import utc_now
from tests.browser.conftest import Arrive
from tests.browser.person import Person, until
from tests.proxy import Proxy
from tests.stack_client import StackClient

# EARLY_JOIN_S of the stack: how long before its planned start a session opens.
OPENS_BEFORE_S = 900
NO_CAMERA = """
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  if (wanted.video) throw new DOMException('Permission denied', 'NotAllowedError');
  return real(wanted);
};
"""


@pytest.fixture
def cut(network: Proxy) -> Iterator[Proxy]:
    """A network that is whole again after the test, whatever happened."""
    yield network
    network.refuse()
    network.allow()


def enter(person: Arrive, row: dict[str, Any]) -> Person:
    """Open the link, press the button, and be in the call."""
    someone = person(row["link"])
    someone.enter()
    someone.wait_state("in-call")
    return someone


def path_of(row: dict[str, Any]) -> str:
    return f"/sessions/{row['session_id']}/participants/{row['id']}"


def remove(hospital: StackClient, row: dict[str, Any]) -> None:
    assert hospital.call("DELETE", path_of(row)).ok


def title(someone: Person) -> str:
    return someone.page.get_by_test_id("notice-title").inner_text()


def test_a_person_removed_while_offline_finds_out_on_return(
    hospital: StackClient, person: Arrive, cut: Proxy
) -> None:
    """The open tab keeps its old token; it does not help, and the doctor stays in the call."""
    session = hospital.session()
    doctor_row, patient_row = (hospital.invite(session, role) for role in ("doctor", "patient"))
    doctor = enter(person, doctor_row)
    patient = enter(person, patient_row)

    cut.refuse()
    remove(hospital, patient_row)
    cut.allow()

    patient.wait_state("removed", deadline_s=40)
    until(lambda: hospital.read(session)["present"] == [doctor_row["id"]], "the doctor alone")
    doctor.wait_state("in-call")


def test_an_old_tab_that_slept_through_the_removal_stays_out(
    hospital: StackClient, person: Arrive
) -> None:
    """A laptop lid closed over a call: the page runs again later, with everything it knew."""
    session = hospital.session()
    doctor_row, patient_row = (hospital.invite(session, role) for role in ("doctor", "patient"))
    enter(person, doctor_row)
    patient = enter(person, patient_row)
    devtools = patient.context.new_cdp_session(patient.page)

    devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    remove(hospital, patient_row)
    until(lambda: hospital.read(session)["present"] == [doctor_row["id"]], "the doctor alone")
    devtools.send("Page.setWebLifecycleState", {"state": "active"})

    patient.wait_state("removed")


def test_a_second_tab_takes_over(hospital: StackClient, person: Arrive) -> None:
    """The same person on another device: the newer one is in, the older says where it went, and
    can fetch the call back."""
    session = hospital.session()
    row = hospital.invite(session, "doctor")
    first = enter(person, row)
    second = enter(person, row)
    first.wait_state("replaced")
    assert hospital.read(session)["present"] == [row["id"]]

    first.page.get_by_test_id("move-here").click()
    first.wait_state("in-call")
    second.wait_state("replaced")


def test_a_link_opened_after_the_end(hospital: StackClient, person: Arrive) -> None:
    """In the language of the person."""
    session = hospital.session()
    row = hospital.invite(session, "patient")
    assert hospital.call("POST", f"/sessions/{session['id']}/end").ok

    late = person(row["link"], locale="de-DE")

    late.wait_state("ended")
    assert title(late) == "Das Gespräch ist beendet"
    assert late.page.get_by_test_id("enter").is_hidden()


@pytest.mark.parametrize(
    ("path", "state"), [("/link", "link-revoked"), ("", "removed")], ids=["replaced", "removed"]
)
def test_a_link_that_is_dead(hospital: StackClient, person: Arrive, path: str, state: str) -> None:
    """Each with its own words."""
    row = hospital.invite(hospital.session(), "patient")
    assert hospital.call("POST" if path else "DELETE", path_of(row) + path).ok
    person(row["link"]).wait_state(state)


def test_too_early_opens_by_itself(hospital: StackClient, person: Arrive) -> None:
    """The page counts down and then shows its button, without a reload."""
    start = utc_now() + timedelta(seconds=OPENS_BEFORE_S + 4)
    row = hospital.invite(hospital.session(planned_start=start.isoformat()), "doctor")

    early = person(row["link"])
    early.wait_state("too-early")
    assert early.page.get_by_test_id("countdown").is_visible()
    early.page.evaluate("window.sameDocument = true")

    early.wait_state("lobby")
    assert early.page.evaluate("window.sameDocument")
    early.enter()
    early.wait_state("in-call")


def test_the_patient_waits_and_comes_in_by_themselves(
    hospital: StackClient, person: Arrive
) -> None:
    """Nobody waits in the room: the doctor's entry opens it, and the patient's page goes on."""
    session = hospital.session()
    doctor_row, patient_row = (hospital.invite(session, role) for role in ("doctor", "patient"))
    patient = person(patient_row["link"])
    patient.enter()
    patient.wait_state("waiting")
    assert hospital.read(session)["present"] == []

    doctor = enter(person, doctor_row)

    patient.wait_state("in-call")
    doctor.wait_media()
    patient.wait_media()


def test_without_a_camera_one_is_heard(hospital: StackClient, person: Arrive) -> None:
    """The browser says no: the page says what to do, and offers to enter with sound alone."""
    session = hospital.session()
    doctor_row, patient_row = (hospital.invite(session, role) for role in ("doctor", "patient"))
    doctor = enter(person, doctor_row)
    patient = person(patient_row["link"])
    patient.context.add_init_script(NO_CAMERA)
    patient.page.reload()
    patient.enter()
    patient.wait_state("devices-refused")

    patient.page.get_by_test_id("sound-only").click()

    patient.wait_state("in-call")
    patient.wait_media()
    until(lambda: doctor.media().audio_energy > 0, "the doctor hears the patient", doctor.story)
    assert doctor.media().frames_decoded == 0


def test_a_full_room_says_so_and_takes_the_next_when_there_is_a_place(
    hospital: StackClient, person: Arrive
) -> None:
    """One place, two people: the second tries again once the first has left."""
    session = hospital.session(capacity=1)
    first_row, second_row = (hospital.invite(session, role) for role in ("doctor", "nurse"))
    first = enter(person, first_row)
    second = person(second_row["link"])
    second.enter()
    second.wait_state("room-full")

    first.page.get_by_test_id("leave").click()
    first.wait_state("left")
    until(lambda: hospital.read(session)["present"] == [], "nobody present")
    second.page.get_by_test_id("try-again").click()

    second.wait_state("in-call")
