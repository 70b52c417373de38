"""How often callers may ask, counted in a real Redis, and not at all without one."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from werkzeug.test import TestResponse

from app.adapters.limits_redis import RedisLimiter
from app.clock import utc_now
from app.factory import create_app
from app.localstack.supervisor import LocalStack
from app.organisations import clients
from app.participants.routes import link_state
from app.services import Services
from app.setting_values import Rate
from app.web.limits import LINK_ENDPOINTS
from tests.api.hospital import Hospital
from tests.api.records import audit_of, code_of

# Longer than any test, and no window of it ends while one runs but once in weeks.
WINDOW_S = 10_000_000
HERE = {"REMOTE_ADDR": "203.0.113.7"}
ELSEWHERE = {"REMOTE_ADDR": "198.51.100.9"}
Limited = Callable[..., Flask]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A Redis of this module's own."""
    with LocalStack(tmp_path_factory.mktemp("redis"), parts={"redis"}, durable=False) as stack:
        yield stack


def emptied(server: LocalStack) -> RedisLimiter:
    """Return a limiter over an empty Redis."""
    with Redis.from_url(server.redis.url) as client:
        client.flushall()
    return RedisLimiter(server.redis.url)


@pytest.fixture
def limited(services: Services, server: LocalStack) -> Limited:
    """Return an API with other limits, over an empty Redis."""
    limiter = emptied(server)

    def make(*, noted: int = 600, **rates: int) -> Flask:
        chosen: dict[str, Any] = {
            f"rate_limit_{name}": Rate(amount, WINDOW_S) for name, amount in rates.items()
        }
        chosen["audit_refusals"] = Rate(noted, WINDOW_S)
        settings = replace(services.settings, **chosen)
        return create_app(replace(services, settings=settings, limiter=limiter))

    return make


def sign_in(
    app: Flask, hospital: Hospital, place: dict[str, str], secret: str | None = None
) -> TestResponse:
    """Ask for a token from a place."""
    pair = f"{hospital.client_id}:{secret or hospital.client_secret}"
    return app.test_client().post(
        "/oauth/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {b64encode(pair.encode()).decode()}"},
        environ_base=place,
    )


def refused(answer: TestResponse, code: str) -> None:
    """Check that an answer says to wait, in the ways programs understand."""
    body = answer.get_json()
    assert (answer.status_code, body["code"], body["retryable"]) == (429, code, True), body
    assert answer.content_type == "application/problem+json"
    assert 0 < int(answer.headers["Retry-After"]) <= WINDOW_S


def test_a_caller_sees_what_is_left_and_is_stopped_at_the_end(
    limited: Limited, alice: Hospital, charlie: Hospital
) -> None:
    """The headers of the IETF draft on each answer; another caller is not concerned."""
    app = limited(caller=3)
    hers, his = replace(alice, app=app), replace(charlie, app=app)
    for left in (2, 1, 0):
        answer = hers.get("/sessions")
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == f'"caller";q=3;w={WINDOW_S}'
        assert answer.headers["RateLimit"].startswith(f'"caller";r={left};t=')
    stopped = hers.get("/sessions")
    refused(stopped, "rate_limited")
    assert stopped.headers["RateLimit"].startswith('"caller";r=0;t=')
    assert his.get("/sessions").status_code == 200


def test_what_was_stopped_changed_nothing(limited: Limited, alice: Hospital) -> None:
    """The limit stands before the work."""
    hers = replace(alice, app=limited(caller=1))
    assert hers.get("/sessions").get_json()["items"] == []
    refused(hers.post("/sessions", json={}), "rate_limited")
    assert alice.get("/sessions").get_json()["items"] == []


def test_processes_count_together(limited: Limited, alice: Hospital) -> None:
    """Whichever of them a request reaches."""
    first, second = (replace(alice, app=limited(caller=2)) for _ in range(2))
    assert first.get("/sessions").status_code == second.get("/sessions").status_code == 200
    refused(first.get("/sessions"), "rate_limited")
    refused(second.get("/sessions"), "rate_limited")


