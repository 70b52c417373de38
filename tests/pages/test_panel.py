"""The moderator's panel: who waits, who is there, and what can be done about it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.pages.axe import violations
from tests.pages.conftest import CODE, DRIVEN_MEETING, LinkService
from tests.pages.steps import emit, join, meeting, wait_for

NARROW: ViewportSize = {"width": 390, "height": 844}
WIDE: ViewportSize = {"width": 1280, "height": 800}
SAM, KIM, ADA, ROB = "Sam Rivera", "Kim Lee", "Dr. Ada Keller", "Robin Vogel"
Act = Callable[[Page], None]


@pytest.fixture
def service() -> LinkService:
    """A doctor in the room with a patient and an interpreter; two people wait."""
    return LinkService(
        role="doctor",
        permissions=["moderate", "end_session"],
        queue=[SAM, KIM],
        inside=[(ADA, "doctor"), ("Max Muster", "patient"), (ROB, "interpreter")],
    )


@pytest.fixture
def panel(page: Page, site: str) -> Page:
    """The doctor's page with the panel open."""
    join(page, site)
    expect(page.get_by_test_id("waiting")).to_be_visible()
    page.get_by_test_id("panel-button").click()
    expect(page.get_by_test_id("inside").get_by_role("listitem")).to_have_count(3)
    return page


def row(page: Page, name: str) -> None:
    """Show everything that can be done about one person."""
    page.get_by_role("button", name=f"More for {name}").click()


def test_the_panel_names_who_is_there_and_offers_nothing_about_oneself(panel: Page) -> None:
    expect(panel.locator("[data-part=inside-title]")).to_have_text("In the call: 3")
    own = panel.get_by_test_id("inside").get_by_role("listitem").first
    expect(own).to_contain_text("doctor · you")
    expect(own.get_by_role("button")).to_have_count(0)


def test_one_is_muted_asked_and_written_to(panel: Page, service: LinkService) -> None:
    panel.get_by_role("button", name=f"Mute {ROB}").click()
    expect(panel.get_by_test_id("panel-said")).to_have_text(f"{ROB} is muted.")
    expect(panel.get_by_test_id("live")).to_have_text(f"{ROB} is muted.")
    row(panel, ROB)
    panel.get_by_role("button", name=f"Ask to unmute: {ROB}").click()
    expect(panel.get_by_test_id("panel-said")).to_contain_text("asked to switch")
    panel.get_by_role("button", name=f"Write to {ROB}").click()
    panel.get_by_label("Your message").fill("Please speak up.")
    panel.get_by_test_id("dialog-yes").click()
    expect(panel.get_by_test_id("panel-said")).to_have_text("Sent. People reached: 2")
    assert service.done == [
        ("mute", {"participant_id": ROB}),
        ("unmute-request", {"participant_id": ROB}),
        ("message", {"text": "Please speak up.", "participant_id": ROB}),
    ]


def test_all_are_muted_and_written_to(panel: Page, service: LinkService) -> None:
    panel.get_by_test_id("mute-all").click()
    expect(panel.get_by_test_id("panel-said")).to_contain_text("Everybody")
    panel.get_by_test_id("write-all").click()
    panel.get_by_label("Your message").fill("Five minutes left.")
    panel.keyboard.press("Enter")
    expect(panel.get_by_test_id("panel-said")).to_contain_text("Sent.")
    assert service.done == [("mute-all", {}), ("message", {"text": "Five minutes left."})]


@pytest.mark.parametrize(("choice", "ban"), [("For good", {}), ("For 15 minutes", {"ban_s": 900})])
def test_removing_asks_first(
    panel: Page, service: LinkService, choice: str, ban: dict[str, int]
) -> None:
    row(panel, ROB)
    remove = panel.get_by_role("button", name=f"Remove {ROB}")
    remove.click()
    expect(panel.get_by_role("dialog", name=f"Remove {ROB} from this call?")).to_be_visible()
    # What happens by a hasty Enter is nothing.
    expect(panel.get_by_test_id("dialog-no")).to_be_focused()
    panel.keyboard.press("Escape")
    expect(panel.get_by_test_id("dialog")).to_be_hidden()
    expect(remove).to_be_focused()
    assert service.done == []

    remove.click()
    panel.get_by_label(choice).check()
    panel.get_by_test_id("dialog-yes").click()
    expect(panel.get_by_test_id("panel-said")).to_have_text(f"{ROB} was removed.")
    expect(panel.get_by_test_id("inside")).not_to_contain_text(ROB)
    assert service.done == [("remove", {"participant_id": ROB, **ban})]


def test_a_person_is_turned_away_with_a_message(panel: Page, service: LinkService) -> None:
    panel.get_by_role("button", name=f"Turn away: {KIM}").click()
    panel.get_by_label("What they read (optional)").fill("Please come to room 12.")
    panel.get_by_test_id("dialog-yes").click()
    expect(panel.get_by_test_id("waiting-title")).to_have_text("Waiting to be let in: 1")
    assert service.denied == [(KIM, "Please come to room 12.")]


def test_the_next_is_let_in_until_nobody_waits(panel: Page, service: LinkService) -> None:
    panel.get_by_test_id("admit-next").click()
    expect(panel.get_by_test_id("panel-said")).to_have_text(f"{SAM} may come in.")
    expect(panel.get_by_test_id("admit-next")).to_be_hidden()
    panel.get_by_role("button", name=f"Let in: {KIM}").click()
    expect(panel.get_by_test_id("nobody-waits")).to_be_visible()
    assert service.admitted == [SAM, KIM]


