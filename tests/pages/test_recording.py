"""Being asked whether one may be recorded: before the call, at its door, inside, and on a page that
only asks."""

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.pages.axe import violations
from tests.pages.conftest import CODE, LinkService
from tests.pages.steps import emit, enter, join, meeting, until, wait_for

TEXT = "May we record? (en)"
NOBODY = "Nothing is recorded: somebody did not agree."


@pytest.mark.parametrize("button", ["agree", "refuse"])
def test_either_answer_leads_into_the_call_that_plans_a_recording(
    page: Page, site: str, service: LinkService, button: str
) -> None:
    """Both buttons look alike; a reload in the call does not ask again."""
    service.is_asked = True
    enter(page, site)
    expect(page.get_by_test_id("consent-text")).to_have_text(TEXT)
    assert page.evaluate("document.activeElement.id") == "consent-title"
    looks = [
        page.get_by_test_id(one).evaluate("e => getComputedStyle(e).backgroundColor")
        for one in ("agree", "refuse")
    ]
    assert looks[0] == looks[1]
    page.get_by_test_id(button).click()
    meeting(page, 1)
    emit(page, "joined", {"id": "me"})
    wait_for(page, "in-call")
    assert service.answers == [("given" if button == "agree" else "refused", "page")]


def test_at_the_door_of_a_recorded_call_one_agrees_or_waits(
    page: Page, site: str, service: LinkService
) -> None:
    """And may change one's mind."""
    service.reason, service.recording = "consent-missing", ("active", None)
    enter(page, site)
    page.get_by_test_id("refuse").click()
    wait_for(page, "consent-wait")
    page.get_by_test_id("answer-again").click()
    page.get_by_test_id("agree").click()
    service.reason = ""
    meeting(page, 1)
    assert [act for act, _ in service.answers] == ["refused", "given"]


def test_the_question_comes_during_the_call_and_the_badge_with_the_recording(
    page: Page, site: str, service: LinkService
) -> None:
    """Then the word can be taken back, and the page says why it stopped."""
    join(page, site)
    expect(page.get_by_test_id("recording")).to_be_hidden()
    service.recording, service.is_asked = ("requested", "consent_missing"), True
    expect(page.get_by_test_id("call-consent-text")).to_have_text(TEXT)
    expect(page.get_by_test_id("recording-state")).to_contain_text("everybody is asked first")
    page.get_by_test_id("call-agree").click()
    expect(page.get_by_test_id("call-question")).to_be_hidden()
    service.recording = ("active", None)
    expect(page.get_by_test_id("recording-state")).to_have_text("This call is being recorded.")
    page.get_by_test_id("withdraw").click()

    service.recording = ("stopping", "consent_withdrawn")
    expect(page.get_by_test_id("recording-state")).to_contain_text("being stopped")
    service.recording = ("processing", "consent_withdrawn")
    expect(page.get_by_test_id("recording-state")).to_contain_text("took back")
    service.recording = ("available", "withheld")
    seen = "window.teleconsult.events.some((e) => e.name === 'recording' && e.what === 'available')"
    until(page, seen)
    expect(page.get_by_test_id("recording-state")).to_contain_text("took back")
    expect(page.get_by_test_id("recording")).to_be_visible()
    assert [act for act, _ in service.answers] == ["given", "withdrawn"]


def test_a_refusal_in_the_call_is_told_to_all(page: Page, site: str, service: LinkService) -> None:
    """Also to a nurse, who has no button to record."""
    service.role, service.permissions = "nurse", ["moderate"]
    service.recording = ("requested", "consent_missing")
    join(page, site)
    expect(page.get_by_test_id("recording")).to_be_visible()
    page.get_by_test_id("panel-button").click()
    expect(page.get_by_test_id("panel-close")).to_be_visible()
    expect(page.get_by_test_id("record")).to_be_hidden()
    service.recording = ("failed", "consent_refused")
    expect(page.get_by_test_id("recording-state")).to_have_text(NOBODY)


def test_what_was_over_before_one_came_is_no_news(
    page: Page, site: str, service: LinkService
) -> None:
    service.recording = ("failed", "consent_refused")
    join(page, site)
    until(page, "window.teleconsult.events.some((e) => e.name === 'recording')")
    expect(page.get_by_test_id("recording")).to_be_hidden()


def test_who_may_asks_for_a_recording_and_stops_it(
    page: Page, site: str, service: LinkService
) -> None:
    service.role, service.permissions = "doctor", ["moderate", "request_recording"]
    join(page, site)
    page.get_by_test_id("panel-button").click()
    page.get_by_test_id("record").click()
    expect(page.get_by_test_id("panel-said")).to_contain_text("starts when all agree")
    service.recording = ("active", None)
    expect(page.get_by_test_id("record")).to_have_text("Stop recording")
    page.get_by_test_id("record").click()
    expect(page.get_by_test_id("panel-said")).to_contain_text("being stopped")
    assert service.done == [("record", {"ask_first": True}), ("stop-recording", {})]


def test_the_page_of_its_own_only_asks(page: Page, site: str, service: LinkService) -> None:
    """In any language, as often as wanted; and says when it cannot."""
    page.goto(f"{site}/j/{CODE}/consent?lang=fr")
    expect(page.get_by_test_id("consent-text")).to_have_text("May we record? (fr)")
    page.get_by_test_id("agree").click()
    wait_for(page, "consent-said")
    service.refuses = True
    page.get_by_test_id("answer-again").click()
    expect(page.get_by_test_id("consent-problem")).to_contain_text("pas fonctionné")
    assert service.answers == [("given", "link")]
    expect(page.get_by_test_id("enter")).to_be_hidden()


def test_what_is_over_is_not_asked_about(page: Page, site: str, service: LinkService) -> None:
    service.reason = "session-ended"
    page.goto(f"{site}/j/{CODE}/consent")
    expect(page.get_by_test_id("notice-title")).to_have_text("The consultation has ended")


@pytest.mark.parametrize(
    ("size", "colours"),
    [({"width": 320, "height": 640}, "light"), ({"width": 1280, "height": 800}, "dark")],
)
def test_everybody_can_use_it(
    page: Page, site: str, service: LinkService, size: ViewportSize, colours: str
) -> None:
    """axe finds nothing, on a small phone and on a desk."""
    page.set_viewport_size(size)
    page.emulate_media(color_scheme="dark" if colours == "dark" else "light")
    page.goto(f"{site}/j/{CODE}/consent")
    expect(page.get_by_test_id("consent-text")).to_have_text(TEXT)
    assert violations(page) == []
    join(page, site)
    service.recording, service.is_asked = ("requested", "consent_missing"), True
    expect(page.get_by_test_id("call-consent-text")).to_have_text(TEXT)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
