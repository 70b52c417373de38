"""The files panel: what is shared, by whom, who saw it; sharing, opening and deleting."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from tests.pages.axe import violations
from tests.pages.conftest import CODE, DRIVEN_MEETING, LinkService
from tests.pages.shared_files import MIB, shared
from tests.pages.steps import emit, join, meeting, wait_for

NARROW: ViewportSize = {"width": 360, "height": 740}
WIDE: ViewportSize = {"width": 1280, "height": 800}
LONG_S = 60.0
XRAY, LETTER, PHOTO = "chest.dcm", "letter.pdf", "rash.jpg"
FILES = [
    shared(XRAY, seen_by_names=["Robin Vogel", "Kim Lee"]),
    shared(LETTER, kind="prescription", has_preview=False, superseded_by_id="newer"),
    shared(
        PHOTO,
        kind="image",
        is_mine=True,
        state="scanning",
        reason="scanner_unavailable",
        shared_by_name="Max Muster",
    ),
    shared("bad.pdf", kind="document", is_mine=True, state="refused", reason="file_damaged"),
]


@pytest.fixture
def service() -> LinkService:
    """A patient who may share photos, with a few files there."""
    made = LinkService(permissions=["share_files", "see_images", "see_xrays"])
    made.shared.files = [dict(file) for file in FILES]
    made.shared.may_share = {"image": 25 * MIB, "document": 50 * MIB}
    return made


@pytest.fixture
def panel(page: Page, site: str) -> Page:
    """The patient's page with the files panel open."""
    join(page, site)
    page.get_by_test_id("files-button").click()
    expect(page.get_by_test_id("files-title")).to_be_focused()
    expect(page.get_by_test_id("files-list").get_by_role("listitem")).to_have_count(len(FILES))
    return page


def pick(page: Page, path: Path) -> None:
    """Choose a file as a person does."""
    with page.expect_file_chooser() as chooser:
        page.get_by_test_id("files-choose").click()
    chooser.value.set_files(path)


def made(folder: Path, name: str) -> Path:
    """Write a small file."""
    (folder / name).write_bytes(b"one piece")
    return folder / name


def drop(page: Page, *names: str) -> None:
    """Drop small files together."""
    transfer = page.evaluate_handle(
        """(names) => { const data = new DataTransfer();
          names.forEach((name) => data.items.add(new File(['dropped'], name))); return data; }""",
        list(names),
    )
    page.get_by_test_id("files-share").dispatch_event("drop", {"dataTransfer": transfer})


def pass_time(page: Page, until: Callable[[], bool]) -> None:
    """Have the page's clock go on a second at a time, until something is so."""
    deadline = monotonic() + LONG_S
    while not until():
        assert monotonic() < deadline, "it never came"
        page.clock.run_for(1000)
        page.wait_for_timeout(20)  # the server's clock is another


def test_a_file_says_what_it_is_and_who_saw_it(panel: Page) -> None:
    rows = panel.get_by_test_id("files-list")
    xray = rows.get_by_role("listitem").filter(has_text=XRAY)
    expect(xray).to_contain_text("X-ray (DICOM) · Dr. Ada Keller · 3 MB")
    expect(xray).to_contain_text("Seen by Robin Vogel, Kim Lee")
    expect(rows).to_contain_text("waits for the virus check")
    expect(rows).to_contain_text("not accepted: the file is damaged")
    expect(rows).to_contain_text("replaced by a newer one")


def test_the_newest_comes_first_and_photos_are_offered_first(panel: Page) -> None:
    names = panel.get_by_test_id("files-list").locator("strong").all_text_contents()
    assert names == [file["name"] for file in FILES]
    kinds = panel.get_by_test_id("files-kind").locator("option").all_text_contents()
    assert kinds == ["Photo", "Document"]


def test_only_what_is_there_is_opened_and_only_ones_own_is_deleted(panel: Page) -> None:
    expect(panel.get_by_role("button", name=f"Open: {XRAY}")).to_be_visible()
    expect(panel.get_by_role("button", name=f"Delete: {XRAY}")).to_be_hidden()
    expect(panel.get_by_role("button", name=f"Open: {PHOTO}")).to_be_hidden()
    expect(panel.get_by_role("button", name=f"Delete: {PHOTO}")).to_be_visible()


def test_a_preview_opens_and_closes(panel: Page, service: LinkService) -> None:
    look = panel.get_by_role("button", name=f"Preview: {XRAY}")
    look.click()
    expect(panel.get_by_role("img", name=f"Preview of {XRAY}")).to_be_visible()
    expect(look).to_have_attribute("aria-expanded", "true")
    look.click()
    expect(panel.get_by_role("img", name=f"Preview of {XRAY}")).to_have_count(0)
    assert service.shared.opened == [(XRAY, True)]


def test_a_file_is_opened_as_a_download(panel: Page, service: LinkService) -> None:
    with panel.expect_download() as download:
        panel.get_by_role("button", name=f"Open: {LETTER}").click()
    assert download.value.suggested_filename == LETTER
    assert service.shared.opened == [(LETTER, False)]