def test_the_end_has_a_reason(panel: Page, service: LinkService) -> None:
    panel.get_by_test_id("end").click()
    panel.get_by_label("Reason").fill("The hour is over.")
    panel.get_by_test_id("dialog-yes").click()
    expect(panel.get_by_test_id("dialog")).to_be_hidden()
    service.reason = "session-ended"
    emit(panel, "ended", {"reason": "The hour is over."})
    wait_for(panel, "ended")
    assert service.done == [("end", {"reason": "The hour is over."})]


def test_what_did_not_work_is_said(panel: Page, service: LinkService) -> None:
    service.refuses = True
    panel.get_by_role("button", name=f"Mute {ROB}").click()
    expect(panel.get_by_test_id("panel-said")).to_contain_text("did not work")


def test_who_may_not_end_is_not_offered_it(page: Page, site: str, service: LinkService) -> None:
    service.permissions = ["moderate"]
    join(page, site)
    page.get_by_test_id("panel-button").click()
    expect(page.get_by_test_id("inside")).to_be_visible()
    expect(page.get_by_test_id("end")).to_be_hidden()


def test_others_have_no_panel_and_do_not_load_it(
    page: Page, site: str, service: LinkService
) -> None:
    service.permissions = []
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    join(page, site)
    expect(page.get_by_test_id("panel-button")).to_be_hidden()
    assert not [url for url in asked if "/js/panel" in url or url.endswith("/people")]


def test_it_comes_and_goes_with_the_role(page: Page, site: str, service: LinkService) -> None:
    service.permissions = []
    join(page, site)
    emit(page, "role-changed", {"id": "me", "own": True, "role": "moderator"})
    page.get_by_test_id("panel-button").click()
    expect(page.get_by_test_id("panel-title")).to_be_focused()
    emit(page, "role-changed", {"id": "me", "own": True, "role": "participant"})
    expect(page.get_by_test_id("panel")).to_be_hidden()
    expect(page.get_by_test_id("panel-button")).to_be_hidden()


def test_a_closed_panel_asks_nothing_about_the_people(panel: Page) -> None:
    panel.get_by_test_id("panel-close").click()
    expect(panel.get_by_test_id("panel-button")).to_be_focused()
    expect(panel.get_by_test_id("waiting")).to_be_visible()
    expect(panel.get_by_test_id("inside")).to_be_hidden()


def test_keys_alone_do_it_all(page: Page, site: str, service: LinkService) -> None:
    """Open, go to a person, remove them, close; the focus is always somewhere sensible."""

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.ariaLabel ?? ''") == name:
                return
            if page.evaluate("document.activeElement.innerText?.trim()") == name:
                return
        raise AssertionError(f"no way to {name} by keys")

    service.queue = []
    join(page, site)
    tab_to("People")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("panel-title")).to_be_focused()
    tab_to(f"More for {ROB}")
    page.keyboard.press("Space")
    tab_to(f"Remove {ROB}")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("dialog-no")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("inside")).not_to_contain_text(ROB)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("panel-button")).to_be_focused()
    assert service.done == [("remove", {"participant_id": ROB})]


STATES: dict[str, Act] = {
    "closed": lambda page: page.get_by_test_id("panel-close").click(),
    "open": lambda page: page.locator("[data-testid=more]").first.click(),
    "deny": lambda page: page.get_by_test_id("deny").first.click(),
    "remove": lambda page: (
        page.locator("[data-testid=more]").first.click(),  # type: ignore[func-returns-value]
        page.locator("[data-testid=remove]").first.click(),  # type: ignore[func-returns-value]
    )[0],
    "end": lambda page: page.get_by_test_id("end").click(),
}


# What fits depends on language and size, what can be read on the colours. Every language, size and
# scheme is seen each time, every pair in a long run.
LOOKS = {
    "de-phone-dark": ("de", NARROW, "dark"),
    "en-desktop-dark": ("en", WIDE, "dark"),
    "fr-phone-light": ("fr", NARROW, "light"),
}
FURTHER_LOOKS = {
    "de-desktop-light": ("de", WIDE, "light"),
    "en-phone-light": ("en", NARROW, "light"),
    "fr-desktop-dark": ("fr", WIDE, "dark"),
}


@pytest.mark.parametrize(
    ("language", "size", "scheme"),
    [
        *(pytest.param(*look, id=name) for name, look in LOOKS.items()),
        *(
            pytest.param(*look, id=name, marks=pytest.mark.long)
            for name, look in FURTHER_LOOKS.items()
        ),
    ],
)
def test_every_state_passes_axe_and_fits(
    browser: Browser, site: str, language: str, size: ViewportSize, scheme: str
) -> None:
    context = browser.new_context(
        viewport=size,
        locale=language,
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.route(
        "**/js/meeting-lib.js",
        lambda route: route.fulfill(content_type="text/javascript", body=DRIVEN_MEETING),
    )
    for state, reach in STATES.items():
        page.goto(f"{site}/j/{CODE}?lang={language}")
        if page.evaluate("document.body.dataset.state") == "lobby":
            page.get_by_test_id("enter").click()
        meeting(page, 1)
        emit(page, "joined", {"id": "me"})
        wait_for(page, "in-call")
        page.get_by_test_id("panel-button").click()
        expect(page.get_by_test_id("inside").get_by_role("listitem")).to_have_count(3)
        reach(page)
        shot(page, f"panel-{state}-{language}-{size['width']}-{scheme}")
        assert violations(page) == [], state
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], state
    context.close()


def shot(page: Page, name: str) -> None:
    import os

    if os.environ.get("SHOTS"):
        page.screenshot(path=f"{os.environ['SHOTS']}/{name}.png")
