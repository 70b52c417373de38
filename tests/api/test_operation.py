"""How the service shows that it is well, and what it says when a part of it is not."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from app.adapters.memory import MemoryRooms
from app.db.engine import Database
from app.errors import Unavailable
from app.factory import create_app
from app.organisations.keys import KeyRing
from app.ports import Pings, RoomOrder
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.prosody import Prosody, invite


class Well(Pings):
    """A part that answers."""

    def ping(self) -> None:
        """Answer."""


class Silent(Pings):
    """A part that does not."""

    def ping(self) -> None:
        """Say so."""
        raise Unavailable("It is silent.", code="silent")


class Faulty(MemoryRooms):
    """Rooms with a fault nobody thought of."""

    def execute(self, order: RoomOrder, *, timeout_s: float) -> dict[str, Any]:
        """Fail with a text that nobody outside may read."""
        raise RuntimeError("the password is swordfish")


@pytest.fixture
def without_database(services: Services) -> Flask:
    """The application when nobody listens where PostgreSQL should be."""
    url = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"
    nothing = Database(url, pool_size=1, application="test")
    keys = KeyRing(nothing, services.vault)
    return create_app(replace(services, database=nothing, keys=keys))


def family(text: str) -> dict[str, float]:
    """Return the samples of a Prometheus page."""
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for one in families for sample in one.samples}


@pytest.mark.parametrize(
    ("health", "code", "status"),
    [
        ({"database": Well(), "redis": Well()}, 200, "ok"),
        ({"database": Well(), "redis": Silent()}, 200, "degraded"),
        ({"database": Silent(), "redis": Well()}, 503, "down"),
    ],
)
def test_health_says_which_part_is_at_fault(
    services: Services, health: dict[str, Pings], code: int, status: str
) -> None:
    """503 only without the database: a load balancer must not stop what still works."""
    answer = create_app(replace(services, health=health)).test_client().get("/health")
    body = answer.get_json()
    assert (answer.status_code, body["status"]) == (code, status)
    for name, part in health.items():
        check = body["checks"][name]
        if isinstance(part, Silent):
            assert check == {"status": "failed", "detail": "It is silent."}
        else:
            assert check["status"] == "ok"
            assert check["latency_ms"] >= 0


def test_health_looks_at_the_real_parts(app: Flask) -> None:
    """Here PostgreSQL runs, Redis, the gateway and the scanner do not."""
    body = app.test_client().get("/health").get_json()
    assert body["status"] == "degraded"
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "database": "ok",
        "redis": "failed",
        "gateway": "failed",
        "scanner": "failed",
    }


def test_stats_and_metrics_count_rooms_and_people(
    app: Flask, services: Services, alice: Hospital, prosody: Prosody
) -> None:
    """A3: a room is active while somebody is in it."""
    client = app.test_client()
    before = family(client.get("/metrics").text)
    rooms_before = alice.get("/stats").get_json()["activeRooms"]
    session = alice.new_session()
    doctor, patient = (invite(services, alice, session, role) for role in ("doctor", "patient"))
    prosody.tell(doctor.joined(connection="a"), patient.joined(connection="b"))
    stats = alice.get("/stats").get_json()
    assert set(stats) == {"activeRooms", "timestamp"}
    assert stats["activeRooms"] == rooms_before + 1
    during = family(client.get("/metrics").text)
    assert during["active_rooms"] == before["active_rooms"] + 1
    assert during["participants_total"] == before["participants_total"] + 2
    prosody.tell(doctor.left(connection="a"), patient.left("disconnected", connection="b"))
    after = family(client.get("/metrics").text)
    assert after["active_rooms"] == before["active_rooms"]
    assert after["connection_failures"] == before["connection_failures"] + 1
    assert after["call_duration_seconds_count"] == before["call_duration_seconds_count"] + 2


def test_stats_are_of_the_callers_organisation(
    services: Services, alice: Hospital, charlie: Hospital, prosody: Prosody
) -> None:
    """What another hospital does is not even a number."""
    prosody.tell(invite(services, alice, alice.new_session(), "doctor").joined())
    assert alice.get("/stats").get_json()["activeRooms"] == 1
    assert charlie.get("/stats").get_json()["activeRooms"] == 0


@pytest.mark.parametrize(
    ("shown", "status"),
    [("Bearer scrape", 200), ("", 401), ("Bearer scrap", 401), ("scrape", 401), ("Bearer ü", 401)],
)
def test_metrics_are_for_prometheus_alone_when_the_operator_says_so(
    services: Services, shown: str, status: int
) -> None:
    """METRICS_TOKEN, as Prometheus sends it."""
    settings = replace(services.settings, metrics_token="scrape")
    app = create_app(replace(services, settings=settings))
    answer = app.test_client().get("/metrics", headers={"Authorization": shown})
    assert answer.status_code == status
    if status == 401:
        assert answer.get_json()["code"] == "metrics_token_wrong"


def test_without_the_database_the_service_says_to_come_again(
    without_database: Flask, alice: Hospital
) -> None:
    """503 with `Retry-After`, for hospitals and for people at a link."""
    lost = replace(alice, app=without_database)
    click = without_database.test_client().post("/j/" + "a" * 26 + "/token")
    for answer in (lost.get("/sessions"), lost.post("/sessions", json={}), click):
        body = answer.get_json()
        assert (answer.status_code, body["code"]) == (503, "database_unavailable")
        assert body["retryable"] is True
        assert int(answer.headers["Retry-After"]) > 0
        assert "127.0.0.1" not in answer.text


def test_a_fault_of_ours_is_logged_and_not_shown(
    services: Services, alice: Hospital, capfd: pytest.CaptureFixture[str]
) -> None:
    """500 with the request's id, under which the log has the rest."""
    broken = replace(alice, app=create_app(replace(services, rooms=Faulty())))
    session = alice.new_session()["id"]
    answer = broken.post(f"/sessions/{session}/messages", json={"text": "x"})
    assert (answer.status_code, answer.get_json()["code"]) == (500, "internal_error")
    assert answer.content_type == "application/problem+json"
    assert "swordfish" not in answer.text
    out, _ = capfd.readouterr()
    assert answer.headers["X-Request-Id"] in out
    assert "RuntimeError" in out


def test_a_fault_after_the_commit_leaves_the_decision_standing(
    services: Services, alice: Hospital
) -> None:
    """The session has ended, and the order to the room waits to be repeated."""
    broken = replace(alice, app=create_app(replace(services, rooms=Faulty())))
    session = alice.new_session()["id"]
    broken.post(f"/sessions/{session}/end")
    assert alice.get(f"/sessions/{session}").get_json()["state"] == "ended"


def test_the_documentation_is_served_from_here(app: Flask) -> None:
    """Without any other host, and with a policy that allows none."""
    client = app.test_client()
    assert client.get("/").headers["Location"] == "/docs"
    page = client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert b"://" not in page.data
    page.close()
    for name in ("docs.js", "swagger-ui.css", "swagger-ui-bundle.js"):
        file = client.get(f"/docs/{name}")
        assert file.status_code == 200, name
        file.close()
    assert client.get("/docs/package.json").status_code == 404
