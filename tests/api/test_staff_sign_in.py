"""Staff sign in at their hospital's issuer, and the cookie is worth nothing to anybody else."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.access import service, staff
from app.access.scopes import SCOPE_SETS
from app.clock import utc_now
from app.encryption import Vault
from app.factory import create_app
from app.reencrypt import reencrypt
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.records import alter, audit_of, dump
from tests.api.vouching import Clock, process_at, vouch
from tests.issuer import CLIENT_SECRET, GARBAGE, Issuer
from tests.oidc import Provider

ADA: dict[str, Any] = {"sub": "ada@alice.example", "name": "Ada Okafor", "roles": ["doctor"]}
PORTER: dict[str, Any] = {"sub": "sam", "name": "Sam", "roles": ["porter"]}
STAFF = "teleconsult-staff"
SIGN_IN = "teleconsult-sign-in"


@dataclass
class Desk:
    """A browser of Alice's hospital, and what signs its people in."""

    client: FlaskClient
    issuer: Issuer
    provider_id: str
    origin: str

    def begin(self, query: str = "") -> str:
        """Press "sign in"; return where the issuer is."""
        answer = self.client.get(f"/staff/sign-in?provider={self.provider_id}{query}")
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    def come_back(self, answer: dict[str, str]) -> TestResponse:
        """Bring the issuer's answer."""
        return self.client.get("/staff/callback", query_string=answer)

    def sign_in(self, query: str = "") -> TestResponse:
        """Do all of it."""
        return self.come_back(self.issuer.allow(self.begin(query)))

    def me(self, **headers: str) -> TestResponse:
        """Ask who is signed in."""
        return self.client.get("/staff/me", headers=headers)

    def write(self, **headers: str) -> TestResponse:
        """Create a session, as a script of our page does."""
        return self.client.post("/sessions", json={}, headers=headers)

    def cookie(self, name: str = STAFF) -> str:
        """Return a cookie's value, empty when it is not there."""
        found = self.client.get_cookie(name)
        return found.value if found else ""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """The issuer of Alice's hospital."""
    with Issuer() as running:
        yield running


@pytest.fixture
def api(services: Services) -> Flask:
    """A fresh process of the API."""
    return process_at(services, Clock())


@pytest.fixture
def desk(services: Services, alice: Hospital, issuer: Issuer, api: Flask) -> Desk:
    """A browser that nobody has signed in with yet."""
    provider = vouch(services, alice, issuer.url)
    origin = services.settings.public_url
    return Desk(api.test_client(), issuer, str(provider.id), origin)


def notice(answer: TestResponse) -> str:
    """Return which page a person is led to."""
    assert answer.status_code == 303, answer.text
    path = answer.headers["Location"]
    assert path.startswith("/staff/notice/"), path
    return str(path.rpartition("/")[2])


def code_of(answer: TestResponse) -> tuple[int, str]:
    """Return status and code of an API answer."""
    return answer.status_code, answer.get_json().get("code", "")


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """A provider that other people wrote, as a process of its own."""
    part = Provider(tmp_path_factory.mktemp("oidc"), [ADA, PORTER])
    part.start()
    yield part
    part.stop()


def test_a_doctor_signs_in_at_a_real_provider(
    services: Services, alice: Hospital, api: Flask, provider: Provider
) -> None:
    """And the pages know their name, their hospital and what they may do."""
    row = vouch(services, alice, provider.url)
    client = api.test_client()
    try:
        begun = client.get(f"/staff/sign-in?provider={row.id}&then=/staff/?lang=de")
        query = provider.answer(begun.headers["Location"], sub=ADA["sub"])
        back = client.get("/staff/callback", query_string=query)
        assert (back.status_code, back.headers["Location"]) == (303, "/staff/?lang=de")
        me = client.get("/staff/me").get_json()
        assert (me["name"], me["kind"]) == ("Ada Okafor", "user")
        assert me["organisation"] == {"id": str(alice.organisation_id), "name": "Alice Hospital"}
        assert me["scopes"] == sorted(SCOPE_SETS["clinic"])
        assert "Ada Okafor" in client.get("/staff/").text
        entry = audit_of(services, alice.organisation_id)[-1]
        assert (entry.action, entry.outcome) == ("staff.signed_in", "done")
        assert (entry.actor_kind, entry.actor_id) == ("user", me["subject"])
    finally:
        with services.database.begin() as db:
            service.remove_provider(db, provider_id=row.id, now=utc_now())


