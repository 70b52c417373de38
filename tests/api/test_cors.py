"""Which web pages elsewhere may call the API."""

from dataclasses import replace

import pytest
from flask import Flask

from app.factory import create_app
from app.services import Services
from tests.api.hospital import Hospital

EHR = "https://ehr.hospital.example"


def api(services: Services, *origins: str) -> Flask:
    """Return an API that allows these origins."""
    settings = replace(services.settings, cors_origins=origins)
    return create_app(replace(services, settings=settings))


def preflight(app: Flask, path: str, origin: str = EHR) -> dict[str, str]:
    """Ask as a browser does before a PATCH; return the headers of the answer."""
    answer = app.test_client().options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization, if-match, idempotency-key",
        },
    )
    return dict(answer.headers)


def test_an_allowed_page_may_call_and_read_what_it_needs(
    services: Services, alice: Hospital
) -> None:
    """ETag, Location and the rest are exposed to its script."""
    app = api(services, EHR)
    path = f"/sessions/{alice.new_session()['id']}"
    asked = preflight(app, path)
    assert asked["Access-Control-Allow-Origin"] == EHR
    assert "PATCH" in asked["Access-Control-Allow-Methods"]
    for name in ("authorization", "if-match", "idempotency-key"):
        assert name in asked["Access-Control-Allow-Headers"].lower()
    answer = replace(alice, app=app).get(path, headers={"Origin": EHR})
    assert answer.headers["Access-Control-Allow-Origin"] == EHR
    exposed = answer.headers["Access-Control-Expose-Headers"]
    for name in ("ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After"):
        assert name in exposed.split(", ")


def test_refusals_can_be_read_too(services: Services) -> None:
    """Or a script could not tell why."""
    answer = api(services, EHR).test_client().get("/sessions", headers={"Origin": EHR})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == EHR


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://ehr.hospital.example", f"{EHR}.evil.example", "null"]
)
def test_no_other_page_may(services: Services, alice: Hospital, origin: str) -> None:
    """Neither asking before nor trying."""
    app = api(services, EHR)
    assert "Access-Control-Allow-Origin" not in preflight(app, "/sessions", origin)
    answer = replace(alice, app=app).get("/sessions", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_by_default_none_may(app: Flask) -> None:
    """The setting is empty."""
    assert "Access-Control-Allow-Origin" not in preflight(app, "/sessions")


@pytest.mark.parametrize("origins", [(EHR,), ("*",)])
def test_a_cookie_is_never_for_others(services: Services, origins: tuple[str, ...]) -> None:
    """Without the credentials header a browser keeps the answer from the script."""
    asked = preflight(api(services, *origins), "/sessions")
    assert asked["Access-Control-Allow-Origin"] in (EHR, "*")
    assert "Access-Control-Allow-Credentials" not in asked


@pytest.mark.parametrize(
    "path",
    ["/staff/me", "/staff/sign-out", "/j/abc/token", "/internal/rooms/events", "/docs"],
)
def test_what_is_for_our_own_pages_stays_so(services: Services, path: str) -> None:
    """Whatever origins are allowed."""
    assert "Access-Control-Allow-Origin" not in preflight(api(services, "*"), path)
