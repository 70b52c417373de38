"""What a test does with a page whose meetings it drives."""

import time
from typing import Any

from playwright.sync_api import Page

from tests.pages.conftest import CODE


def wait_for(page: Page, state: str, *, timeout_ms: float = 10_000) -> None:
    page.wait_for_selector(f"body[data-state='{state}']", timeout=timeout_ms)


def until(page: Page, expression: str, *, timeout_s: float = 10) -> None:
    """Poll from here: Playwright's own wait_for_function needs eval, which the page forbids."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never true: {expression}"
        page.wait_for_timeout(50)


def enter(page: Page, site: str) -> None:
    page.goto(f"{site}/j/{CODE}")
    page.get_by_test_id("enter").click()


def meeting(page: Page, number: int) -> None:
    """Wait until the page has opened its `number`-th meeting and joins it."""
    until(page, f"window.meetings?.length === {number} && !!window.meetings.at(-1).wishes")


def emit(page: Page, name: str, detail: dict[str, Any] | None = None) -> None:
    page.evaluate(
        "([name, detail]) => window.meetings.at(-1).emit(name, detail)", [name, detail or {}]
    )


def join(page: Page, site: str) -> None:
    enter(page, site)
    meeting(page, 1)
    emit(page, "joined", {"id": "me"})
    wait_for(page, "in-call")


def receive(page: Page, number: int) -> None:
    page.evaluate(
        f"window.meetings[{number}].stats = {{ framesDecoded: 9, audioPackets: 9, bytes: 9 }}"
    )