def test_a_photo_is_sent_in_pieces_over_a_bad_network(
    panel: Page, service: LinkService, tmp_path: Path
) -> None:
    """A piece that finds nobody is sent again, from where the file ends."""
    content = bytes(range(256)) * 10_000
    (tmp_path / "new.jpg").write_bytes(content)
    service.shared.lost = 1
    pick(panel, tmp_path / "new.jpg")
    expect(panel.get_by_test_id("files-said")).to_have_text(
        "new.jpg was sent and is being checked."
    )
    assert service.shared.received == {"new.jpg": content}


def test_a_photo_arrives_over_a_slow_line(
    panel: Page, service: LinkService, tmp_path: Path
) -> None:
    """Each time it goes on behind what was kept."""
    content = bytes(range(256)) * 2000
    (tmp_path / "new.jpg").write_bytes(content)
    service.shared.slow = 3
    pick(panel, tmp_path / "new.jpg")
    expect(panel.get_by_test_id("files-said")).to_have_text(
        "new.jpg was sent and is being checked.", timeout=15_000
    )
    assert service.shared.received == {"new.jpg": content}


def test_many_photos_are_sent_two_at_a_time(panel: Page, service: LinkService) -> None:
    """The others say that they wait, and are not announced before it is their turn."""
    names = [f"{number}.jpg" for number in range(6)]
    service.shared.takes.clear()
    drop(panel, *names)
    rows = panel.get_by_test_id("files-list").get_by_role("listitem")
    expect(rows.filter(has_text="waits for its turn")).to_have_count(4)
    panel.get_by_role("button", name="Stop sending 5.jpg").click()
    expect(panel.get_by_test_id("files-said")).to_have_text("5.jpg was not sent.")
    expect(rows.filter(has_text="waits for its turn")).to_have_count(3)
    assert set(service.shared.received) <= {"0.jpg", "1.jpg"}
    service.shared.takes.set()
    expect(rows).to_have_count(len(FILES))
    assert service.shared.received == dict.fromkeys(names[:5], b"dropped")
    assert service.shared.deleted == []


def test_a_busy_service_is_no_reason_to_give_up(
    panel: Page, service: LinkService, tmp_path: Path
) -> None:
    """However often it says so."""
    panel.clock.install()
    service.shared.lost = 40
    pick(panel, made(tmp_path, "new.jpg"))
    pass_time(panel, lambda: service.shared.lost == 0)
    pass_time(panel, lambda: service.shared.received == {"new.jpg": b"one piece"})
    expect(panel.get_by_test_id("files-said")).to_contain_text("new.jpg was sent")


def test_an_upload_goes_on_as_soon_as_there_is_a_network_again(
    panel: Page, service: LinkService, tmp_path: Path
) -> None:
    """After an hour in a tunnel that swallowed what was on its way."""
    panel.clock.install()
    service.shared.takes.clear()
    with panel.expect_request("**/uploads/*"):
        pick(panel, made(tmp_path, "new.jpg"))
    panel.context.set_offline(True)
    row = panel.get_by_test_id("files-list").get_by_role("listitem").filter(has_text="new.jpg")
    pass_time(panel, lambda: "no connection; goes on by itself" in row.inner_text())
    panel.clock.fast_forward(60 * 60 * 1000)
    expect(row).to_contain_text("no connection; goes on by itself")
    panel.clock.pause_at(datetime.now(UTC) + timedelta(days=1))
    service.shared.takes.set()
    panel.context.set_offline(False)
    expect(panel.get_by_test_id("files-said")).to_contain_text("new.jpg was sent")
    assert service.shared.received == {"new.jpg": b"one piece"}


def test_a_pause_ends_when_somebody_stops_it(
    panel: Page, service: LinkService, tmp_path: Path
) -> None:
    """At once, and nothing is left of it."""
    service.shared.lost = 1
    panel.clock.install()
    panel.clock.pause_at(datetime.now(UTC) + timedelta(days=1))
    with panel.expect_response("**/uploads/*"):
        pick(panel, made(tmp_path, "new.jpg"))
    panel.get_by_role("button", name="Stop sending new.jpg").click()
    expect(panel.get_by_test_id("files-said")).to_have_text("new.jpg was not sent.")
    assert service.shared.deleted == ["new.jpg"]


@pytest.mark.parametrize("status", [403, 404, 410, 413, 422])
def test_what_is_refused_for_good_leaves_nothing(
    panel: Page, service: LinkService, tmp_path: Path, status: int
) -> None:
    """It would count towards what a session may have."""
    service.shared.final = status
    pick(panel, made(tmp_path, "new.jpg"))
    expect(panel.get_by_test_id("files-said")).to_have_text("new.jpg was not sent.")
    assert service.shared.deleted == ["new.jpg"]


