"""The same page over the hospital's own Jitsi Meet; its IFrame API is played by this test."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.pages.conftest import LinkService
from tests.pages.steps import enter, until, wait_for

JITSI = "https://meet.hospital.test"
EXTERNAL_API = """
window.JitsiMeetExternalAPI = class {
  constructor(domain, options) {
    Object.assign(this, { domain, options, listeners: {}, disposed: false });
    (window.frames_opened ??= []).push(this);
  }
  on(name, listener) { this.listeners[name] = listener; }
  executeCommand() {}
  dispose() { this.disposed = true; }
};
"""


@pytest.fixture
def service() -> LinkService:
    return LinkService(jitsi_public_url=JITSI)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.route(
        f"{JITSI}/external_api.js",
        lambda route: route.fulfill(content_type="text/javascript", body=EXTERNAL_API),
    )
    return page


def fire(page: Page, name: str, detail: str = "{}") -> None:
    page.evaluate(f"window.frames_opened.at(-1).listeners.{name}({detail})")


def opened(page: Page, number: int) -> None:
    until(page, f"window.frames_opened?.length === {number}")


def test_the_frame_gets_room_and_token_and_no_second_door(page: Page, site: str) -> None:
    enter(page, site)
    opened(page, 1)

    frame = page.evaluate(
        "(({ domain, options: { parentNode, ...rest } }) => [domain, rest])"
        "(window.frames_opened[0])"
    )

    assert frame[0] == "meet.hospital.test"
    assert (frame[1]["roomName"], frame[1]["jwt"], frame[1]["lang"]) == ("room", "token-1", "en")
    assert frame[1]["configOverwrite"]["prejoinConfig"] == {"enabled": False}
    fire(page, "videoConferenceJoined", "{ id: 'me' }")
    wait_for(page, "in-call")
    expect(page.get_by_test_id("mic")).to_be_hidden()


@pytest.mark.parametrize(
    ("event", "detail", "state"),
    [
        ("participantKickedOut", "{ kicked: { local: true } }", "removed"),
        (
            "errorOccurred",
            "{ error: { name: 'conference.max_users', isFatal: true } }",
            "room-full",
        ),
        (
            "errorOccurred",
            """{ error: { name: 'conference.connectionError.notAllowed',
                message: 'session-ended: Over.', isFatal: true } }""",
            "ended",
        ),
    ],
)
def test_its_events_mean_what_ours_mean(
    page: Page, site: str, event: str, detail: str, state: str
) -> None:
    enter(page, site)
    opened(page, 1)

    fire(page, event, detail)

    wait_for(page, state)
    assert page.evaluate("window.frames_opened[0].disposed")


def test_hanging_up_inside_the_frame_is_hanging_up(page: Page, site: str) -> None:
    enter(page, site)
    opened(page, 1)
    fire(page, "videoConferenceJoined", "{ id: 'me' }")
    wait_for(page, "in-call")

    fire(page, "readyToClose")

    wait_for(page, "left")
