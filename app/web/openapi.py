"""The OpenAPI 3.1 document: made by flask-smorest from the routes, completed here."""

from typing import Any

from flask import Flask, current_app
from flask_smorest import Api

from app.web.auth import SCOPES
from app.web.schemas import ProblemOut

OPENAPI_CONFIG = {
    "API_TITLE": "Teleconsult",
    "API_VERSION": "1",
    "OPENAPI_VERSION": "3.1.0",
}
PROBLEM = "application/problem+json"
DESCRIPTION = """Consultations over a hospital's own Jitsi Meet.

Get a token from `POST /oauth/token`, create a session, invite people; each gets one personal link.
Errors are RFC 9457 documents with a stable `code`. Writes take `Idempotency-Key`; changes need the
ETag in `If-Match`. Times are RFC 3339 with a zone. Lists are pages with an opaque cursor."""


class TeleconsultApi(Api):
    """flask-smorest with our errors; the document is served by `app.web.docs`."""

    ERROR_SCHEMA = ProblemOut

    def _register_error_handlers(self) -> None:
        """Leave errors to `app.web.problems`."""


def document(app: Flask) -> dict[str, Any]:
    """Return the whole document, in a stable order."""
    with app.app_context():
        smorest = current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
        spec: dict[str, Any] = smorest.spec.to_dict()
    spec["info"]["description"] = DESCRIPTION
    spec["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    spec["servers"] = [{"url": "/"}]
    spec["components"]["securitySchemes"] = _security()
    for path in spec["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                _describe_errors(operation)
    for response in spec["components"]["responses"].values():
        _as_problem(response)
    return spec


def _security() -> dict[str, Any]:
    flow = {"tokenUrl": "/oauth/token", "scopes": dict(SCOPES)}
    return {
        "oauth2": {
            "type": "oauth2",
            "description": "A hospital's program.",
            "flows": {"clientCredentials": flow},
        },
        "openIdConnect": {
            "type": "openIdConnect",
            "description": "A person: an access token of the hospital's own issuer (`teleconsult "
            "oidc add`), which takes the place of issuer.example. Scopes come of the roles in it.",
            "openIdConnectUrl": "https://issuer.example/.well-known/openid-configuration",
        },
        "staffCookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-teleconsult-staff",
            "description": "A person signed in at `/staff/sign-in`, from this service's own pages.",
        },
    }


def _describe_errors(operation: dict[str, Any]) -> None:
    """Every operation can refuse; say so once, by reference."""
    responses = operation["responses"]
    for status in [s for s in responses if s.startswith(("4", "5"))]:
        del responses[status]
    responses["default"] = {"$ref": "#/components/responses/DEFAULT_ERROR"}


def _as_problem(response: dict[str, Any]) -> None:
    content = response.get("content", {})
    if "application/json" in content:
        content[PROBLEM] = content.pop("application/json")
