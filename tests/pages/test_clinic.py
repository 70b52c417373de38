"""The clinic's page over the real API: staff signs in at a real provider and sees the day."""

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

import pytest
from flask import Flask, Response
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect
from werkzeug.serving import make_server

from app.access import service
from app.clock import utc_now
from app.factory import create_app
from app.services import Services
from app.web.services import EXTENSION
from tests.api.clinic import appointment_in, with_directory
from tests.api.hospital import Hospital, admit_hospital
from tests.api.vouching import forget_all, vouch
from tests.oidc import Provider
from tests.pages.axe import violations
from tests.pages.conftest import KeepAlive

NARROW: ViewportSize = {"width": 390, "height": 844}
WIDE: ViewportSize = {"width": 1280, "height": 800}
ADA = {"sub": "ada", "name": "Dr. Ada Okafor", "roles": ["doctor"]}


@dataclass
class Desk:
    """A hospital with a day of visits, and where its staff looks at it."""

    url: str
    hospital: Hospital
    browser: Browser
    app: Flask
    rings: SimpleQueue[bytes]

    def stream(self, url: str = "") -> None:
        """From now on pages are given the address of a stream; ours says what `rings` holds."""
        services: Services = self.app.extensions[EXTENSION]
        streaming = replace(services.settings, stream_url=url or self.url)
        self.app.extensions[EXTENSION] = replace(services, settings=streaming)

    def open(self, size: ViewportSize = NARROW, **options: Any) -> Page:
        """Sign in in a browser of one's own."""
        context = self.browser.new_context(
            viewport=size, **{"locale": "en-GB", "timezone_id": "Asia/Tokyo", **options}
        )
        page = context.new_page()
        page.goto(f"{self.url}/staff/")
        page.locator("input[name=sub]").fill("ada")
        page.locator("input[name=sub]").press("Enter")
        page.get_by_test_id("visits").wait_for(state="attached")
        return page

    def book(self, minutes: float, **more: Any) -> dict[str, Any]:
        """Plan a visit."""
        answer = self.hospital.post("/appointments", json=appointment_in(minutes, **more))
        assert answer.status_code == 201, answer.get_json()
        made: dict[str, Any] = answer.get_json()
        return made


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """The hospital's own sign-in."""
    part = Provider(tmp_path_factory.mktemp("oidc"), [ADA])
    part.start()
    yield part
    part.stop()


@pytest.fixture
def desk(services: Services, provider: Provider, browser: Browser) -> Iterator[Desk]:
    """Where PUBLIC_URL says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://localhost:{port}"
    settings = replace(services.settings, public_url=url, stream_url="")
    app, rings = create_app(replace(services, settings=settings)), SimpleQueue[bytes]()

    @app.get("/stream/visits")
    def stream() -> Response:
        return Response(iter(rings.get, b""), mimetype="text/event-stream")

    hospital = with_directory(admit_hospital(app, services, "Alice Hospital"))
    forget_all(services)
    row = vouch(services, hospital, provider.url)
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=KeepAlive)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    # Midday there, so that a few hours to both sides are the same day.
    now = utc_now()
    answer = hospital.patch(
        "/organisation",
        json={"policy": {"timezone": midday_zone(now.hour)}},
        headers={"If-Match": hospital.get("/organisation").headers["ETag"]},
    )
    assert answer.status_code == 200, answer.get_json()
    yield Desk(url, hospital, browser, app, rings)
    rings.put(b"")
    for context in browser.contexts:
        context.close()
    server.shutdown()
    server.server_close()
    with services.database.begin() as db:
        service.remove_provider(db, provider_id=row.id, now=utc_now())


def midday_zone(hour: int) -> str:
    """Return a zone where it is about noon."""
    east = 12 - hour
    return f"Etc/GMT{-east:+d}" if east else "UTC"


def rows(page: Page) -> Any:
    return page.get_by_test_id("visit")


def test_the_day_is_shown_in_the_hospitals_time(desk: Desk) -> None:
    """Whatever the reader's own zone is; a day without visits says so."""
    made = desk.book(60)
    desk.book(120, provider_reference="doctor-2")
    page = desk.open()
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("Sam Rivera")
    expect(rows(page).first).to_contain_text("Planned")
    shown = rows(page).first.locator(".when").inner_text()
    assert shown[:2] in ("12", "13", "14"), (shown, made["start"])
    page.get_by_test_id("after").click()
    expect(page.get_by_test_id("none")).to_have_text("No visits are planned for this day.")
    page.get_by_test_id("today").click()
    expect(rows(page)).to_have_count(2)
    page.get_by_label("Visits with").select_option(label="Dr. Lindqvist")
    expect(rows(page)).to_have_count(1)
    assert "provider=" in page.url


