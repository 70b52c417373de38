"""Tokens of the hospital's own issuer call the API, and nothing that only looks like one does."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from werkzeug.test import TestResponse

from app.access import issuers, service
from app.access.scopes import SCOPE_SETS
from app.adapters.identity_http import PlainIdentityHttp
from app.bulkhead import Bulkhead
from app.clock import utc_now
from app.errors import Conflict, Unavailable
from app.localstack.process import wait_until
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.records import audit_of
from tests.api.vouching import Clock, process_at, vouch
from tests.issuer import GARBAGE, LIES, Issuer

ELSEWHERE = "https://issuer.example"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """The issuer of Alice's hospital."""
    with Issuer() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    """The clock by which keys grow old."""
    return Clock()


@pytest.fixture
def api(services: Services, alice: Hospital, issuer: Issuer, clock: Clock) -> Flask:
    """A process of the API that knows Alice's issuer."""
    vouch(services, alice, issuer.url)
    return process_at(services, clock)


def call(api: Flask, token: str, path: str = "/sessions") -> TestResponse:
    """Call the API with a token."""
    return api.test_client().get(path, headers={"Authorization": f"Bearer {token}"})


def outcome(answer: TestResponse) -> tuple[int, str]:
    """Return status and code of an answer."""
    return answer.status_code, (answer.get_json() or {}).get("code", "")


@pytest.mark.parametrize("kid", ["rsa", "ec"])
def test_a_persons_token_opens_the_api_with_what_their_role_allows(
    api: Flask, issuer: Issuer, kid: str
) -> None:
    """Both kinds of signature that are believed."""
    token = issuer.token(kid=kid)
    assert call(api, token).status_code == 200
    me = call(api, token, "/staff/me").get_json()
    assert (me["kind"], me["name"]) == ("user", "Ada Okafor")
    assert me["scopes"] == sorted(SCOPE_SETS["clinic"])
    assert outcome(call(api, token, "/webhooks")) == (403, "scope_missing")


def hmac_by_public_key(issuer: Issuer) -> str:
    """Return a token signed with HS256, the issuer's public key being the secret."""
    key = issuer.keys["rsa"].public_key()
    secret = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    content = jwt.decode(issuer.token(), options={"verify_signature": False})
    head, body = ({"alg": "HS256", "kid": "rsa"}, content)
    text = ".".join(_part(json.dumps(one).encode()) for one in (head, body))
    signed = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{text}.{_part(signed.sign(text.encode(), secret))}"


def unsigned(issuer: Issuer) -> str:
    """Return a token that says it needs no signature."""
    content = jwt.decode(issuer.token(), options={"verify_signature": False})
    return jwt.encode(content, "", algorithm="none", headers={"kid": "rsa"})


def altered(issuer: Issuer) -> str:
    """Return a token somebody gave another role."""
    head, _, signature = issuer.token().split(".")
    content = jwt.decode(issuer.token(roles=["security"]), options={"verify_signature": False})
    return f"{head}.{_part(json.dumps(content).encode())}.{signature}"


def by_another_key(issuer: Issuer) -> str:
    """Return a token in the issuer's name by a key that is not its own."""
    return issuer.token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048))


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def at(offset_s: int) -> int:
    """Return a moment in seconds from now."""
    return int(time.time()) + offset_s


