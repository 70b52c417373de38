"""The waiting room on the page: for who waits, and for who lets them in."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import CODE, LinkService
from tests.pages.steps import emit, enter, join, meeting, until, wait_for


@pytest.fixture
def waits(page: Page, site: str, service: LinkService) -> Page:
    """A patient who waits as third."""
    service.reason, service.ahead = "not-admitted", 2
    enter(page, site)
    wait_for(page, "queue")
    return page


def test_the_place_and_who_lets_in_are_said_and_no_time_without_ground(waits: Page) -> None:
    expect(waits.get_by_test_id("notice-title")).to_have_text("You are in the waiting room")
    expect(waits.get_by_test_id("place")).to_have_text("2 people are before you.")
    expect(waits.get_by_test_id("estimate")).to_have_text("We cannot say how long it will take.")
    expect(waits.get_by_test_id("let-in-by")).to_have_text("Dr. Ada Keller will let you in.")


def test_it_is_brought_up_to_date_and_screen_readers_hear_only_of_the_place(
    waits: Page, service: LinkService
) -> None:
    """Minutes that count down would be chatter; and nobody's focus moves."""
    live = waits.get_by_test_id("live")
    expect(live).to_contain_text("2 people are before you.")
    waits.evaluate(
        "new MutationObserver(() => { window.spoken = (window.spoken ?? 0) + 1; })"
        ".observe(document.querySelector('[data-part=live]'), { childList: true })"
    )
    waits.get_by_role("link", name="Deutsch").focus()

    service.estimate_s = 1500
    expect(waits.get_by_test_id("estimate")).to_have_text("It will take about 25 minutes.")
    service.estimate_s = 40
    expect(waits.get_by_test_id("estimate")).to_have_text("It should not take more than a minute.")
    assert waits.evaluate("window.spoken ?? 0") == 0

    service.ahead = 0
    expect(waits.get_by_test_id("place")).to_have_text("You are next.")
    expect(live).to_contain_text("You are next.")
    assert waits.evaluate("window.spoken") == 1
    assert waits.evaluate("document.activeElement.hreflang") == "de"


def test_who_is_admitted_goes_on_by_themselves(waits: Page, service: LinkService) -> None:
    service.reason = ""

    meeting(waits, 1)
    emit(waits, "joined", {"id": "me"})
    wait_for(waits, "in-call")


def test_admitted_before_the_doctor_is_there_is_another_wait(
    waits: Page, service: LinkService
) -> None:
    service.reason = "waiting-for-host"

    wait_for(waits, "waiting")
    expect(waits.get_by_test_id("queue")).to_be_hidden()


def test_a_denied_person_reads_the_message_and_may_be_let_in_after_all(
    waits: Page, service: LinkService
) -> None:
    service.reason, service.message = "denied", "Please come to room 12 <b>instead</b>."

    wait_for(waits, "denied")
    expect(waits.get_by_test_id("message")).to_have_text("Please come to room 12 <b>instead</b>.")
    expect(waits.get_by_test_id("live")).to_contain_text("room 12")
    expect(waits.get_by_role("button")).to_have_count(0)

    waits.reload()
    expect(waits.get_by_test_id("message")).to_contain_text("room 12")
    service.reason = ""
    wait_for(waits, "lobby")


def test_a_denied_person_is_not_told_who_else_is_there(
    page: Page, site: str, service: LinkService
) -> None:
    """The link's facts leave them out; the page has nobody to name."""
    service.reason, service.others = "denied", []

    page.goto(f"{site}/j/{CODE}")

    wait_for(page, "denied")
    assert "Keller" not in page.content()


def test_a_client_that_is_sent_back_to_wait_waits(page: Page, site: str) -> None:
    enter(page, site)
    meeting(page, 1)

    emit(page, "refused", {"code": "not-admitted", "text": ""})

    wait_for(page, "queue")


@pytest.mark.parametrize("code", ["denied", "not-admitted"])
def test_every_page_of_the_waiting_room_has_its_words_in_every_language(
    page: Page, site: str, service: LinkService, code: str
) -> None:
    for language, words in {"de": "eingelassen|Wartezimmer", "fr": "entrer|attente"}.items():
        service.reason = code
        page.goto(f"{site}/j/{CODE}?lang={language}")
        if code == "not-admitted":
            page.get_by_test_id("enter").click()
            wait_for(page, "queue")
            expect(page.get_by_test_id("let-in-by")).to_contain_text("Dr. Ada Keller")
        else:
            wait_for(page, "denied")
        title = page.get_by_test_id("notice-title").inner_text()
        assert any(word in title for word in words.split("|"))


class TestModerators:
    """A list over the picture, with one button each."""

    @pytest.fixture
    def moderates(self, page: Page, site: str, service: LinkService) -> Page:
        service.permissions, service.queue = ["moderate"], ["Sam Rivera", "Kim Lee"]
        join(page, site)
        expect(page.get_by_test_id("waiting-title")).to_have_text("Waiting to be let in: 2")
        return page

    def test_each_who_waits_has_a_line_and_a_button(self, moderates: Page) -> None:
        lines = moderates.get_by_test_id("waiting").get_by_role("listitem")
        expect(lines).to_have_count(2)
        expect(lines.nth(0)).to_contain_text("has just come")
        expect(lines.nth(1)).to_contain_text("waiting for 1 min")
        expect(moderates.get_by_role("button", name="Let in: Kim Lee")).to_be_visible()

    def test_keys_alone_let_in_one_after_the_other(
        self, moderates: Page, service: LinkService
    ) -> None:
        moderates.get_by_role("button", name="Let in: Kim Lee").focus()
        moderates.keyboard.press("Enter")
        expect(moderates.get_by_test_id("waiting-title")).to_have_text("Waiting to be let in: 1")
        # The button pressed is gone, so the focus goes to the next.
        expect(moderates.get_by_role("button", name="Let in: Sam Rivera")).to_be_focused()
        moderates.keyboard.press("Enter")
        expect(moderates.get_by_test_id("waiting")).to_be_hidden()
        assert service.admitted == ["Kim Lee", "Sam Rivera"]

    def test_who_comes_later_is_said_and_who_goes_leaves_the_list(
        self, moderates: Page, service: LinkService
    ) -> None:
        service.queue = ["Sam Rivera", "Noa Berg"]
        expect(moderates.get_by_test_id("live")).to_contain_text("Noa Berg is waiting")
        expect(moderates.get_by_test_id("waiting")).not_to_contain_text("Kim Lee")

    def test_a_decision_that_failed_is_said(self, moderates: Page, service: LinkService) -> None:
        service.queue = []
        moderates.get_by_role("button", name="Let in: Kim Lee").click()
        expect(moderates.get_by_test_id("toast")).to_contain_text("no longer waiting")
        expect(moderates.get_by_test_id("waiting")).to_be_hidden()

    def test_after_the_call_nobody_asks_any_more(
        self, moderates: Page, service: LinkService
    ) -> None:
        moderates.get_by_test_id("leave").click()
        wait_for(moderates, "left")
        until(moderates, "document.querySelectorAll('[data-part=waiting-list] li').length === 0")


def test_others_see_no_list(page: Page, site: str, service: LinkService) -> None:
    service.queue = ["Sam Rivera"]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    join(page, site)

    expect(page.get_by_test_id("waiting")).to_be_hidden()
    assert not [url for url in asked if url.endswith("/waiting")]