def test_what_happens_is_seen_without_a_reload(desk: Desk) -> None:
    """Fetched again when the page is seen again, and else every 15 seconds."""
    made = desk.book(60)
    page = desk.open()
    expect(rows(page).first).to_contain_text("Planned")
    desk.hospital.post(f"/appointments/{made['id']}/arrive")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(rows(page).first).to_contain_text("Arrived")
    expect(page.get_by_test_id("live")).to_have_text("Sam Rivera: Arrived")


RING = b"event: changed\ndata: {}\n\n"


def test_a_ring_brings_the_page_up_to_date_and_keeps_nobody_signed_in(desk: Desk) -> None:
    """What the page asks by itself says so; what a person was there for does not."""
    desk.stream()
    made = desk.book(60)
    page = desk.open()
    expect(rows(page)).to_have_count(1)
    for act, shown, by_itself in (("arrive", "Arrived", True), ("cancel", "Cancelled", False)):
        if not by_itself:
            page.keyboard.press("Shift")
        desk.hospital.post(f"/appointments/{made['id']}/{act}", json={})
        with page.expect_request("**/visits?*") as asked:
            desk.rings.put(RING)
        assert ("teleconsult-background" in asked.value.headers) is by_itself
        expect(rows(page).first).to_contain_text(shown)


