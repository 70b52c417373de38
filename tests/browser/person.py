"""One person in a real Chromium, on the real page and the real lib-jitsi-meet client."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Media:
    """What a client has received so far."""

    frames_decoded: int
    audio_packets: int
    audio_energy: float


@dataclass(frozen=True, slots=True)
class Person:
    """A browser profile of their own with one page open on a personal link."""

    context: BrowserContext
    page: Page

    def enter(self) -> None:
        """Press the one button."""
        self.page.get_by_test_id("enter").click()

    @property
    def state(self) -> str:
        """The page's state: `welcome`, `in-call`, `removed`, …"""
        return str(self.page.evaluate("document.body.dataset.state"))

    def events(self, name: str) -> list[dict[str, Any]]:
        """What happened in the page under this name."""
        happened: list[dict[str, Any]] = self.page.evaluate("window.teleconsult.events")
        return [event for event in happened if event["name"] == name]

    def media(self) -> Media:
        """WebRTC's own counters, summed over all streams received in the present meeting."""
        stats = self.page.evaluate(
            "async () => window.teleconsult.meeting"
            " ? window.teleconsult.meeting.mediaStats() : null"
        ) or {"framesDecoded": 0, "audioPackets": 0, "audioEnergy": 0}
        return Media(stats["framesDecoded"], stats["audioPackets"], stats["audioEnergy"])

    def wait_state(self, *states: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait until the page shows one of `states`."""
        until(lambda: self.state in states, f"state {states}", self.story, deadline_s)

    def wait_media(
        self, *, more_than: Media | None = None, deadline_s: float = DEADLINE_S
    ) -> Media:
        """Wait until more pictures and more sound arrive than at `more_than`, and return it."""
        least = more_than or Media(0, 0, 0.0)

        def flows() -> bool:
            seen = self.media()
            return (
                seen.frames_decoded > least.frames_decoded + 5
                and seen.audio_packets > least.audio_packets + 5
                and seen.audio_energy > least.audio_energy
            )

        until(flows, f"more media than {least}", self.story, deadline_s)
        return self.media()

    def story(self) -> str:
        """What to print when a test fails."""
        return f"{self.state}: {self.page.evaluate('window.teleconsult.events')[-12:]}"

    def close(self) -> None:
        """Close the browser profile as a person closes the window."""
        self.context.close()


def arrive(browser: Browser, link: str, **options: Any) -> Person:
    """Open a personal link in a new browser profile."""
    context = browser.new_context(permissions=["camera", "microphone"], **options)
    page = context.new_page()
    page.goto(link)
    return Person(context, page)


def until(
    condition: Callable[[], bool],
    what: str,
    story: Callable[[], str] = str,
    deadline_s: float = DEADLINE_S,
) -> None:
    """Wait for a condition, and say what was seen instead when it does not come."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {deadline_s:.0f} s; {story()}")
        time.sleep(0.05)  # the pause between two looks, not a wait for something to happen
