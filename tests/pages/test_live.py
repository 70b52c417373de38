"""A waiting page is told by its stream, and asks where there is none."""

import pytest
from flask import Flask
from playwright.sync_api import Page

from app.web.services import EXTENSION
from tests.pages.conftest import LinkService
from tests.pages.steps import emit, enter, meeting, wait_for


@pytest.fixture
def streaming(app: Flask, site: str) -> str:
    """The same site, with a stream."""
    app.extensions[EXTENSION].settings.stream_url = site
    return site


def test_a_pushed_state_opens_the_door(page: Page, streaming: str, service: LinkService) -> None:
    """The page enters when it is told, not when it would have asked."""
    service.reason = "waiting-for-host"
    enter(page, streaming)
    wait_for(page, "waiting")
    page.wait_for_timeout(600)
    asked = service.states_asked
    assert service.streams == 1
    service.pushes.put("waiting-for-host")
    page.wait_for_timeout(600)
    assert service.states_asked <= asked + 1, "an open stream is trusted"

    service.reason = ""
    service.pushes.put("")
    meeting(page, 1)
    emit(page, "joined", {"id": "me"})
    wait_for(page, "in-call")
    service.pushes.put(None)


def test_a_pushed_end_is_shown(page: Page, streaming: str, service: LinkService) -> None:
    """Whoever waits for a session that is called off is told at once."""
    service.reason = "waiting-for-host"
    enter(page, streaming)
    wait_for(page, "waiting")
    service.pushes.put("session-cancelled")
    wait_for(page, "cancelled")
    service.pushes.put(None)


def test_without_a_stream_the_page_asks(page: Page, site: str, service: LinkService) -> None:
    """As it always did."""
    service.reason = "waiting-for-host"
    enter(page, site)
    wait_for(page, "waiting")
    service.reason = ""
    meeting(page, 1)
    assert service.streams == 0


def test_a_stream_that_fails_costs_nothing(
    page: Page, app: Flask, site: str, service: LinkService
) -> None:
    """Nobody listens at its address: the page asks."""
    app.extensions[EXTENSION].settings.stream_url = "http://127.0.0.1:9"
    service.reason = "waiting-for-host"
    enter(page, site)
    wait_for(page, "waiting")
    service.reason = ""
    meeting(page, 1)