@pytest.mark.parametrize(
    ("how", "page", "code"),
    [
        ({"action": "deny"}, "refused", "sign_in_refused"),
        ({"sub": PORTER["sub"]}, "no-role", "role_missing"),
    ],
)
def test_who_is_refused_is_told_calmly_and_noted(
    *,
    services: Services,
    alice: Hospital,
    api: Flask,
    provider: Provider,
    how: dict[str, str],
    page: str,
    code: str,
) -> None:
    """Nobody is signed in."""
    row = vouch(services, alice, provider.url)
    client = api.test_client()
    try:
        begun = client.get(f"/staff/sign-in?provider={row.id}")
        pending = parse_qs(urlsplit(begun.headers["Location"]).query)
        answer = {"state": pending["state"][0], **provider.answer(begun.headers["Location"], **how)}
        assert notice(client.get("/staff/callback", query_string=answer)) == page
        assert code_of(client.get("/staff/me")) == (401, "token_missing")
        entry = audit_of(services, alice.organisation_id)[-1]
        assert (entry.action, entry.outcome, entry.detail["code"]) == (
            "staff.signed_in", "refused", code,
        )  # fmt: skip
    finally:
        with services.database.begin() as db:
            service.remove_provider(db, provider_id=row.id, now=utc_now())


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    desk: Desk, services: Services
) -> None:
    """HttpOnly, SameSite, no end of its own; and bound to the host where there is TLS."""
    line = desk.sign_in().headers.getlist("Set-Cookie")[-1]
    assert line.startswith(f"{STAFF}=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(line.split("; "))
    assert "Secure" not in line
    safe = replace(services.settings, public_url="https://teleconsult.example")
    api = create_app(replace(services, settings=safe))
    begun = api.test_client().get(f"/staff/sign-in?provider={desk.provider_id}")
    line = begun.headers["Set-Cookie"]
    assert line.startswith(f"__Host-{SIGN_IN}=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(line.split("; "))


def test_the_request_to_the_issuer_is_bound_and_holds_no_secret(desk: Desk) -> None:
    """State, nonce and PKCE, new each time; the verifier stays with us."""
    first, second = (parse_qs(urlsplit(desk.begin()).query) for _ in range(2))
    assert first["scope"] == ["openid profile"]
    assert first["redirect_uri"] == [f"{desk.origin}/staff/callback"]
    assert first["code_challenge_method"] == ["S256"]
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
    assert "prompt" not in first
    again = parse_qs(urlsplit(desk.begin("&again=1")).query)
    assert again["prompt"] == ["login"]


@pytest.mark.parametrize(
    "altered",
    [{"state": "x"}, {"state": ""}, {"iss": "https://evil.example"}],
)
def test_an_answer_to_another_sign_in_is_refused(desk: Desk, altered: dict[str, str]) -> None:
    """State, and the issuer's name where it says it (RFC 9207)."""
    answer = desk.issuer.allow(desk.begin())
    assert notice(desk.come_back({**answer, **altered})) == "expired"
    assert desk.cookie() == ""
    assert "/token" not in desk.issuer.asked


def test_an_answer_in_another_browser_is_refused(desk: Desk, api: Flask) -> None:
    """Who is sent a link with somebody else's code is not signed in as them."""
    answer = desk.issuer.allow(desk.begin())
    other = replace(desk, client=api.test_client())
    assert notice(other.come_back(answer)) == "expired"
    other.begin()
    assert notice(other.come_back(answer)) == "expired"
    assert desk.come_back(answer).headers["Location"] == "/staff/"


def test_state_and_code_work_once(desk: Desk, services: Services, api: Flask) -> None:
    """Also for who copied the browser's cookie, and an issuer that takes a code twice."""
    answer = desk.issuer.allow(desk.begin())
    stolen = desk.cookie(SIGN_IN)
    asked = dict(desk.issuer._codes)
    assert desk.come_back(answer).headers["Location"] == "/staff/"
    assert notice(desk.come_back(answer)) == "expired"
    thief = replace(desk, client=api.test_client())
    thief.client.set_cookie(SIGN_IN, stolen)
    assert notice(thief.come_back(answer)) == "refused"
    desk.issuer._codes = asked
    thief.client.set_cookie(SIGN_IN, stolen)
    assert notice(thief.come_back(answer)) == "expired"
    assert thief.cookie() == ""
    assert desk.me().status_code == 200


def test_a_code_without_its_verifier_is_worth_nothing(desk: Desk) -> None:
    """PKCE: a code that leaked from one sign-in does not serve in another."""
    leaked = desk.issuer.allow(desk.begin())
    own = desk.issuer.allow(desk.begin())
    assert notice(desk.come_back({**own, "code": leaked["code"]})) == "refused"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": 7},
        {"aud": "another"},
        {"aud": ["teleconsult", "another"], "azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"sub": None},
    ],
)
def test_an_id_token_for_something_else_is_refused(desk: Desk, claims: dict[str, Any]) -> None:
    """Nonce, audience, issuer, age."""
    desk.issuer.id_token = claims
    assert notice(desk.sign_in()) == "refused"
    assert desk.cookie() == ""


@pytest.mark.parametrize("cookie", ["", "x", "gAAAAA==", "\xff"])
def test_a_cookie_that_is_not_ours_is_no_sign_in(desk: Desk, cookie: str) -> None:
    """Whatever is in it."""
    answer = desk.issuer.allow(desk.begin())
    desk.client.set_cookie(SIGN_IN, cookie)
    assert notice(desk.come_back(answer)) == "expired"


def test_a_sign_in_that_was_left_open_is_over(desk: Desk, services: Services, api: Flask) -> None:
    """Ten minutes."""
    answer = desk.issuer.allow(desk.begin())
    with api.app_context():
        text = services.vault.decrypt(desk.cookie(SIGN_IN).encode()).decode()
    began = text.partition('"began":')[2].rstrip("}")
    older = text.replace(began, str(float(began) - 601))
    desk.client.set_cookie(SIGN_IN, services.vault.encrypt(older.encode()).decode())
    assert notice(desk.come_back(answer)) == "expired"


@pytest.mark.parametrize("fault", ["stopped", *GARBAGE])
def test_without_the_issuer_there_is_a_calm_page(desk: Desk, fault: str) -> None:
    """At the beginning; 503 that says when to come again."""
    if fault == "stopped":
        desk.issuer.stop()
    desk.issuer.fault = fault
    answer = desk.client.get(f"/staff/sign-in?provider={desk.provider_id}")
    assert notice(answer) == "issuer-down"
    page = desk.client.get(answer.headers["Location"])
    assert (page.status_code, page.mimetype) == (503, "text/html")
    assert int(page.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("fault", "page"),
    [("stopped", "issuer-down"), ("page", "issuer-down"), ("error", "issuer-down"),
     ("empty", "refused")],
)  # fmt: skip
def test_an_issuer_that_breaks_in_the_middle(desk: Desk, fault: str, page: str) -> None:
    """When the code is to be redeemed."""
    answer = desk.issuer.allow(desk.begin())
    if fault == "stopped":
        desk.issuer.stop()
    desk.issuer.fault = fault
    assert notice(desk.come_back(answer)) == page
    assert desk.cookie() == ""


@pytest.mark.parametrize(
    "then",
    ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/x%0d%0aSet-Cookie:a=b",
     "/" + "x" * 400],
)  # fmt: skip
def test_signing_in_leads_to_our_own_pages_only(desk: Desk, then: str) -> None:
    """An address in a link that somebody sent is not followed elsewhere."""
    assert desk.sign_in(f"&then={then}").headers["Location"] == "/staff/"