def test_what_is_counted_ahead_is_used_up_before_more_is_counted(server: LocalStack) -> None:
    """By the process that counted it; together they never go over the limit."""
    first, second = emptied(server), RedisLimiter(server.redis.url)

    def used(limiter: RedisLimiter) -> int:
        allowance = limiter.hit("caller:x", amount=6, window_s=WINDOW_S, ahead=3)
        assert allowance is not None
        return allowance.used

    assert [used(first), used(second), used(first), used(second)] == [1, 4, 2, 5]
    assert [used(first), used(first), used(second), used(second)] == [3, 7, 6, 10]


def test_what_was_counted_ahead_ends_with_its_window(server: LocalStack) -> None:
    """And nobody has more for having asked little before."""
    limiter = emptied(server)
    for window_s in (WINDOW_S, WINDOW_S // 2):
        allowance = limiter.hit("caller:x", amount=6, window_s=window_s, ahead=3)
        assert allowance is not None
        assert allowance.used == 1


def test_who_shows_no_good_token_is_counted_by_address(limited: Limited, alice: Hospital) -> None:
    """And whoever has one goes on, from the same address."""
    app = limited(address=2)
    strangers = app.test_client()
    for _ in range(2):
        assert strangers.get("/sessions", environ_base=HERE).status_code == 401
    refused(strangers.get("/sessions", environ_base=HERE), "rate_limited")
    assert strangers.get("/sessions", environ_base=ELSEWHERE).status_code == 401
    assert replace(alice, app=app).get("/sessions", environ_base=HERE).status_code == 200


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("203.0.113.7", "203.0.113.8", False),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
    ],
)
def test_one_machine_is_one_address(limited: Limited, one: str, other: str, is_same: bool) -> None:
    """Of IPv6 a machine has a whole network."""
    client = limited(address=1).test_client()
    client.get("/sessions", environ_base={"REMOTE_ADDR": one})
    answer = client.get("/sessions", environ_base={"REMOTE_ADDR": other})
    assert answer.status_code == (429 if is_same else 401)


@pytest.mark.parametrize(("proxies", "status"), [(0, 429), (1, 401), (2, 429)])
def test_the_address_behind_our_own_proxies_counts(
    services: Services, server: LocalStack, proxies: int, status: int
) -> None:
    """As many as the operator says, so that nobody writes an address of their choice."""
    settings = replace(
        services.settings, trusted_proxies=proxies, rate_limit_address=Rate(1, WINDOW_S)
    )
    limiter = emptied(server)
    client = create_app(replace(services, settings=settings, limiter=limiter)).test_client()
    for address in ("198.51.100.1", "198.51.100.2"):
        answer = client.get(
            "/sessions", headers={"X-Forwarded-For": f"192.0.2.1, {address}"}, environ_base=HERE
        )
    assert answer.status_code == status


def test_wrong_secrets_close_the_door_for_that_client_from_there(
    limited: Limited, alice: Hospital, charlie: Hospital, services: Services
) -> None:
    """Even to the right secret; elsewhere it works, and for another client, too."""
    app = limited(sign_in=3)
    for number in range(3):
        assert sign_in(app, alice, HERE, f"guess-{number}").status_code == 401
    refused(sign_in(app, alice, HERE), "sign_in_throttled")
    assert sign_in(app, alice, ELSEWHERE).status_code == 200
    assert sign_in(app, charlie, HERE).status_code == 200
    refusals = [e for e in audit_of(services, alice.organisation_id) if e.outcome == "refused"]
    codes = [entry.detail["code"] for entry in refusals]
    assert codes == ["client_invalid"] * 3 + ["sign_in_throttled"]


def test_wrong_secrets_for_many_clients_close_the_door_for_the_address(
    limited: Limited, alice: Hospital
) -> None:
    """Five times as many: one address may be a whole hospital."""
    app = limited(sign_in=2)
    for number in range(10):
        stranger = replace(alice, client_id=number)  # type: ignore[arg-type]
        assert sign_in(app, stranger, HERE).status_code == 401
    refused(sign_in(app, alice, HERE), "sign_in_throttled")
    assert sign_in(app, alice, ELSEWHERE).status_code == 200


