"""The token a click gives, as Jitsi's own modules and clients will look at it."""

from dataclasses import replace

import jwt
import pytest
from flask import Flask

from app.factory import create_app
from app.organisations.keys import key_server_name
from app.services import Services
from tests.api.clicks import claims_of, entered
from tests.api.hospital import Hospital


class TestTheToken:
    """What Jitsi's own modules will look at."""

    def test_it_is_bound_to_one_person_and_one_room(self, app: Flask, alice: Hospital) -> None:
        """jitsi-facts 1.3 and 1.4: strings where strings are compared, all in lower case."""
        session = alice.new_session()
        doctor = alice.invite(session["id"], "doctor", display_name="Dr. Alice")
        claims = claims_of(app, entered(app, doctor)["jwt"])
        assert (claims["aud"], claims["sub"]) == ("jitsi", "meet.localhost")
        assert claims["room"] == session["room_name"] == claims["room"].lower()
        assert claims["context"]["user"]["id"] == doctor["id"]
        assert claims["teleconsult"]["session"] == session["id"]
        assert claims["nbf"] < claims["iat"] < claims["exp"]

    def test_every_click_makes_another_token(self, app: Flask, alice: Hospital) -> None:
        """The room tells one click from another by `jti`."""
        doctor = alice.invite(alice.new_session()["id"], "doctor")
        ids = {claims_of(app, entered(app, doctor)["jwt"])["jti"] for _ in range(3)}
        assert len(ids) == 3

    def test_the_key_server_form_verifies_it_too(self, app: Flask, alice: Hospital) -> None:
        """`<key server>/<sha256 of kid>.pem`, as Jitsi's `asap_key_server` asks."""
        token = entered(app, alice.invite(alice.new_session()["id"], "doctor"))["jwt"]
        name = key_server_name(jwt.get_unverified_header(token)["kid"])
        pem = app.test_client().get(f"/jitsi/keys/{name}")
        assert pem.content_type.startswith("application/x-pem-file")
        assert pem.headers["Cache-Control"] == "public, max-age=300"
        claims = jwt.decode(token, pem.text, algorithms=["RS256"], audience="jitsi")
        assert claims["sub"] == "meet.localhost"

    def test_an_altered_token_verifies_with_no_key(self, app: Flask, alice: Hospital) -> None:
        """Nor does one that names another algorithm."""
        token = entered(app, alice.invite(alice.new_session()["id"], "doctor"))["jwt"]
        head, body, signature = token.split(".")
        tampered = f"{head}.{body[:-2]}{'AA' if body[-2:] != 'AA' else 'BB'}.{signature}"
        with pytest.raises(jwt.InvalidTokenError):
            claims_of(app, tampered)

    def test_the_key_set_shows_public_halves_only(self, app: Flask) -> None:
        """And what a reader needs to choose."""
        answer = app.test_client().get("/.well-known/jwks.json")
        for key in answer.get_json()["keys"]:
            assert {"kty", "n", "e", "kid", "use", "alg"} <= set(key)
            assert not {"d", "p", "q", "dp", "dq", "qi"} & set(key)
        assert answer.headers["Cache-Control"] == "public, max-age=300"

    def test_a_key_nobody_published_is_not_found(self, app: Flask) -> None:
        """404 as a problem."""
        answer = app.test_client().get("/jitsi/keys/0000.pem")
        assert (answer.status_code, answer.get_json()["code"]) == (404, "key_not_found")

    def test_with_a_jitsi_web_application_there_are_its_links(
        self, services: Services, alice: Hospital
    ) -> None:
        """For the browser and both apps, each with the same token."""
        settings = replace(services.settings, jitsi_public_url="https://meet.example")
        other = create_app(replace(services, settings=settings))
        body = entered(other, alice.invite(alice.new_session()["id"], "doctor"))
        assert body["jitsi"]["public_url"] == "https://meet.example"
        assert set(body["links"]) == {"web", "android", "ios"}
        room = f"https://meet.example/{body['room']}"
        assert body["links"]["web"] == f"{room}#jwt=%22{body['jwt']}%22"
        assert all(body["jwt"] in link for link in body["links"].values())
