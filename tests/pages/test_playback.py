"""Watching a real recording with a link, in a real browser, from the application itself."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from app.clock import utc_now
from app.services import Services
from app.storage import service as storage
from tests.api.filing import NO_SCANNER, Archive, archive_of
from tests.api.hospital import admit_hospital
from tests.api.prosody import Prosody
from tests.api.watching import Cinema, cinema_of
from tests.pages.axe import violations
from tests.pages.conftest import PHONE
from tests.pages.steps import until

WIDE: ViewportSize = {"width": 1280, "height": 800}
LENGTH_S = 60
# Noisy enough to be several stretches long.
FILM = (
    "ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i",
    f"testsrc2=size=640x360:rate=10:duration={LENGTH_S},noise=alls=30:allf=t",
    "-f", "lavfi", "-i", f"sine=frequency=440:duration={LENGTH_S}",
    "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "20",
    "-b:v", "1500k", "-maxrate", "1500k", "-bufsize", "1500k",
    "-c:a", "aac", "-movflags", "+faststart",
)  # fmt: skip
AT = "document.querySelector('video').currentTime"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of moving picture with sound, as the stand-in recorder makes them."""
    made = tmp_path_factory.mktemp("film") / "film.mp4"
    subprocess.run([*FILM, str(made)], check=True, timeout=120)
    poster = ("ffmpeg", "-loglevel", "error", "-i", str(made), "-frames:v", "1")
    subprocess.run([*poster, str(made.with_suffix(".jpg"))], check=True, timeout=60)
    return made


