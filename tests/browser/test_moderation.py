"""What moderators do, as the real client sees it: mute, ask, moderate, appoint, write, end."""

from typing import Any

from tests.browser.conftest import Arrive
from tests.browser.person import Person, until
from tests.stack_client import StackClient


class Clinic:
    """A doctor and a patient in a running call, and the hospital's program."""

    def __init__(self, hospital: StackClient, person: Arrive) -> None:
        self.hospital = hospital
        self.session = hospital.session()
        self.rows = {role: hospital.invite(self.session, role) for role in ("doctor", "patient")}
        self.doctor, self.patient = (self._enter(person, role) for role in self.rows)
        until(lambda: len(hospital.read(self.session)["present"]) == 2, "two people present")

    def _enter(self, person: Arrive, role: str) -> Person:
        someone = person(self.rows[role]["link"])
        someone.enter()
        someone.wait_state("in-call")
        return someone

    @property
    def path(self) -> str:
        """Where the API knows the session."""
        return f"/sessions/{self.session['id']}"

    @property
    def patients_path(self) -> str:
        """Where the API knows the patient."""
        return f"{self.path}/participants/{self.rows['patient']['id']}"

    def do(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        """Have the hospital do something, confirmed by the room."""
        answer = self.hospital.call(method, path, json=body if body is not None else {})
        assert answer.status_code == 200, answer.text


BUTTONS = {"audio": "mic", "video": "camera"}


def is_muted(someone: Person, kind: str) -> bool:
    """Whether somebody's own microphone or camera is off, as the client reports it."""
    return someone.page.get_by_test_id(BUTTONS[kind]).get_attribute("data-on") == "false"


def press(someone: Person, kind: str) -> None:
    """Press the button of the microphone or of the camera."""
    someone.page.get_by_test_id(BUTTONS[kind]).click()


def wait_muted(someone: Person, kind: str, muted: bool) -> None:
    """Wait until it is off, or on."""
    until(lambda: is_muted(someone, kind) is muted, f"{kind} muted: {muted}", someone.story)


def test_devices_are_muted_moderated_and_asked_for(hospital: StackClient, person: Arrive) -> None:
    """Mute one; moderate, and a press of the button is of no use; ask, and it is."""
    call = Clinic(hospital, person)
    wait_muted(call.patient, "audio", False)
    for kind in ("audio", "video"):
        call.do("POST", f"{call.patients_path}/mute", {"media": kind})
        wait_muted(call.patient, kind, True)
    assert not is_muted(call.doctor, "audio")

    press(call.patient, "audio")
    wait_muted(call.patient, "audio", False)
    call.do("POST", f"{call.path}/mute")
    wait_muted(call.patient, "audio", True)
    assert not is_muted(call.doctor, "audio")

    call.do("PUT", f"{call.path}/av-moderation", {"audio": True, "video": False})
    until(lambda: bool(call.patient.events("moderated")), "moderated", call.patient.story)
    press(call.patient, "audio")
    until(lambda: len(call.patient.events("moderated")) == 2, "told so", call.patient.story)
    assert is_muted(call.patient, "audio")

    call.do("POST", f"{call.patients_path}/unmute-request")
    until(lambda: bool(call.patient.events("asked")), "asked", call.patient.story)
    press(call.patient, "audio")
    wait_muted(call.patient, "audio", False)


def test_moderators_come_and_go_and_the_end_has_a_reason(
    hospital: StackClient, person: Arrive
) -> None:
    """Grant and revoke; a message; the end, and why."""
    call = Clinic(hospital, person)
    for method, role in (("POST", "moderator"), ("DELETE", "participant")):
        call.do(method, f"{call.patients_path}/moderator")
        until(
            lambda wanted=role: last_role(call.patient) == wanted,  # type: ignore[misc]
            role,
            call.patient.story,
        )

    call.do("POST", f"{call.path}/messages", {"text": "Five minutes left."})
    until(lambda: bool(call.patient.events("message")), "a message", call.patient.story)
    assert "Five minutes left." in call.patient.page.locator("body").inner_text()

    call.do("POST", f"{call.path}/end", {"reason": "The hour is over."})
    for someone in (call.doctor, call.patient):
        someone.wait_state("ended")
        assert someone.events("ended")[-1]["reason"] == "The hour is over."


def last_role(someone: Person) -> str:
    """The last role the client was told it has."""
    own = [event for event in someone.events("role-changed") if event["own"]]
    return str(own[-1]["role"]) if own else "participant"