def test_a_signed_in_person_uses_the_api_from_our_pages(
    desk: Desk, services: Services, alice: Hospital
) -> None:
    """Reading, and writing with the page's origin; noted under their opaque id."""
    desk.sign_in()
    assert desk.client.get("/sessions").status_code == 200
    assert desk.write(Origin=desk.origin).status_code == 201
    entry = audit_of(services, alice.organisation_id)[-1]
    subject = desk.me().get_json()["subject"]
    assert (entry.action, entry.actor_kind, entry.actor_id) == (
        "session.created", "user", subject,
    )  # fmt: skip
    assert code_of(desk.client.get("/webhooks")) == (403, "scope_missing")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "origin_refused"),
        ({"Origin": "https://evil.example"}, "origin_refused"),
        ({"Origin": "null"}, "origin_refused"),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, "token_missing"),
        ({"Sec-Fetch-Site": "same-site"}, "token_missing"),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, "token_missing"),
    ],
)
def test_another_sites_page_writes_nothing(desk: Desk, headers: dict[str, str], code: str) -> None:
    """Even where a browser would send the cookie along."""
    desk.sign_in()
    answer = desk.write(**headers)
    assert code_of(answer) == (403 if code == "origin_refused" else 401, code)
    hidden = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    assert desk.write(**hidden).status_code == 201