@pytest.fixture(scope="module")
def archive(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """The application, with a file store of its own."""
    return archive_of(services, tmp_path_factory.mktemp("store"), NO_SCANNER)


@pytest.fixture
def app(archive: Archive) -> Flask:
    """What `site` serves here: the whole application."""
    return archive.app


@pytest.fixture
def cinema(archive: Archive, services: Services, film: Path) -> Cinema:
    """A recording of a hospital's that can be watched, with a poster."""
    hospital = admit_hospital(archive.app, archive.services, "St. Elsewhere")
    prosody = Prosody(archive.app, archive.services, services.settings.room_events_secret[0])
    poster = store(archive.services, hospital.organisation_id, film.with_suffix(".jpg"))
    return cinema_of(
        archive, hospital, prosody, film.read_bytes(), poster_id=poster, duration_ms=LENGTH_S * 1000
    )


def store(services: Services, owner: Any, path: Path) -> Any:
    """Store a file and return its id."""
    with services.database.begin() as db:
        row = storage.announce(db, organisation_id=owner, now=utc_now())
    written = services.storage.write(row, [path.read_bytes()])
    with services.database.begin() as db:
        storage.record(db, row.id, written)
    return row.id


def address(site: str, link: dict[str, Any]) -> str:
    """Return where the page is in this test."""
    return f"{site}/p/{link['url'].rsplit('/', 1)[-1]}"


def watch(page: Page, site: str, link: dict[str, Any]) -> None:
    """Open the page, press, and wait until the picture moves."""
    page.goto(address(site, link))
    page.get_by_test_id("watch").click()
    page.get_by_test_id("play").click()
    until(page, f"{AT} > 0.2")


def test_a_recording_plays_and_seeks(page: Page, site: str, cinema: Cinema) -> None:
    """By the controls alone; what was handed out is on record, and less than all of it."""
    watch(page, site, cinema.link())
    expect(page.get_by_test_id("clock")).to_contain_text("of 1:00")
    seek = page.get_by_test_id("seek")
    seek.fill("50")
    until(page, f"{AT} >= 50 && !document.querySelector('video').seeking")
    seek.fill("20")
    until(page, f"{AT} >= 20 && {AT} < 30 && !document.querySelector('video').seeking")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(seek).to_have_attribute("aria-valuetext", "0:20 of 1:00")
    page.goto("about:blank")
    cinema.note()
    (entry,) = cinema.entries("playback.delivered")
    assert sum(stop - start for start, stop in entry.detail["ranges"]) > 0
    assert entry.detail["ranges"][0][0] == 0


def test_a_lost_connection_is_said_and_play_goes_on_where_it_was(
    page: Page, site: str, cinema: Cinema
) -> None:
    """A server that is busy ends a video; a press begins anew at the same place."""
    watch(page, site, cinema.link())
    page.route("**/video", lambda route: route.fulfill(status=503))
    page.get_by_test_id("seek").fill("50")
    expect(page.get_by_test_id("player-problem")).to_contain_text("interrupted")
    page.unroute("**/video")
    page.get_by_role("button", name="Play").click()
    until(page, f"{AT} > 50.2")
    expect(page.get_by_test_id("player-problem")).to_be_empty()


def test_the_name_stays_over_the_picture(page: Page, site: str, cinema: Cinema) -> None:
    """On the page and on the full screen, which takes the whole player; no controls of the
    browser's own, which would take the picture alone."""
    watch(page, site, cinema.link(viewer_name="Dr. Ada Keller"))
    marks = page.get_by_test_id("watermark")
    expect(marks).to_contain_text("Dr. Ada Keller")
    inside = """() => {
      const [mark, video] = ['.watermark', 'video'].map((q) => document.querySelector(q));
      const [over, under] = [mark, video].map((e) => e.getBoundingClientRect());
      return over.left <= under.left && over.top <= under.top && over.right >= under.right
        && over.bottom >= under.bottom && !video.controls && video.disablePictureInPicture;
    }"""
    assert page.evaluate(inside)
    page.get_by_test_id("fullscreen").click()
    until(page, "document.fullscreenElement?.contains(document.querySelector('.watermark'))")
    assert page.evaluate(inside)
    page.get_by_test_id("fullscreen").click()
    until(page, "document.fullscreenElement === null")


def test_the_page_says_whose_it_is(page: Page, site: str, cinema: Cinema) -> None:
    """Who may see it, until when and how often; opening it again changes nothing."""
    link = cinema.link(max_views=2)
    for _ in range(3):
        page.goto(address(site, link))
        expect(page.get_by_test_id("viewer")).to_have_text("Jo Reader")
        expect(page.get_by_test_id("left")).to_have_text("2")
    expect(page.get_by_test_id("organisation")).to_have_text("St. Elsewhere")
    assert page.evaluate("document.querySelector('video').src") == ""
    page.get_by_test_id("watch").click()
    expect(page.get_by_test_id("player")).to_be_visible()
    page.goto(address(site, link))
    expect(page.get_by_test_id("left")).to_have_text("1")


@pytest.mark.parametrize(
    ("way", "title"),
    {
        "revoked": "This link is no longer valid",
        "deleted": "This recording has been deleted",
    }.items(),
)
def test_what_is_taken_back_ends_while_it_is_watched(
    page: Page, site: str, cinema: Cinema, way: str, title: str
) -> None:
    """With the next stretch that is asked for; the page says so, and the picture is gone."""
    link = cinema.link()
    watch(page, site, link)
    path = f"{cinema.links}/{link['id']}" if way == "revoked" else f"/recordings/{cinema.recording}"
    assert cinema.call.hospital.delete(path).status_code == 200
    page.get_by_test_id("seek").fill("55")
    expect(page.get_by_test_id("notice-title")).to_have_text(title)
    expect(page.get_by_test_id("player")).to_be_hidden()
    assert page.evaluate("document.querySelector('video').getAttribute('src')") is None


def test_a_link_that_is_used_up_meanwhile_says_so(
    page: Page, context: BrowserContext, site: str, cinema: Cinema
) -> None:
    """Two windows, one use."""
    link = cinema.link(max_views=1)
    other = context.new_page()
    for window in (page, other):
        window.goto(address(site, link))
    page.get_by_test_id("watch").click()
    expect(page.get_by_test_id("player")).to_be_visible()
    other.get_by_test_id("watch").click()
    expect(other.get_by_test_id("notice-title")).to_have_text("This link has been used up")


@pytest.mark.parametrize("size", [PHONE, WIDE], ids=["phone", "desktop"])
@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_nothing_is_wrong_for_who_sees_or_moves_differently(
    page: Page, site: str, cinema: Cinema, size: ViewportSize, language: str
) -> None:
    """The welcome and the player, as far as a machine can tell; nothing is wider than a screen."""
    page.set_viewport_size(size)
    page.goto(f"{address(site, cinema.link())}?lang={language}")
    assert violations(page) == []
    page.get_by_test_id("watch").click()
    page.get_by_test_id("play").click()
    until(page, f"{AT} > 0.2")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_keyboard_is_enough(page: Page, site: str, cinema: Cinema) -> None:
    """From the welcome to the picture and along it."""
    page.goto(address(site, cinema.link()))
    page.get_by_test_id("watch").press("Enter")
    expect(page.locator("#player-title")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_test_id("seek")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    until(page, f"{AT} > 0.2")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("End")
    until(page, f"{AT} >= {LENGTH_S - 1}")
