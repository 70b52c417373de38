"""Signing in by client credentials (RFC 6749, sections 4.4 and 5)."""

from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import jwt
import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.clock import utc_now
from app.organisations.models import ClientSecret
from app.services import Services
from app.web.auth import SCOPES
from tests.api.hospital import Hospital, admit_hospital
from tests.api.records import alter, audit_of

GRANT = {"grant_type": "client_credentials"}


def ask(
    app: Flask, form: dict[str, str] | None = None, *, basic: tuple[str, str] | None = None
) -> TestResponse:
    """Ask for a token by form, or with `basic` credentials."""
    headers = {}
    if basic:
        credentials = b64encode(":".join(basic).encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    return app.test_client().post("/oauth/token", data={**GRANT, **(form or {})}, headers=headers)


def credentials(hospital: Hospital) -> dict[str, str]:
    """Return a client's credentials as form fields."""
    return {"client_id": str(hospital.client_id), "client_secret": hospital.client_secret}


def refused(answer: TestResponse, status: int, code: str, error: str) -> dict[str, Any]:
    """Check a refusal: a problem document that is also RFC 6749's error."""
    body = dict(answer.get_json())
    assert answer.content_type == "application/problem+json"
    assert (answer.status_code, body["code"], body["error"]) == (status, code, error)
    assert answer.headers["Cache-Control"] == "no-store"
    return body


@pytest.mark.parametrize("by", ["form", "basic"])
def test_a_client_gets_a_token_that_opens_the_api(app: Flask, alice: Hospital, by: str) -> None:
    """Either way of showing the secret."""
    pair = (str(alice.client_id), alice.client_secret)
    answer = ask(app, basic=pair) if by == "basic" else ask(app, credentials(alice))
    body = answer.get_json()
    assert answer.status_code == 200
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert answer.headers["Cache-Control"] == "no-store"
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert app.test_client().get("/sessions", headers=headers).status_code == 200


def test_without_asking_a_client_gets_all_its_scopes(app: Flask, alice: Hospital) -> None:
    """RFC 6749 section 3.3: the answer says which."""
    assert set(ask(app, credentials(alice)).get_json()["scope"].split()) == set(SCOPES)


def test_a_client_may_ask_for_less(app: Flask, alice: Hospital) -> None:
    """And the token holds no more."""
    answer = ask(app, {"scope": "sessions:read", **credentials(alice)})
    assert answer.get_json()["scope"] == "sessions:read"
    less = Hospital(**{**vars(alice), "token": answer.get_json()["access_token"]})
    assert less.get("/sessions").status_code == 200
    assert less.post("/sessions", json={}).status_code == 403


def test_a_client_gets_no_more_than_it_has(app: Flask, services: Services) -> None:
    """400 `invalid_scope`, also when one of several is too much."""
    reader = admit_hospital(app, services, "Reader", scopes=["sessions:read"])
    for scope in ("sessions:write", "sessions:read stats:read", "no:such"):
        answer = ask(app, {"scope": scope, **credentials(reader)})
        assert refused(answer, 400, "invalid_scope", "invalid_scope")["field"] == "scope"


@pytest.mark.parametrize(
    "altered",
    [
        {"client_secret": "wrong"},
        {"client_secret": ""},
        {"client_id": str(uuid4())},
        {"client_id": "no id"},
        {"client_id": ""},
        {"client_id": "\x00", "client_secret": "\x00"},
    ],
)
def test_whoever_does_not_prove_it_is_refused(
    app: Flask, alice: Hospital, altered: dict[str, str]
) -> None:
    """401 with one answer for all, so that nobody learns which ids exist."""
    answer = ask(app, {**credentials(alice), **altered})
    refused(answer, 401, "client_invalid", "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert answer.get_json()["detail"] == ask(app).get_json()["detail"]


def test_a_revoked_client_is_refused(app: Flask, alice: Hospital, services: Services) -> None:
    """With the right secret."""
    alter(
        services,
        "UPDATE teleconference.api_clients SET revoked_at = now() WHERE id = :id",
        id=alice.client_id,
    )
    refused(ask(app, credentials(alice)), 401, "client_invalid", "invalid_client")


def test_one_hospitals_secret_is_not_anothers(
    app: Flask, alice: Hospital, charlie: Hospital
) -> None:
    """Id and secret belong together."""
    mixed = {**credentials(alice), "client_secret": charlie.client_secret}
    refused(ask(app, mixed), 401, "client_invalid", "invalid_client")


def test_other_grants_are_not_offered(app: Flask, alice: Hospital) -> None:
    """400, as the RFC wants."""
    answer = ask(app, {**credentials(alice), "grant_type": "password"})
    body = refused(answer, 400, "unsupported_grant_type", "unsupported_grant_type")
    assert body["field"] == "grant_type"
    missing = ask(app, {**credentials(alice), "grant_type": ""})
    refused(missing, 400, "invalid_request", "invalid_request")
    as_json = app.test_client().post("/oauth/token", json={**GRANT, **credentials(alice)})
    refused(as_json, 400, "invalid_request", "invalid_request")


def test_members_the_rfc_does_not_know_are_ignored(app: Flask, alice: Hospital) -> None:
    """RFC 6749 section 3.2, unlike everywhere else in this API."""
    assert ask(app, {"audience": "x", **credentials(alice)}).status_code == 200


def test_refusals_are_audited_and_secrets_are_not(
    app: Flask, alice: Hospital, services: Services
) -> None:
    """A known client by its id, an unknown one as a stranger without the text it sent."""
    ask(app, {**credentials(alice), "client_secret": "guess-1"})
    entry = audit_of(services, alice.organisation_id)[-1]
    assert (entry.action, entry.outcome) == ("client.signed_in", "refused")
    assert (entry.actor_kind, entry.actor_id) == ("client", str(alice.client_id))
    ask(app, {"client_id": "guess-2", "client_secret": "guess-3"})
    stranger = audit_of(services, None)[-1]
    assert (stranger.action, stranger.actor_kind) == ("client.signed_in", "stranger")
    assert "guess" not in str([vars(entry), vars(stranger)])


def test_many_refusals_at_once_block_nobody(
    app: Flask, alice: Hospital, services: Services
) -> None:
    """Each is audited outside the request's own transaction; as many threads as the pool has
    connections must not wait for each other."""
    count = services.settings.database_pool_size
    gate = Barrier(count)
    began = utc_now()

    def guess(_: int) -> int:
        gate.wait()
        return ask(app, {**credentials(alice), "client_secret": "wrong"}).status_code

    with ThreadPoolExecutor(count) as pool:
        for _ in range(5):
            assert set(pool.map(guess, range(count))) == {401}
    assert (utc_now() - began).total_seconds() < 4


def test_the_secret_is_stored_as_a_hash(alice: Hospital, services: Services) -> None:
    """Whoever reads the table cannot sign in."""
    mine = select(ClientSecret.secret_hash).where(ClientSecret.client_id == alice.client_id)
    with services.database.begin() as db:
        stored = db.scalars(mine).one()
    assert alice.client_secret.encode() not in stored
    assert len(stored) == 32


def test_the_token_says_what_it_must_and_no_more(app: Flask, alice: Hospital) -> None:
    """Issuer, client, organisation, scopes, and a quarter of an hour."""
    token = ask(app, credentials(alice)).get_json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert set(claims) == {"iss", "sub", "org", "scope", "iat", "exp"}
    assert (claims["sub"], claims["org"]) == (str(alice.client_id), str(alice.organisation_id))
    assert claims["exp"] - claims["iat"] == 900