def test_another_sites_script_reads_nothing(desk: Desk) -> None:
    """While a person who follows a link sees their page."""
    desk.sign_in()
    script = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    assert code_of(desk.client.get("/sessions", headers=script)) == (401, "token_missing")
    opened = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert desk.client.get("/sessions", headers=opened).status_code == 200


def test_signing_out_ends_the_session_for_every_copy_of_the_cookie(
    desk: Desk, services: Services, alice: Hospital
) -> None:
    """On the server, not only in the browser."""
    desk.sign_in()
    token = desk.cookie()
    assert desk.client.post("/staff/sign-out").status_code == 403
    assert desk.me().status_code == 200
    out = desk.client.post("/staff/sign-out", headers={"Origin": desk.origin})
    assert notice(out) == "signed-out"
    assert desk.cookie() == ""
    assert audit_of(services, alice.organisation_id)[-1].action == "staff.signed_out"
    desk.client.set_cookie(STAFF, token)
    assert code_of(desk.me()) == (401, "staff_session_ended")
    assert desk.client.get("/staff/").headers["Location"] == "/staff/sign-in"


@pytest.mark.parametrize(("column", "seconds"), [("last_seen_at", 1801), ("expires_at", 36_001)])
def test_a_session_ends_by_itself(
    desk: Desk, services: Services, alice: Hospital, column: str, seconds: int
) -> None:
    """After half an hour without a sign of life, and after ten hours whatever happens."""
    desk.sign_in()
    alter(
        services,
        f"UPDATE teleconference.staff_sessions SET {column} = {column} - :past"
        " WHERE organisation_id = :id",
        past=timedelta(seconds=seconds),
        id=alice.organisation_id,
    )
    assert code_of(desk.me()) == (401, "staff_session_ended")


def test_a_person_who_works_stays_signed_in(
    desk: Desk, services: Services, alice: Hospital
) -> None:
    """Each request within the half hour begins it anew."""
    desk.sign_in()
    for _ in range(3):
        alter(
            services,
            "UPDATE teleconference.staff_sessions SET last_seen_at = last_seen_at - :past"
            " WHERE organisation_id = :id",
            past=timedelta(minutes=29),
            id=alice.organisation_id,
        )
        assert desk.me().status_code == 200


def test_an_open_page_keeps_nobody_signed_in(
    desk: Desk, services: Services, alice: Hospital
) -> None:
    """What it asks by itself is answered for half an hour after the last thing a person did."""
    desk.sign_in()
    by_itself = {"Teleconsult-Background": "1"}
    codes = []
    for _ in range(2):
        alter(
            services,
            "UPDATE teleconference.staff_sessions SET last_seen_at = last_seen_at - :past"
            " WHERE organisation_id = :id",
            past=timedelta(minutes=16),
            id=alice.organisation_id,
        )
        codes.append(desk.me(**by_itself).status_code)
    assert codes == [200, 401]


def test_an_operator_puts_somebody_out(desk: Desk, services: Services, alice: Hospital) -> None:
    """All their sessions; and removing the issuer puts everybody out."""
    desk.sign_in()
    with services.database.begin() as db:
        [provider] = service.list_providers(db, organisation_id=alice.organisation_id)
        subject = service.subject_of(provider, "ada")
        ended = staff.sign_out_everywhere(
            db, organisation_id=alice.organisation_id, subject=subject, now=utc_now()
        )
    assert ended == 1
    assert code_of(desk.me()) == (401, "staff_session_ended")
    desk.sign_in()
    assert desk.me().status_code == 200
    with services.database.begin() as db:
        service.remove_provider(db, provider_id=provider.id, now=utc_now())
    assert code_of(desk.me()) == (401, "staff_session_ended")


def test_one_hospitals_staff_sees_nothing_of_another(
    desk: Desk, alice: Hospital, charlie: Hospital
) -> None:
    """The cookie is limited like every token."""
    desk.sign_in()
    his = charlie.new_session()["id"]
    assert code_of(desk.client.get(f"/sessions/{his}")) == (404, "session_not_found")


def test_the_database_holds_no_token(desk: Desk, postgres: Any) -> None:
    """Whoever steals a backup is not signed in, and does not learn the issuer's ids."""
    desk.issuer.person = {**desk.issuer.person, "sub": "ada@alice.example"}
    desk.sign_in()
    text = dump(postgres)
    assert desk.cookie() not in text
    assert "ada@alice.example" not in text
    assert "known to the issuer" not in text