def test_right_secrets_are_not_counted(limited: Limited, alice: Hospital) -> None:
    """A program that signs in often is none that guesses."""
    app = limited(sign_in=2)
    assert [sign_in(app, alice, HERE).status_code for _ in range(12)] == [200] * 12


@pytest.mark.parametrize(("method", "path"), [("POST", "/j/{}/token"), ("GET", "/j/{}/state")])
def test_guesses_of_links_are_slowed_down_and_known_links_are_not(
    limited: Limited, alice: Hospital, method: str, path: str
) -> None:
    """Behind one address may be a whole ward."""
    person = alice.invite(alice.new_session()["id"], role="doctor")
    client = limited(links=2).test_client()

    def ask(code: str) -> TestResponse:
        return client.open(path.format(code), method=method, environ_base=HERE)

    assert [ask(f"{number:026}").status_code for number in range(2)] == [404, 404]
    refused(ask("3" * 26), "rate_limited")
    assert ask(code_of(person)).status_code == 200


UNKNOWN = "x" * 26
BEARER = {"Authorization": "Bearer forged"}
WRONG = {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "guessed"}
# What strangers reach, and how each refusal is noted.
DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "a link": ("link.opened", {"method": "POST", "path": f"/j/{UNKNOWN}/token"}),
    "its state": ("link.opened", {"path": f"/j/{UNKNOWN}/state"}),
    "its page": ("link.opened", {"path": f"/j/{UNKNOWN}"}),
    "its controls": ("link.used", {"path": f"/j/{UNKNOWN}/people"}),
    "Prosody's": ("room.signature_refused", {"method": "POST", "path": "/internal/rooms/events"}),
    "the API": ("api.called", {"path": "/sessions", "headers": BEARER}),
    "sign-in": ("client.signed_in", {"method": "POST", "path": "/oauth/token", "data": WRONG}),
}


def noted(services: Services, hospital: Hospital | None, action: str) -> list[int]:
    """Return the refusals in the log as the numbers they tell of; 0: of itself alone."""
    found = audit_of(services, hospital.organisation_id if hospital else None)
    refusals = [entry for entry in found if entry.action == action and entry.outcome == "refused"]
    return [entry.detail.get("further", 0) for entry in refusals]


@pytest.mark.parametrize(("action", "knock"), DOORS.values(), ids=DOORS)
def test_no_stranger_fills_the_audit_log(
    limited: Limited, services: Services, action: str, knock: dict[str, Any]
) -> None:
    """Each of the first is an entry; then one tells how many more there were, as that doubles,
    also when the answer is already to wait."""
    client = limited(noted=3, links=5).test_client()
    before = noted(services, None, action)
    for _ in range(11):
        assert client.open(**knock, environ_base=HERE).status_code >= 400
    assert noted(services, None, action)[len(before) :] == [0, 0, 0, 1, 2, 4, 8]
    client.open(**knock, environ_base=ELSEWHERE)
    assert noted(services, None, action)[len(before) :][-1] == 0


def test_many_places_do_not_fill_it_either(limited: Limited, services: Services) -> None:
    """Ten times as many from everywhere; and then they are counted together."""
    client, before = limited(noted=1).test_client(), noted(services, None, "link.opened")
    for number in range(14):
        client.post(f"/j/{UNKNOWN}/token", environ_base={"REMOTE_ADDR": f"192.0.2.{number}"})
    assert noted(services, None, "link.opened")[len(before) :] == [0] * 10 + [1, 2, 4]


def test_strangers_do_not_hide_what_known_people_try(
    limited: Limited, services: Services, alice: Hospital
) -> None:
    """Who was put out is counted alone, and as little without end."""
    person = alice.invite(alice.new_session()["id"], role="doctor")
    alice.delete(f"/sessions/{person['session_id']}/participants/{person['id']}")
    client = limited(noted=2).test_client()
    for code in [UNKNOWN] * 30 + [code_of(person)] * 4:
        client.post(f"/j/{code}/token", environ_base=HERE)
    assert noted(services, alice, "link.opened") == [0, 0, 1, 2]


