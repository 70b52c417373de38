"""The HTML behind a link, its headers and its files, without a browser."""

import re

import pytest
from flask.testing import FlaskClient

from app.pages import assets
from app.pages.security import content_policy, permissions_policy
from tests.pages.conftest import CODE, LinkService

PAGE = f"/j/{CODE}"


def test_it_says_who_you_are_with_whom_and_when(client: FlaskClient) -> None:
    text = client.get(PAGE, headers={"Accept-Language": "en"}).text

    assert "Max &lt;/script&gt;&lt;b&gt;Muster" in text
    assert "Dr. Ada Keller" in text
    assert "2030-05-14T12:30:00+00:00" in text
    assert "Spital &lt;Nord&gt;" in text


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "", "de"),
        ("", "fr-CH,fr;q=0.9,en;q=0.5", "fr"),
        ("", "pl,cs", "de"),
        ("?lang=fr", "en", "fr"),
        ("?lang=xx", "en", "en"),
    ],
)
def test_the_language_is_the_one_picked_then_the_browsers_then_the_noted_one(
    client: FlaskClient, query: str, accepted: str, language: str
) -> None:
    text = client.get(PAGE + query, headers={"Accept-Language": accepted}).text

    assert f'<html lang="{language}">' in text


@pytest.mark.parametrize(
    ("reason", "status", "state"),
    [
        ("", 200, "lobby"),
        ("waiting-for-host", 200, "lobby"),
        ("too-early", 200, "too-early"),
        ("session-ended", 200, "ended"),
        ("session-cancelled", 200, "cancelled"),
        ("removed", 200, "removed"),
        ("link-revoked", 410, "link-revoked"),
        ("link-expired", 410, "link-expired"),
    ],
)
def test_every_standing_has_its_page(
    client: FlaskClient, service: LinkService, reason: str, status: int, state: str
) -> None:
    service.reason = reason

    answer = client.get(PAGE)

    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert f'data-state="{state}"' in answer.text


def test_an_unknown_link_and_a_fault_are_calm_pages_without_details(client: FlaskClient) -> None:
    unknown, broken = client.get("/j/nobody"), client.get("/j/broken")

    assert (unknown.status_code, broken.status_code) == (404, 500)
    assert 'data-state="link-unknown"' in unknown.text
    assert 'data-state="failed"' in broken.text
    assert "a fault while" not in broken.text


@pytest.mark.parametrize("path", [PAGE, "/j/nobody", "/j/broken"])
def test_every_page_is_sealed(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r'(style|onclick|onload)="', answer.text)
    assert not re.search(r'(src|href)="(https?:)?//', answer.text)


def test_scripts_in_the_page_are_files_or_data(client: FlaskClient) -> None:
    scripts = re.findall(r"<script([^>]*)>", client.get(PAGE).text)

    assert scripts
    assert all("src=" in each or 'type="application/json"' in each for each in scripts)


def test_the_policies_name_the_hospitals_jitsi_only() -> None:
    policy = content_policy("https://meet.hospital.example", "", "")

    assert "script-src 'self' https://meet.hospital.example;" in policy
    assert "frame-src https://meet.hospital.example;" in policy
    assert 'camera=(self "https://meet.hospital.example")' in permissions_policy(
        "https://meet.hospital.example"
    )
    other = content_policy("", "wss://xmpp.example", "https://stream.example")
    assert "frame-src 'none'" in other
    assert "connect-src 'self' wss://xmpp.example https://stream.example;" in other


def test_the_present_version_of_a_file_is_kept_for_ever_and_another_is_asked_for_again(
    client: FlaskClient,
) -> None:
    name = "js/main.js"
    now, before = client.get(f"/assets/{assets.build()}/{name}"), client.get(f"/assets/0/{name}")

    assert now.headers["Cache-Control"] == assets.FOR_EVER
    assert before.headers["Cache-Control"] == assets.ASK_AGAIN
    again = client.get(f"/assets/0/{name}", headers={"If-None-Match": before.headers["ETag"]})
    assert again.status_code == 304


def test_files_travel_packed_when_the_browser_can(client: FlaskClient) -> None:
    path = f"/assets/{assets.build()}/css/page.css"
    plain = client.get(path)
    packed = client.get(path, headers={"Accept-Encoding": "gzip, br"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < len(plain.data) / 2
    assert plain.mimetype == "text/css"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/0/../routes.py",
        "/assets/0/js/nothing.js",
        "/assets/vendor/jquery/jquery.js",
        "/assets/vendor/lib-jitsi-meet/package.json",
        "/assets/vendor/../../pyproject.toml",
    ],
)
def test_nothing_else_is_served(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_vendored_client_is_served_exactly(client: FlaskClient) -> None:
    for name, source in assets.VENDOR.items():
        assert (
            client.get(f"/assets/vendor/{name}").data == (assets.NODE_MODULES / source).read_bytes()
        )