def test_our_secret_at_the_issuer_survives_a_new_master_key(desk: Desk, services: Services) -> None:
    """`keys reencrypt` takes it along, so that the old key can be dropped."""
    new = Fernet.generate_key().decode()
    both = Vault([new, *services.settings.master_keys])
    with services.database.begin() as db:
        reencrypt(db, both, now=utc_now())
        row = service.provider_of(db, provider_id=UUID(desk.provider_id))
        assert Vault([new]).decrypt(row.client_secret or b"") == CLIENT_SECRET.encode()
        db.rollback()  # the other tests' keys stay as they are


def test_a_form_that_is_not_ours_is_told_so_calmly(desk: Desk) -> None:
    """A page, with the status a program understands."""
    answer = desk.client.post("/staff/sign-out", headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.mimetype) == (403, "text/html")


def test_without_an_issuer_the_page_says_so(api: Flask) -> None:
    """And asks nobody anything."""
    client = api.test_client()
    for wanted in ("?provider=00000000-0000-0000-0000-000000000000", "?provider=x"):
        assert notice(client.get(f"/staff/sign-in{wanted}")) == "not-set-up"
    assert client.get("/staff/notice/not-set-up").status_code == 404


@pytest.fixture
def charlies(services: Services, desk: Desk, charlie: Hospital) -> Iterator[Issuer]:
    """A second hospital's issuer: now there is something to choose."""
    alter(
        services,
        "UPDATE teleconference.organisations SET name = :name WHERE id = :id",
        name=f"Charlie {charlie.organisation_id}",
        id=charlie.organisation_id,
    )
    with Issuer() as other:
        vouch(services, charlie, other.url)
        yield other


def test_of_several_hospitals_none_is_shown_to_who_does_not_know_it(
    desk: Desk, charlies: Issuer, charlie: Hospital
) -> None:
    """The person writes its name; the way back is kept, and next time it is not asked."""
    asked = "/staff/sign-in?then=/staff/%3Fx%261&again=1&lang=de"
    page = desk.client.get(asked)
    assert page.status_code == 200
    unknown = desk.client.get(f"{asked}&hospital=Bravo")
    assert (unknown.status_code, 'aria-invalid="true"' in unknown.text) == (404, True)
    for shown in (page, unknown):
        assert "Alice Hospital" not in shown.text
        assert "Charlie" not in shown.text

    page = desk.client.get(f"{asked}&hospital=%20charlie%20%20{charlie.organisation_id}")
    [way] = re.findall(r'href="(/staff/sign-in[^"]+)" data-testid="way"', page.text)
    assert f"Charlie {charlie.organisation_id}" in page.text
    begun = desk.client.get(unescape(way))
    assert begun.headers["Location"].startswith(charlies.url)
    assert "prompt=login" in begun.headers["Location"]
    back = desk.come_back(charlies.allow(begun.headers["Location"]))
    assert back.headers["Location"] == "/staff/?x&1"
    again = desk.client.get("/staff/sign-in")
    assert again.headers["Location"].startswith(charlies.url)
    elsewhere = desk.client.get("/staff/notice/signed-out").text
    assert "/staff/sign-in?hospital=" in elsewhere
    assert desk.client.get("/staff/sign-in?hospital=").status_code == 200


def test_a_hospital_has_a_sign_in_of_its_own(
    desk: Desk, services: Services, alice: Hospital, charlies: Issuer, charlie: Hospital
) -> None:
    """It leads to its issuer at once; where there are two, both are offered and no other."""
    begun = desk.client.get(f"/staff/sign-in/{charlie.organisation_id}?then=/staff/%3Fx")
    assert begun.headers["Location"].startswith(charlies.url)
    with Issuer() as second:
        vouch(services, charlie, second.url)
        page = desk.client.get(f"/staff/sign-in/{charlie.organisation_id}?then=/staff/%3Fx")
        ways = re.findall(r'href="([^"]+)" data-testid="way">([^<]+)<', page.text)
        assert [host for _, host in ways] == [urlsplit(i.url).netloc for i in (charlies, second)]
        begun = desk.client.get(unescape(ways[1][0]))
        assert begun.headers["Location"].startswith(second.url)
        back = desk.come_back(second.allow(begun.headers["Location"]))
        assert back.headers["Location"] == "/staff/?x"
    assert notice(desk.client.get(f"/staff/sign-in/{uuid4()}")) == "not-set-up"


@pytest.mark.parametrize("path", ["/staff/notice/refused", "/staff/notice/<b>", "/staff/callback"])
def test_pages_of_sign_in_tell_nobody_where_the_person_was(desk: Desk, path: str) -> None:
    """Not kept, not framed, no referrer."""
    answer = desk.client.get(path)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    if answer.status_code != 303:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
