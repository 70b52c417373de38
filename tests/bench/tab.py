"""A person in the real page, on the real lib-jitsi-meet, in a headless Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from playwright.async_api import BrowserContext, Page, async_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM

WITHIN_MS = 30_000
LOOK_EVERY_MS = 100  # seldom, so that looking does not slow what is looked for
# What the page notes when the library tells it; both clocks are this machine's.
HAPPENED = """name => {
  const found = window.teleconsult?.events.find((event) => event.name === name);
  return found && { ...found, at: performance.timeOrigin + found.at };
}"""


@dataclass(frozen=True, slots=True)
class Tab:
    """One page in a room."""

    page: Page
    nick: str

    @classmethod
    async def enter(cls, browser: BrowserContext, link: str) -> Tab:
        """Open a personal link, press the one button, wait until the library is in the room."""
        page = await browser.new_page()
        await page.goto(link)
        await page.get_by_test_id("enter").click()
        return cls(page, str((await _happened(page, "joined"))["id"]))

    async def kicked_at(self) -> float:
        """Return the Unix time of the library's KICKED event."""
        return float((await _happened(self.page, "kicked"))["at"]) / 1000

    async def close(self) -> None:
        """Close the page."""
        await self.page.close()


@asynccontextmanager
async def chromium() -> AsyncIterator[BrowserContext]:
    """Run a browser with a fake camera and microphone."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield await browser.new_context(permissions=["camera", "microphone"])
        await browser.close()


async def _happened(page: Page, name: str) -> dict[str, Any]:
    seen = await page.wait_for_function(
        HAPPENED, arg=name, polling=LOOK_EVERY_MS, timeout=WITHIN_MS
    )
    return dict(await seen.json_value())