def test_guesses_at_the_controls_are_slowed_down(limited: Limited) -> None:
    """As at every other door of a link."""
    client = limited(links=1).test_client()
    assert client.get(f"/j/{UNKNOWN}/people", environ_base=HERE).status_code == 404
    refused(client.get(f"/j/{UNKNOWN}/waiting", environ_base=HERE), "rate_limited")


def test_a_person_with_a_mistyped_link_sees_the_same_calm_page(limited: Limited) -> None:
    """Only its status says that it was one too many."""
    client = limited(links=1).test_client()
    first, second = (client.get("/j/" + "x" * 26, environ_base=HERE) for _ in range(2))
    assert (first.status_code, second.status_code) == (404, 429)
    assert first.text == second.text
    assert int(second.headers["Retry-After"]) > 0


def test_the_endpoints_of_links_are_those_of_the_application(app: Flask) -> None:
    """Renaming a route must not switch the counting off."""
    assert link_state.__name__ == "link_state"
    assert set(app.view_functions) >= LINK_ENDPOINTS


def test_without_redis_nobody_is_stopped(
    services: Services, server: LocalStack, alice: Hospital, capfd: pytest.CaptureFixture[str]
) -> None:
    """Calls go on, it is said once in the log, and counting begins again by itself."""
    limiter = emptied(server)
    settings = replace(services.settings, rate_limit_caller=Rate(1, WINDOW_S))
    hers = replace(alice, app=create_app(replace(services, settings=settings, limiter=limiter)))
    server.redis.kill()
    try:
        answers = [hers.get("/sessions") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert "RateLimit" not in answers[0].headers
        assert capfd.readouterr().out.count("rate_limits_off") == 1
    finally:
        server.redis.start()
    limiter._away_until = 0.0
    assert "RateLimit" in hers.get("/sessions").headers
    assert "rate_limits_on" in capfd.readouterr().out


def test_a_frozen_redis_holds_nobody_up_for_long(
    services: Services, server: LocalStack, alice: Hospital
) -> None:
    """Two short waits, and then none for some seconds."""
    limiter = RedisLimiter(server.redis.url)
    hers = replace(alice, app=create_app(replace(services, limiter=limiter)))
    assert "RateLimit" in hers.get("/sessions").headers
    server.redis.suspend()
    try:
        began = utc_now()
        assert [hers.get("/sessions").status_code for _ in range(10)] == [200] * 10
        assert (utc_now() - began).total_seconds() < 2
    finally:
        server.redis.resume()


def test_no_limit_can_be_set(limited: Limited, services: Services, alice: Hospital) -> None:
    """An empty setting."""
    settings = replace(services.settings, rate_limit_caller=None, rate_limit_sign_in=None)
    app = create_app(
        replace(services, settings=settings, limiter=limited().extensions["teleconsult"].limiter)
    )
    assert "RateLimit" not in replace(alice, app=app).get("/sessions").headers
    assert sign_in(app, alice, HERE, "wrong").status_code == 401


def test_prosody_and_probes_are_never_counted(limited: Limited) -> None:
    """What a call or a load balancer hangs on."""
    client = limited(caller=1, address=1).test_client()
    for _ in range(3):
        assert client.get("/health", environ_base=HERE).status_code == 200
        assert client.post("/internal/rooms/events", environ_base=HERE).status_code == 401
        assert client.get("/.well-known/jwks.json", environ_base=HERE).status_code == 200


def test_signing_in_on_the_pages_is_counted_by_address(limited: Limited) -> None:
    """A calm page again."""
    client = limited(address=1).test_client()
    client.get("/staff/sign-in?provider=x", environ_base=HERE)
    answer = client.get("/staff/sign-in?provider=x", environ_base=HERE)
    assert answer.headers["Location"] == "/staff/notice/too-often"


def test_the_last_use_of_each_secret_is_kept(
    app: Flask, alice: Hospital, services: Services
) -> None:
    """So that an operator sees whether the old one is still in use before it ends."""
    assert sign_in(app, alice, HERE).status_code == 200
    with services.database.begin() as db:
        [listed] = clients.list_clients(db, organisation_id=alice.organisation_id, now=utc_now())
    assert [secret.last_used_at is not None for secret in listed.secrets] == [True]
