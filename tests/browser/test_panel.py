"""The moderator's panel and the clinic's page on the whole real stack."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from app.clock import utc_now
from app.localstack.supervisor import LocalStack
from tests.browser.conftest import Arrive
from tests.browser.person import until
from tests.oidc import Provider
from tests.stack_client import StackClient

ADA = {"sub": "ada", "name": "Dr. Ada Okafor", "roles": ["doctor"]}


def test_a_doctor_runs_the_call_from_the_panel(hospital: StackClient, person: Arrive) -> None:
    """Lets the patient in, mutes, writes, removes for a time, and ends with a reason."""
    session = hospital.session(waiting_room=True)
    doctor_row, patient_row = (hospital.invite(session, role) for role in ("doctor", "patient"))
    patient = person(patient_row["link"])
    patient.enter()
    patient.wait_state("queue")
    doctor = person(doctor_row["link"])
    doctor.enter()
    doctor.wait_state("in-call")
    page = doctor.page
    said = page.get_by_test_id("panel-said")

    page.get_by_test_id("panel-button").click()
    page.get_by_role("button", name="Let in: Some patient").click()
    patient.wait_state("in-call")
    inside = page.get_by_test_id("inside").get_by_role("listitem")
    expect(inside).to_have_count(2, timeout=15_000)

    page.get_by_role("button", name="Mute Some patient").click()
    expect(said).to_have_text("Some patient is muted.")
    expect(patient.page.get_by_test_id("mic")).to_have_attribute("data-on", "false")

    page.get_by_test_id("write-all").click()
    page.get_by_label("Your message").fill("Five minutes left.")
    page.get_by_test_id("dialog-yes").click()
    expect(said).to_contain_text("Sent.")
    expect(patient.page.get_by_test_id("toast")).to_contain_text("Five minutes left.")

    page.get_by_role("button", name="More for Some patient").click()
    page.get_by_role("button", name="Remove Some patient").click()
    page.get_by_label("For 15 minutes").check()
    page.get_by_test_id("dialog-yes").click()
    patient.wait_state("removed")
    expect(inside).to_have_count(1, timeout=15_000)

    page.get_by_test_id("end").click()
    page.get_by_label("Reason").fill("The hour is over.")
    page.get_by_test_id("dialog-yes").click()
    doctor.wait_state("ended")
    assert hospital.read(session)["state"] == "ended"


@pytest.fixture
def issuer(
    stack: LocalStack, hospital: StackClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider]:
    """The hospital's own sign-in, which the stack believes while the test runs."""
    folder = tmp_path_factory.mktemp("oidc")
    provider = Provider(folder, [ADA])
    provider.start()
    secret = folder / "secret"
    secret.write_text("any will do")
    words = ["--issuer", provider.url, "--client-id", "teleconsult", "--role", "doctor=clinic"]
    words += ["--client-secret-file", str(secret)]
    organisation = hospital.call("GET", "/organisation").json()["id"]
    added = json.loads(stack.run("oidc", "add", "--organisation", organisation, *words, "--json"))
    yield provider
    stack.run("oidc", "remove", added["provider_id"])
    provider.stop()


def booked(hospital: StackClient) -> dict[str, Any]:
    """A visit about now, with a patient and a relative who has an address."""
    start = utc_now() + timedelta(seconds=30)
    relative = {"role": "relative", "display_name": "Kim Rivera", "email": "kim@example.org"}
    return hospital.make(
        "/appointments",
        {
            "patient_reference": "patient-2",
            "provider_reference": "doctor-2",
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=20)).isoformat(),
            "people": [relative],
        },
    )


@pytest.mark.usefixtures("issuer")
def test_staff_sees_the_day_change_starts_a_visit_and_sends_an_invitation_again(
    hospital: StackClient, stack: LocalStack, browser: Browser, person: Arrive
) -> None:
    """The patient at the door is seen by the page by itself."""
    made = booked(hospital)
    context = browser.new_context(locale="en-GB")
    page: Page = context.new_page()
    page.goto(f"{stack.public_url}/staff/")
    page.locator("input[name=sub]").fill("ada")
    page.locator("input[name=sub]").press("Enter")
    row = page.get_by_test_id("visit").filter(has_text="Kim Rivera")

    patient_link = next(one["link"] for one in made["people"] if one["role"] == "patient")
    patient = person(patient_link)
    patient.enter()
    patient.wait_state("queue", "waiting")
    visit = page.get_by_test_id("visit").filter(has_text="has been waiting since")
    expect(visit).to_have_count(1, timeout=30_000)

    visit.get_by_test_id("start").click()
    expect(page.get_by_test_id("said")).to_contain_text("has started")
    assert hospital.read({"id": made["session_id"]})["state"] == "active"

    visit.get_by_test_id("people").click()
    before = len(stack.mail.mails())
    row.get_by_role("button", name="Send invitation again to Kim Rivera").click()
    expect(page.get_by_test_id("said")).to_have_text("The invitation is on its way to Kim Rivera.")
    until(lambda: len(stack.mail.mails()) > before, "a mail")
    context.close()
