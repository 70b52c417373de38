"""What a running call survives and how it ends, in a real browser on a phone."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import CODE, LinkService
from tests.pages.steps import emit, join, meeting, receive, until, wait_for


def test_the_removed_person_is_told_and_never_comes_back(
    page: Page, site: str, service: LinkService
) -> None:
    join(page, site)
    service.reason = "removed"

    emit(page, "kicked", {"reason": ""})

    wait_for(page, "removed")
    page.wait_for_timeout(1500)
    assert (service.tokens, page.evaluate("window.meetings.length")) == (1, 1)
    assert page.evaluate("window.meetings[0].closed")
    page.reload()
    wait_for(page, "removed")


def test_a_kick_the_service_knows_nothing_of_does_not_lead_back_in_either(
    page: Page, site: str, service: LinkService
) -> None:
    join(page, site)

    emit(page, "kicked", {"reason": ""})

    wait_for(page, "removed")
    page.wait_for_timeout(1500)
    assert service.tokens == 1


def test_another_window_takes_over_and_this_one_can_take_it_back(page: Page, site: str) -> None:
    join(page, site)

    emit(page, "kicked", {"reason": "replaced: You joined from another connection."})
    wait_for(page, "replaced")
    page.get_by_test_id("move-here").click()

    meeting(page, 2)
    emit(page, "joined", {"id": "me"})
    wait_for(page, "in-call")


@pytest.mark.parametrize("event", ["ended", "left"])
def test_the_end_for_everybody_is_told(
    page: Page, site: str, service: LinkService, event: str
) -> None:
    join(page, site)
    service.reason = "session-ended"

    emit(page, event, {"reason": "over"})

    wait_for(page, "ended")


def test_after_a_lost_connection_the_old_picture_stays_until_the_new_one_runs(
    page: Page, site: str, service: LinkService
) -> None:
    join(page, site)
    receive(page, 0)
    service.down = True

    emit(page, "failed", {"why": "connection.otherError"})

    expect(page.get_by_test_id("banner")).to_contain_text("reconnecting")
    assert page.get_attribute("body", "data-state") == "in-call"
    page.evaluate("setInterval(() => { window.meetings[0].stats.bytes += 9; }, 100)")
    service.down = False
    meeting(page, 2)
    emit(page, "joined", {"id": "me"})
    expect(page.get_by_test_id("banner")).to_be_hidden()
    page.wait_for_timeout(1500)
    assert not page.evaluate("window.meetings[0].closed")

    receive(page, 1)
    until(page, "window.meetings[0].closed")
    assert not page.evaluate("window.meetings[1].closed")
    assert page.evaluate("window.meetings[1].jwt") == "token-2"


def test_removed_while_the_connection_was_lost_ends_there(
    page: Page, site: str, service: LinkService
) -> None:
    join(page, site)
    service.reason = "removed"

    emit(page, "failed", {"why": "connection.droppedError"})

    wait_for(page, "removed")
    assert page.evaluate("window.meetings.every((meeting) => meeting.closed)")


def test_the_host_who_is_not_back_yet_is_waited_for_behind_the_running_picture(
    page: Page, site: str
) -> None:
    join(page, site)
    page.evaluate("setInterval(() => { window.meetings[0].stats.bytes += 9; }, 100)")
    emit(page, "failed", {"why": "connection.otherError"})
    meeting(page, 2)

    emit(page, "refused", {"code": "waiting-for-host", "text": ""})

    meeting(page, 3)
    assert page.get_attribute("body", "data-state") == "in-call"
    assert page.evaluate("window.meetings.map((meeting) => meeting.closed)") == [False, True, False]


def test_a_reload_goes_straight_back_with_the_same_devices(page: Page, site: str) -> None:
    join(page, site)
    page.get_by_test_id("mic").click()
    expect(page.get_by_test_id("mic")).to_have_text("Microphone off")

    page.reload()

    meeting(page, 1)
    assert page.evaluate("window.meetings[0].wishes.muted.audio") is True


def test_a_switched_off_microphone_is_off_in_the_old_meeting_too(page: Page, site: str) -> None:
    join(page, site)
    page.evaluate("setInterval(() => { window.meetings[0].stats.bytes += 9; }, 100)")
    emit(page, "own-muted", {"kind": "audio", "muted": False})
    emit(page, "failed", {"why": "connection.otherError"})
    meeting(page, 2)

    page.get_by_test_id("mic").click()

    calls = page.evaluate("window.meetings.map((meeting) => meeting.calls)")
    assert calls == [[["microphone", False]], [["microphone", False]]]


def test_hanging_up_leaves_and_offers_the_way_back(page: Page, site: str) -> None:
    join(page, site)

    page.get_by_test_id("leave").click()

    wait_for(page, "left")
    assert page.evaluate("window.meetings[0].closed")
    page.reload()
    wait_for(page, "lobby")
    page.get_by_test_id("enter").click()
    meeting(page, 1)


def test_a_weak_connection_is_told_and_taken_back(page: Page, site: str) -> None:
    join(page, site)

    emit(page, "interrupted", {"what": "media"})
    emit(page, "interrupted", {"what": "signalling"})
    emit(page, "restored", {"what": "media"})
    expect(page.get_by_test_id("banner")).to_contain_text("weak")
    emit(page, "restored", {"what": "signalling"})

    expect(page.get_by_test_id("banner")).to_be_hidden()
    expect(page.get_by_test_id("live")).to_have_text("You are connected again.")


def test_people_and_messages_are_shown_as_text(page: Page, site: str) -> None:
    join(page, site)

    emit(page, "participant-joined", {"id": "a", "name": "<b>Ada</b>"})
    emit(page, "message", {"from": "", "text": "<i>Five minutes</i>", "system": True})

    expect(page.get_by_test_id("live")).to_have_text("<b>Ada</b> has joined.")
    expect(page.get_by_test_id("toast").locator("span")).to_have_text("<i>Five minutes</i>")
    emit(page, "participant-left", {"id": "a", "name": ""})
    expect(page.get_by_test_id("alone")).to_be_visible()


def test_a_camera_that_cannot_be_switched_on_is_explained(page: Page, site: str) -> None:
    join(page, site)
    page.evaluate("window.cameraIsGone = true")

    page.get_by_test_id("camera").click()

    expect(page.get_by_test_id("toast")).to_contain_text("did not work")


def test_nothing_secret_is_kept_or_exposed_and_nothing_else_is_asked(page: Page, site: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    join(page, site)

    exposed = page.evaluate(
        "JSON.stringify([window.teleconsult.events, {...sessionStorage}, {...localStorage}])"
    )

    assert "token-1" not in exposed
    assert CODE not in exposed
    assert all(url.startswith(site) for url in asked)


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_no_state_needs_sideways_scrolling_and_targets_are_large(
    page: Page, site: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    join(page, site)
    small = """[...document.querySelectorAll('button')]
        .filter((button) => button.offsetParent && button.offsetHeight < 44).length"""

    for state in ("in-call", "left"):
        if state == "left":
            page.get_by_test_id("leave").click()
            wait_for(page, "left")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(small) == 0


def test_the_whole_way_works_by_keyboard(page: Page, site: str) -> None:
    page.goto(f"{site}/j/{CODE}")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_test_id("enter")).to_be_focused()
    page.keyboard.press("Enter")
    meeting(page, 1)
    emit(page, "joined", {"id": "me"})
    wait_for(page, "in-call")

    page.keyboard.press("Tab")
    expect(page.get_by_test_id("mic")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_test_id("leave")).to_be_focused()
    page.keyboard.press("Enter")
    wait_for(page, "left")
