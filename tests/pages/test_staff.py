"""Staff signs in with a real browser at a real provider; only a browser sends what we rely on."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from app.access import service
from app.clock import utc_now
from app.factory import create_app
from app.pages.staff import NOTICES
from app.services import Services
from tests.api.hospital import admit_hospital
from tests.api.vouching import forget_all, vouch
from tests.oidc import Provider
from tests.pages.conftest import PHONE, KeepAlive

ADA = {"sub": "ada", "name": "Dr. Ada Okafor", "roles": ["doctor"]}
WRITE = """async () => {
  const answer = await fetch('/sessions', {
    method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'},
  });
  return answer.status;
}"""
FOREIGN_WRITE = """async (address) => {
  await fetch(address, {method: 'POST', body: '{}', credentials: 'include', mode: 'no-cors'});
  return 'sent';
}"""


@dataclass
class Desk:
    """Where Alice's staff signs in."""

    url: str
    page: Page
    services: Services


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """The hospital's own sign-in."""
    part = Provider(tmp_path_factory.mktemp("oidc"), [ADA, {"sub": "sam", "name": "Sam"}])
    part.start()
    yield part
    part.stop()


@pytest.fixture
def desk(services: Services, provider: Provider, browser: Browser) -> Iterator[Desk]:
    """A phone before the pages, which are served where PUBLIC_URL says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://localhost:{port}"
    app = create_app(replace(services, settings=replace(services.settings, public_url=url)))
    hospital = admit_hospital(app, services, "Alice Hospital")
    forget_all(services)
    row = vouch(services, hospital, provider.url)
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=KeepAlive)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    context = browser.new_context(viewport=PHONE, locale="en-GB")
    yield Desk(url, context.new_page(), services)
    context.close()
    server.shutdown()
    server.server_close()
    with services.database.begin() as db:
        service.remove_provider(db, provider_id=row.id, now=utc_now())


def sign_in(desk: Desk, sub: str) -> None:
    """Go through both pages as a person does."""
    desk.page.goto(f"{desk.url}/staff/")
    desk.page.locator("input[name=sub]").fill(sub)
    desk.page.locator("input[name=sub]").press("Enter")


def test_a_doctor_signs_in_works_and_signs_out(desk: Desk) -> None:
    """The cookie comes back through the issuer, writes from our page, and is gone after."""
    sign_in(desk, "ada")
    expect(desk.page.get_by_role("heading", name="Visits")).to_be_visible()
    expect(desk.page.get_by_test_id("name")).to_have_text("Dr. Ada Okafor")
    assert desk.page.url == f"{desk.url}/staff/"
    assert desk.page.evaluate("document.cookie") == ""
    assert desk.page.evaluate(WRITE) == 201
    desk.page.get_by_test_id("sign-out").click()
    expect(desk.page.get_by_test_id("notice-title")).to_have_text("You are signed out")
    assert desk.page.evaluate(WRITE) == 401
    desk.page.get_by_role("link", name="Deutsch").click()
    expect(desk.page.get_by_test_id("notice-title")).to_have_text("Sie sind abgemeldet")


def test_a_page_elsewhere_cannot_use_the_cookie(desk: Desk, provider: Provider) -> None:
    """The same browser, another origin on the same machine, credentials included."""
    sign_in(desk, "ada")
    expect(desk.page.get_by_test_id("sign-out")).to_be_visible()
    foreign = desk.page.context.new_page()
    foreign.goto(f"{provider.url}/")
    seen: list[int] = []
    foreign.on("response", lambda answer: seen.append(answer.status))
    foreign.evaluate(FOREIGN_WRITE, f"{desk.url}/sessions")
    foreign.evaluate(FOREIGN_WRITE, f"{desk.url}/staff/sign-out")
    assert len(seen) == 2
    assert set(seen) <= {401, 403}
    desk.page.reload()
    expect(desk.page.get_by_test_id("sign-out")).to_be_visible()


def test_somebody_without_a_role_is_told_so(desk: Desk) -> None:
    """And offered to sign in as somebody else; no code stays in the address."""
    sign_in(desk, "sam")
    expect(desk.page.get_by_test_id("notice-title")).to_have_text("Your account has no role here")
    assert desk.page.url == f"{desk.url}/staff/notice/no-role"
    desk.page.get_by_test_id("sign-in").click()
    desk.page.locator("input[name=sub]").first.wait_for()


@pytest.mark.parametrize("state", NOTICES)
def test_each_notice_fits_a_phone_in_each_language(desk: Desk, state: str) -> None:
    """Nothing to scroll sideways, one heading, and the focus order is the reading order."""
    for language in ("en", "de", "fr"):
        desk.page.goto(f"{desk.url}/staff/notice/{state}?lang={language}")
        assert desk.page.locator("html").get_attribute("lang") == language
        assert desk.page.locator("h1").count() == 1
        width = desk.page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"]


def test_the_pages_pass_axe(desk: Desk) -> None:
    """No violation that a machine can find."""
    axe = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
    desk.page.goto(f"{desk.url}/staff/notice/refused")
    desk.page.context.new_cdp_session(desk.page).send("Page.setBypassCSP", {"enabled": True})
    desk.page.reload()
    desk.page.evaluate(axe.read_text())
    found = desk.page.evaluate("async () => (await axe.run()).violations.map((v) => v.id)")
    assert found == []
