"""Files in a real call: what Jitsi's button shares is in the page's panel, and back."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.api import samples
from tests.browser.person import DEADLINE_S, Person, until
from tests.stack_client import StackClient

SHARING = (Path(__file__).parent / "jitsi_sharing.js").read_text()
# The page looks every four seconds, and the worker takes its time.
SHOWN_WITHIN_MS = 30_000


def arrive(browser: Browser, link: str) -> Person:
    """Come into the call with a client that shares files as Jitsi's does."""
    context = browser.new_context(permissions=["camera", "microphone"])
    page = context.new_page()
    page.add_init_script(SHARING)
    page.goto(link)
    here = Person(context, page)
    here.enter()
    here.wait_state("in-call")
    return here


def heard(person: Person, event: str, name: str) -> None:
    """Wait until Jitsi's list was told this of a file."""
    until(
        lambda: [event, name] in person.page.evaluate("window.jitsiFiles.heard"),
        f"{event} of {name}",
        person.story,
        deadline_s=2 * DEADLINE_S,
    )


def test_jitsis_list_and_the_panel_show_the_same_files(
    browser: Browser, hospital: StackClient, tmp_path: Path
) -> None:
    """TST-TC005-2, both ways: shared by either, opened from either, deleted from both."""
    session = hospital.session()
    links = [hospital.invite(session, role)["link"] for role in ("doctor", "patient")]
    doctor, patient = (arrive(browser, link) for link in links)
    try:
        shared = patient.page.evaluate(
            "([bytes, name]) => window.jitsiFiles.share(bytes, name)",
            [list(samples.phone_photo()), "rash.jpg"],
        )
        assert shared["status"] == 200
        heard(doctor, "add", "rash.jpg")
        doctor.page.get_by_test_id("files-button").click()
        rows = doctor.page.get_by_test_id("files-list").get_by_role("listitem")
        expect(rows.filter(has_text="rash.jpg")).to_contain_text(
            "Some patient", timeout=SHOWN_WITHIN_MS
        )
        assert doctor.page.evaluate("(id) => window.jitsiFiles.fetch(id)", shared["id"]) > 0
        letter = tmp_path / "letter.pdf"
        letter.write_bytes(samples.pdf())
        doctor.page.get_by_test_id("files-kind").select_option("report")
        doctor.page.get_by_test_id("files-input").set_input_files(letter)
        heard(patient, "add", "letter.pdf")
        row = rows.filter(has_text="letter.pdf")
        row.get_by_test_id("delete").click()
        doctor.page.get_by_test_id("dialog-yes").click()
        until(
            lambda: patient.page.evaluate("window.jitsiFiles.heard.at(-1)[0]") == "remove",
            "the removal",
            patient.story,
        )
        assert patient.page.evaluate("window.jitsiFiles.heard.length") == 2
    finally:
        doctor.close()
        patient.close()