def test_who_stops_as_the_last_piece_arrives_has_not_sent_it(
    panel: Page, service: LinkService, tmp_path: Path
) -> None:
    """It is deleted, and nobody is told otherwise."""
    (tmp_path / "new.jpg").write_bytes(b"one piece")

    def stopped_meanwhile(route: Route) -> None:
        panel.evaluate("document.querySelector('[aria-label=\"Stop sending new.jpg\"]').click()")
        route.continue_()

    panel.route("**/uploads/*", stopped_meanwhile)
    pick(panel, tmp_path / "new.jpg")
    expect(panel.get_by_test_id("files-said")).to_have_text("new.jpg was not sent.")
    assert service.shared.deleted == ["new.jpg"]


def test_what_is_too_large_is_not_begun(panel: Page, service: LinkService, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    pick(panel, tmp_path / "empty.jpg")
    expect(panel.get_by_test_id("files-said")).to_contain_text("empty, or larger than 25 MB")
    assert service.shared.received == {}


def test_a_file_can_be_dropped(panel: Page, service: LinkService) -> None:
    drop(panel, "drop.jpg")
    expect(panel.get_by_test_id("files-said")).to_contain_text("drop.jpg was sent")
    assert service.shared.received == {"drop.jpg": b"dropped"}


def test_deleting_asks_first(panel: Page, service: LinkService) -> None:
    delete = panel.get_by_role("button", name=f"Delete: {PHOTO}")
    delete.click()
    expect(panel.get_by_test_id("dialog-no")).to_be_focused()
    panel.keyboard.press("Escape")
    assert service.shared.deleted == []
    delete.click()
    panel.get_by_test_id("dialog-yes").click()
    expect(panel.get_by_test_id("files-list")).not_to_contain_text(PHOTO)
    assert service.shared.deleted == [PHOTO]


def test_a_new_file_is_told_to_who_looks_elsewhere(
    page: Page, site: str, service: LinkService
) -> None:
    join(page, site)
    page.get_by_test_id("files-button").click()
    expect(page.get_by_test_id("files-list")).to_contain_text(XRAY)
    page.get_by_test_id("files-close").click()
    expect(page.get_by_test_id("files-button")).to_be_focused()
    service.shared.files.append(shared("new.dcm"))
    expect(page.get_by_test_id("toast")).to_contain_text("Dr. Ada Keller has shared a file.")


def test_who_has_nothing_to_do_with_files_does_not_load_them(
    page: Page, site: str, service: LinkService
) -> None:
    service.permissions = ["chat"]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    join(page, site)
    expect(page.get_by_test_id("files-button")).to_be_hidden()
    assert not [url for url in asked if "/js/files" in url or url.endswith("/files")]


def test_who_shares_nothing_is_offered_no_form(page: Page, site: str, service: LinkService) -> None:
    service.shared.may_share = {}
    service.shared.files = []
    join(page, site)
    page.get_by_test_id("files-button").click()
    expect(page.get_by_test_id("files-none")).to_be_visible()
    expect(page.get_by_test_id("files-share")).to_be_hidden()


def test_keys_alone_do_it_all(page: Page, site: str, service: LinkService) -> None:
    """Open, look at a picture, close; the focus is always somewhere sensible."""
    join(page, site)
    expect(page.get_by_test_id("files-button")).to_be_visible()
    page.get_by_test_id("files-button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("files-list").get_by_role("listitem")).to_have_count(len(FILES))
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.ariaLabel") == f"Preview: {XRAY}":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name=f"Preview of {XRAY}")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("files")).to_be_hidden()
    expect(page.get_by_test_id("files-button")).to_be_focused()


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param(NARROW, "dark", id="phone-dark"),
        pytest.param(WIDE, "light", id="desktop-light"),
        pytest.param(NARROW, "light", id="phone-light", marks=pytest.mark.long),
        pytest.param(WIDE, "dark", id="desktop-dark", marks=pytest.mark.long),
    ],
)
def test_the_panel_passes_axe_and_fits(
    browser: Browser, site: str, service: LinkService, size: ViewportSize, scheme: str
) -> None:
    """In each language; also for a doctor, who has the most buttons."""
    service.permissions = [*service.permissions, "moderate", "share_screen"]
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.route(
        "**/js/meeting-lib.js",
        lambda route: route.fulfill(content_type="text/javascript", body=DRIVEN_MEETING),
    )
    for number, language in enumerate(("en", "de", "fr")):
        page.goto(f"{site}/j/{CODE}?lang={language}")
        if number == 0:  # a reload in the middle of a call goes on with it
            page.get_by_test_id("enter").click()
        meeting(page, 1)
        emit(page, "joined", {"id": "me"})
        wait_for(page, "in-call")
        page.get_by_test_id("files-button").click()
        rows = page.get_by_test_id("files-list").get_by_role("listitem")
        expect(rows).to_have_count(len(FILES))
        shot(page, f"files-{language}-{size['width']}-{scheme}")
        assert violations(page) == [], language
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], language
    context.close()


def shot(page: Page, name: str) -> None:
    """Keep a picture for whoever wants to look (SHOTS names a folder)."""
    import os

    if os.environ.get("SHOTS"):
        page.screenshot(path=f"{os.environ['SHOTS']}/{name}.png")