REFUSED: dict[str, tuple[Callable[[Issuer], str], str]] = {
    "no signature": (unsigned, "token_invalid"),
    "HS256 with the public key": (hmac_by_public_key, "token_invalid"),
    "altered": (altered, "token_invalid"),
    "signed by another key": (by_another_key, "token_invalid"),
    "an unknown key id": (lambda i: i.token(kid="x", key=i.keys["rsa"]), "token_invalid"),
    "the other kind's key id": (lambda i: i.token(kid="ec", key=i.keys["rsa"]), "token_invalid"),
    "RS512": (lambda i: i.token(alg="RS512"), "token_invalid"),
    "PS256": (lambda i: i.token(alg="PS256"), "token_invalid"),
    "another audience": (lambda i: i.token(aud="intranet"), "token_invalid"),
    "no audience": (lambda i: i.token(aud=None), "token_invalid"),
    "a foreign issuer": (lambda i: i.token(iss="https://evil.example"), "token_invalid"),
    "our own name": (lambda i: i.token(iss="teleconsult-api"), "token_invalid"),
    "no issuer": (lambda i: i.token(iss=None), "token_invalid"),
    "expired": (lambda i: i.token(exp=at(-120)), "token_expired"),
    "never expires": (lambda i: i.token(exp=None), "token_invalid"),
    "not valid yet": (lambda i: i.token(nbf=at(300)), "token_invalid"),
    "issued in the future": (lambda i: i.token(iat=at(300)), "token_invalid"),
    "nobody's": (lambda i: i.token(sub=None), "token_invalid"),
    "an id that is no text": (lambda i: i.token(sub=["ada"]), "token_invalid"),
    "an expiry that is no number": (lambda i: i.token(exp="tomorrow"), "token_invalid"),
    "a piece": (lambda i: i.token().rsplit(".", 1)[0], "token_invalid"),
    "no base64": (lambda _: "a.b.c", "token_invalid"),
    "no token": (lambda _: "swordfish", "token_invalid"),
    "bytes outside ASCII": (lambda i: "\xff" + i.token(), "token_invalid"),
}
# They are who they say, and may do nothing with it.
POWERLESS: dict[str, dict[str, Any]] = {
    "no roles": {"roles": None},
    "a role that means nothing here": {"roles": ["gardener"]},
    "a role that allows nothing": {"roles": ["porter"]},
    "another team's role": {"roles": ["security"]},
    "roles that are a number": {"roles": 7},
    "roles that are objects": {"roles": [{"name": "doctor"}]},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_a_good_token_is_refused(api: Flask, issuer: Issuer, what: str) -> None:
    """401 and never 500, and the issuer's good tokens go on working."""
    make, code = REFUSED[what]
    assert call(api, issuer.token()).status_code == 200
    answer = call(api, make(issuer))
    assert outcome(answer) == (401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert call(api, issuer.token()).status_code == 200


@pytest.mark.parametrize("what", POWERLESS)
def test_who_has_no_role_here_may_nothing(api: Flask, issuer: Issuer, what: str) -> None:
    """403: the issuer vouches for the person, the hospital gave them nothing."""
    assert outcome(call(api, issuer.token(**POWERLESS[what]))) == (403, "scope_missing")


def test_clocks_may_differ_by_a_minute(api: Flask, issuer: Issuer) -> None:
    """In both directions."""
    assert call(api, issuer.token(exp=at(-30))).status_code == 200
    assert call(api, issuer.token(iat=at(30), nbf=at(30))).status_code == 200


def test_roles_may_stand_within_another_claim_or_be_one_text(
    services: Services, charlie: Hospital, issuer: Issuer, clock: Clock
) -> None:
    """As some issuers write them."""
    vouch(services, charlie, issuer.url, roles_claim="realm_access.roles")
    api = process_at(services, clock)
    nested = issuer.token(realm_access={"roles": ["doctor"]})
    assert call(api, nested).status_code == 200
    assert call(api, issuer.token(realm_access={"roles": "porter doctor"})).status_code == 200
    assert outcome(call(api, issuer.token(realm_access="doctor"))) == (403, "scope_missing")


def test_a_person_of_one_hospital_reaches_nothing_of_another(
    api: Flask, issuer: Issuer, alice: Hospital, charlie: Hospital
) -> None:
    """Whatever the token says of organisations."""
    hers, his = alice.new_session()["id"], charlie.new_session()["id"]
    token = issuer.token(org=str(charlie.organisation_id))
    assert call(api, token, f"/sessions/{hers}").status_code == 200
    assert outcome(call(api, token, f"/sessions/{his}")) == (404, "session_not_found")
    listed = call(api, token).get_json()["items"]
    assert [one["id"] for one in listed] == [hers]


def test_an_issuer_speaks_for_one_organisation(
    services: Services, api: Flask, issuer: Issuer, charlie: Hospital
) -> None:
    """A second one is refused, so that nobody can take over another hospital's people."""
    assert api
    with pytest.raises(Conflict) as caught:
        vouch(services, charlie, issuer.url)
    assert caught.value.code == "issuer_exists"


def test_a_removed_issuer_is_believed_no_more(
    services: Services, api: Flask, issuer: Issuer, alice: Hospital
) -> None:
    """At once, though its keys are still known."""
    token = issuer.token()
    assert call(api, token).status_code == 200
    with services.database.begin() as db:
        [provider] = service.list_providers(db, organisation_id=alice.organisation_id)
        service.remove_provider(db, provider_id=provider.id, now=utc_now())
    assert outcome(call(api, token)) == (401, "token_invalid")


def test_what_a_person_does_is_noted_under_an_opaque_id(
    services: Services, api: Flask, issuer: Issuer, alice: Hospital
) -> None:
    """Never the issuer's own id, which may be an e-mail address."""
    token = issuer.token(sub="ada@alice.example")
    subject = call(api, token, "/staff/me").get_json()["subject"]
    head = {"Authorization": f"Bearer {token}"}
    assert api.test_client().post("/sessions", json={}, headers=head).status_code == 201
    call(api, token, "/webhooks")
    done, refused = audit_of(services, alice.organisation_id)[-2:]
    assert (done.actor_kind, done.actor_id, done.action) == ("user", subject, "session.created")
    assert (refused.actor_id, refused.outcome) == (subject, "refused")
    assert "ada" not in str([vars(done), vars(refused)])


@pytest.mark.parametrize("fault", [*GARBAGE, *LIES])
def test_an_issuer_that_talks_nonsense_makes_nobody_somebody(
    api: Flask, issuer: Issuer, fault: str
) -> None:
    """503 that says when to come again, and no 500."""
    issuer.fault = fault
    answer = call(api, issuer.token())
    assert outcome(answer) == (503, "issuer_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("fault", [*GARBAGE, *LIES, "stopped"])
def test_known_keys_go_on_working_when_the_issuer_does_not(
    api: Flask, issuer: Issuer, clock: Clock, fault: str
) -> None:
    """For a day; a key nobody has seen is then unavailable, not invalid."""
    token = issuer.token()
    assert call(api, token).status_code == 200
    if fault == "stopped":
        issuer.stop()
    issuer.fault = fault
    for hours in (1, 10, 12):
        clock.go_on(hours * 3600)
        assert call(api, token).status_code == 200
    clock.go_on(issuers.PAUSE_S)
    unknown = issuer.token(kid="new", key=issuer.keys["rsa"])
    assert outcome(call(api, unknown)) == (503, "issuer_unavailable")
    clock.go_on(2 * 3600)
    assert outcome(call(api, token)) == (503, "issuer_unavailable")


def test_a_slow_issuer_holds_nobody_up_for_long(
    api: Flask, issuer: Issuer, services: Services, clock: Clock
) -> None:
    """Thirty seconds there are one here, once per pause; known keys wait for nothing."""
    assert call(api, issuer.token()).status_code == 200
    issuer.fault = "slow"
    clock.go_on(issuers.FRESH_S + 1)
    began = time.monotonic()
    assert [call(api, issuer.token()).status_code for _ in range(5)] == [200] * 5
    assert time.monotonic() - began < 4 * issuers.PATIENCE_S
    fresh = process_at(services, clock)
    began = time.monotonic()
    assert outcome(call(fresh, issuer.token())) == (503, "issuer_unavailable")
    clock.go_on(issuers.PATIENCE_S)
    for _ in range(5):
        assert outcome(call(fresh, issuer.token())) == (503, "issuer_unavailable")
    assert time.monotonic() - began < 15


def test_a_rotated_key_is_found_and_a_withdrawn_one_dropped(
    api: Flask, issuer: Issuer, clock: Clock
) -> None:
    """A key id that is not known makes us look again, after a pause."""
    old = issuer.token()
    assert call(api, old).status_code == 200
    issuer.rotate()
    clock.go_on(issuers.PAUSE_S)
    assert call(api, issuer.token()).status_code == 200
    assert outcome(call(api, old)) == (401, "token_invalid")


def test_keys_are_looked_at_again_before_they_grow_old(
    api: Flask, issuer: Issuer, clock: Clock
) -> None:
    """Behind the requests: a withdrawn key is dropped without anybody asking for another."""
    old = issuer.token()
    assert call(api, old).status_code == 200
    issuer.rotate()
    clock.go_on(issuers.FRESH_S + 1)
    assert call(api, old).status_code == 200
    assert wait_until(lambda: call(api, old).status_code == 401, 5)


def test_forged_key_ids_do_not_become_requests_to_the_issuer(
    api: Flask, issuer: Issuer, clock: Clock
) -> None:
    """One look per pause, however many there are."""
    assert call(api, issuer.token()).status_code == 200
    clock.go_on(issuers.PAUSE_S)
    before = issuer.asked.count("/jwks")
    for number in range(20):
        forged = issuer.token(kid=str(number), key=issuer.keys["rsa"])
        assert outcome(call(api, forged)) == (401, "token_invalid")
    assert issuer.asked.count("/jwks") == before + 1


def test_a_foreign_issuer_is_never_asked(api: Flask, issuer: Issuer) -> None:
    """Who is not set up makes us call nobody."""
    with Issuer() as foreign:
        assert outcome(call(api, foreign.token())) == (401, "token_invalid")
        assert foreign.asked == []
    assert issuer.asked == []


def test_our_own_tokens_need_no_issuer(api: Flask, issuer: Issuer, alice: Hospital) -> None:
    """Programs go on while the hospital's sign-in is down."""
    issuer.stop()
    assert replace(alice, app=api).get("/sessions").status_code == 200


def test_an_issuer_that_sends_a_byte_now_and_then_keeps_nobody(issuer: Issuer) -> None:
    """Each byte comes in time; it is the whole answer that takes too long."""
    issuer.fault = "trickle"
    http, began = PlainIdentityHttp(Bulkhead(2), whole_s=0.5), time.monotonic()
    with pytest.raises(Unavailable):
        http.get(f"{issuer.url}/.well-known/openid-configuration")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254"])
@pytest.mark.parametrize("name", ["jwks_uri", "token_endpoint", "authorization_endpoint"])
def test_an_issuer_elsewhere_names_no_address_on_our_own_machine(name: str, host: str) -> None:
    """What it names, we call from inside."""

    class Elsewhere:
        def __init__(self) -> None:
            self.asked: list[str] = []

        def get(self, url: str) -> dict[str, Any]:
            self.asked.append(url)
            names = ("jwks_uri", "token_endpoint", "authorization_endpoint")
            here = f"https://{host}/x"
            about = {one: here if one == name else f"{ELSEWHERE}/{one}" for one in names}
            return {"issuer": ELSEWHERE, "keys": [], **about}

        def post_form(self, *_: Any) -> tuple[int, dict[str, Any]]:
            raise AssertionError("nobody signs in")

    http = Elsewhere()
    with pytest.raises(Unavailable):
        issuers.Issuers(http, Bulkhead(2)).discovery(ELSEWHERE)
    assert not [url for url in http.asked if host in url]