def test_a_stream_that_fails_costs_nothing(desk: Desk) -> None:
    """Nobody listens at its address: the page asks in turns."""
    desk.stream("http://127.0.0.1:9")
    made = desk.book(60)
    page = desk.open()
    expect(rows(page)).to_have_count(1)
    page.clock.install()
    with page.expect_response("**/visits?*"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    desk.hospital.post(f"/appointments/{made['id']}/arrive")
    with page.expect_response("**/visits?*"):
        page.clock.fast_forward(15_001)
    expect(rows(page).first).to_contain_text("Arrived")


def test_names_leave_the_screen_when_nobody_is_there_any_more(desk: Desk) -> None:
    """The page does not go to the issuer by itself, which might let anybody in."""
    desk.stream()
    desk.book(60)
    page = desk.open()
    expect(rows(page)).to_have_count(1)
    page.context.clear_cookies()
    desk.rings.put(RING)
    expect(page.get_by_test_id("notice-title")).to_have_text("You were signed out")
    assert "Sam Rivera" not in page.content()
    page.get_by_test_id("sign-in").click()
    page.locator("input[name=sub]").wait_for()


def test_a_visit_is_started_with_keys_alone(desk: Desk) -> None:
    desk.book(30)
    page = desk.open()
    start = page.get_by_role("button", name="Start the visit of Sam Rivera")
    for _ in range(20):
        page.keyboard.press("Tab")
        if start.evaluate("(it) => it === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("said")).to_have_text("The visit of Sam Rivera has started.")
    expect(rows(page).first).to_contain_text("In progress")
    expect(start).to_be_hidden()
    expect(page.get_by_role("button", name="People of the visit of Sam Rivera")).to_be_focused()


def test_a_new_link_is_shown_once_and_the_old_one_is_dead(desk: Desk) -> None:
    made = desk.book(10)
    old = next(one["link"] for one in made["people"] if one["role"] == "patient")
    page = desk.open()
    page.get_by_test_id("people").click()
    page.get_by_role("button", name="New link for Sam Rivera").click()
    expect(page.get_by_role("dialog")).to_contain_text("stops working")
    page.get_by_test_id("dialog-yes").click()
    fresh = page.get_by_test_id("link").input_value()
    assert fresh != old
    expect(page.get_by_role("button", name="Copy link for Sam Rivera")).to_be_focused()
    answers = [
        page.evaluate("async (address) => (await fetch(address)).status", link)
        for link in (old, fresh)
    ]
    assert answers == [410, 200]
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_test_id("link")).to_have_count(0)


def test_an_invitation_without_an_address_says_what_to_do(desk: Desk) -> None:
    desk.book(10)
    page = desk.open()
    page.get_by_test_id("people").click()
    page.get_by_role("button", name="Send invitation again to Sam Rivera").click()
    expect(page.get_by_test_id("said")).to_contain_text("has no address")


def test_who_is_signed_out_is_led_to_the_sign_in(desk: Desk) -> None:
    page = desk.open()
    page.context.clear_cookies()
    page.evaluate("setTimeout(() => document.dispatchEvent(new Event('visibilitychange')))")
    page.locator("input[name=sub]").wait_for()


def test_signing_out_is_not_undone_by_an_answer_that_comes_meanwhile(desk: Desk) -> None:
    """The issuer would let them in again, without a question."""
    desk.book(60)
    page, held = desk.open(), list[Route]()
    expect(rows(page)).to_have_count(1)
    page.route("**/staff/sign-out", lambda route: held.append(route))  # noqa: PLW0108
    page.route("**/visits?**", lambda route: route.fulfill(status=401, json={}))
    # From within the page: from outside nothing reaches a page that is on its way to another.
    page.evaluate("setTimeout(() => document.dispatchEvent(new Event('visibilitychange')), 500)")
    with page.expect_event("requestfinished", lambda asked: "/visits?" in asked.url):
        page.get_by_test_id("sign-out").click(no_wait_after=True)
    held[0].continue_()
    expect(page.get_by_test_id("notice-title")).to_have_text("You are signed out")


def test_a_service_that_is_away_is_said(desk: Desk) -> None:
    desk.book(60)
    page = desk.open()
    expect(rows(page)).to_have_count(1)
    page.route("**/visits?**", lambda route: route.abort())
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_test_id("as-of")).to_contain_text("We cannot reach the service.")
    expect(rows(page)).to_have_count(1)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["phone", "desktop"])
def test_every_state_passes_axe_and_fits(desk: Desk, size: ViewportSize) -> None:
    """In three languages, light and dark: the day, a question, a link, an empty day."""
    running = desk.book(20, lasting=5)
    desk.hospital.post(f"/visits/{running['id']}/start")
    gone = desk.book(60)
    desk.hospital.post(f"/appointments/{gone['id']}/cancel", json={})
    for minutes in (90, 120):
        desk.book(minutes, provider_reference="doctor-2")
    page = desk.open(size)

    def sound(state: str) -> None:
        if os.environ.get("SHOTS"):
            name = f"clinic-{state}-{language}-{size['width']}-{scheme}"
            page.screenshot(path=f"{os.environ['SHOTS']}/{name}.png", full_page=True)
        assert violations(page) == [], (state, language, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], state

    for language, scheme in (("en", "light"), ("de", "dark"), ("fr", "light"), ("en", "dark")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(f"{desk.url}/staff/?lang={language}")
        expect(rows(page)).to_have_count(4)
        page.get_by_test_id("people").first.click()
        page.get_by_test_id("new-link").first.click()
        sound("question")
        page.get_by_test_id("dialog-yes").click()
        expect(page.get_by_test_id("link")).to_be_visible()
        sound("day")
        page.get_by_test_id("after").click()
        page.get_by_test_id("none").wait_for()
        sound("empty")


def test_the_page_asks_nobody_else_and_runs_nothing_inline(desk: Desk) -> None:
    page = desk.open()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.reload()
    expect(page.get_by_test_id("none")).to_be_visible()
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert all(url.startswith(desk.url) for url in asked)
