"""Somebody clicks on a personal link."""

from typing import Any

import jwt
from flask import Flask
from jwt import PyJWKSet
from werkzeug.test import TestResponse

from tests.api.records import code_of


def click(app: Flask, person: dict[str, Any]) -> TestResponse:
    """Exchange a person's link."""
    return app.test_client().post(f"/j/{code_of(person)}/token", json={})


def entered(app: Flask, person: dict[str, Any]) -> dict[str, Any]:
    """Exchange a person's link, which must work."""
    answer = click(app, person)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def claims_of(app: Flask, token: str) -> dict[str, Any]:
    """Return the claims of a token, verified with the published key set as Prosody would."""
    published = PyJWKSet.from_dict(app.test_client().get("/.well-known/jwks.json").get_json())
    key = published[jwt.get_unverified_header(token)["kid"]]
    return dict(
        jwt.decode(token, key.key, algorithms=["RS256"], audience="jitsi", issuer="teleconsult")
    )
