"""The states before a call, in a real browser on a phone; each test drives the meeting itself."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.conftest import CODE, PHONE, LinkService
from tests.pages.steps import emit, enter, meeting, wait_for

FINAL_PAGES = {
    "removed": "You are no longer part of this consultation",
    "session-ended": "The consultation has ended",
    "session-cancelled": "The consultation was cancelled",
}


def test_one_click_leads_from_the_welcome_into_the_call(page: Page, site: str) -> None:
    page.goto(f"{site}/j/{CODE}")
    expect(page.get_by_test_id("when")).to_have_text("Tuesday, 14 May 2030 at 14:30")

    page.get_by_test_id("enter").click()
    meeting(page, 1)
    wait_for(page, "connecting")
    emit(page, "joined", {"id": "me"})

    wait_for(page, "in-call")
    assert page.evaluate("window.teleconsult.state") == "in-call"
    assert page.evaluate("document.activeElement.id") == "call-title"


@pytest.mark.parametrize("reason", FINAL_PAGES)
def test_what_is_over_says_so_and_offers_no_button(
    page: Page, site: str, service: LinkService, reason: str
) -> None:
    service.reason = reason

    page.goto(f"{site}/j/{CODE}")

    expect(page.get_by_test_id("notice-title")).to_have_text(FINAL_PAGES[reason])
    expect(page.get_by_role("button")).to_have_count(0)


def test_too_early_counts_down_and_opens_by_itself(
    page: Page, site: str, service: LinkService
) -> None:
    service.reason, service.opens_at = "too-early", datetime.now(UTC) + timedelta(seconds=2)

    page.goto(f"{site}/j/{CODE}")
    expect(page.get_by_test_id("countdown")).to_contain_text("less than a minute")
    service.reason = ""

    wait_for(page, "lobby")
    expect(page.get_by_test_id("enter")).to_be_visible()


def test_waiting_for_the_host_is_announced_once_and_ends_by_itself(
    page: Page, site: str, service: LinkService
) -> None:
    service.reason = "waiting-for-host"

    enter(page, site)
    wait_for(page, "waiting")
    expect(page.get_by_test_id("live")).to_contain_text("not here yet")
    page.wait_for_timeout(500)
    assert service.states_asked > 1
    told = "window.teleconsult.events.filter((event) => event.state === 'waiting').length"
    assert page.evaluate(told) == 1

    service.reason = ""
    meeting(page, 1)


def test_a_waiting_person_learns_that_the_session_was_cancelled(
    page: Page, site: str, service: LinkService
) -> None:
    service.reason = "waiting-for-host"
    enter(page, site)
    wait_for(page, "waiting")

    service.reason = "session-cancelled"

    wait_for(page, "cancelled")


def test_refused_devices_are_explained_and_sound_only_or_nothing_is_offered(
    launch: Callable[[list[str]], Browser], site: str
) -> None:
    browser = launch([])  # without devices every request for them fails
    page = browser.new_page(viewport=PHONE, locale="en-GB")
    page.route("**/js/meeting-lib.js", lambda route: route.abort())
    enter(page, site)

    wait_for(page, "devices-refused")
    for choice in ("try-again", "sound-only", "listen-only"):
        expect(page.get_by_test_id(choice)).to_be_visible()
    page.get_by_test_id("listen-only").click()
    wait_for(page, "unreachable")  # it went on into the call, whose client this test withholds
    browser.close()


def test_a_browser_without_webrtc_is_told_what_to_use(page: Page, site: str) -> None:
    page.add_init_script("delete window.RTCPeerConnection")

    page.goto(f"{site}/j/{CODE}")

    wait_for(page, "unsupported")


@pytest.mark.parametrize(
    ("code", "state", "button"),
    [
        ("full", "room-full", "try-again"),
        ("already-connected", "already-connected", "move-here"),
        ("removed", "removed", None),
        ("banned", "removed", None),
        ("link-revoked", "link-revoked", None),
        ("session-ended", "ended", None),
        ("session-cancelled", "cancelled", None),
    ],
)
def test_a_refusal_at_the_door_has_its_page(
    page: Page, site: str, code: str, state: str, button: str | None
) -> None:
    enter(page, site)
    meeting(page, 1)

    emit(page, "refused", {"code": code, "text": ""})

    wait_for(page, state)
    assert page.evaluate("window.meetings[0].closed")
    if button is None:
        expect(page.get_by_role("button")).to_have_count(0)
    else:
        page.get_by_test_id(button).click()
        meeting(page, 2)
        assert page.evaluate("window.meetings[1].jwt") == "token-2"


def test_a_refusal_that_will_pass_is_waited_for(page: Page, site: str) -> None:
    enter(page, site)
    meeting(page, 1)

    emit(page, "refused", {"code": "waiting-for-host", "text": ""})

    wait_for(page, "waiting")
    meeting(page, 2)


def test_an_unexplained_refusal_is_tried_again_with_a_new_token(page: Page, site: str) -> None:
    enter(page, site)
    meeting(page, 1)

    emit(page, "refused", {"code": "", "text": ""})

    wait_for(page, "unreachable")
    meeting(page, 2)
    emit(page, "joined", {"id": "me"})
    wait_for(page, "in-call")


def test_an_unreachable_service_is_retried_by_itself(
    page: Page, site: str, service: LinkService
) -> None:
    service.down = True
    enter(page, site)
    wait_for(page, "unreachable")

    service.down = False

    meeting(page, 1)
