"""The OpenAPI 3.1 document: made by flask-smorest from the routes, completed here."""

import re
from collections.abc import Callable
from threading import Lock
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
# By what an address is about, not by the module that answers; in the order of a working day.
TAGS = {
    "sign-in": "Access tokens, who is calling, and public keys",
    "sessions": "Consultations and emergencies",
    "participants": "People in a session, and their links",
    "waiting": "Who waits to be let in",
    "moderation": "What is done to people in a running call",
    "consents": "What people agreed to, and with which text",
    "recordings": "Recordings, with everybody's consent, and who may watch them",
    "holds": "Legal holds: what must not be deleted",
    "files": "What people share in a session",
    "attendance": "Who was in the room",
    "emergencies": "Entering an emergency uninvited",
    "appointments": "What is planned, and how it went",
    "visits": "Visits as they happen",
    "notifications": "Messages to people about a session",
    "webhooks": "Signed events to an address of yours, what was sent there, and again",
    "events": "What happened, in an order to follow",
    "organisation": "The organisation and its rules for visits",
    "audit": "Who did what, when; reading it is recorded, too",
    "operation": "How the service is",
    "links": "What the page behind a personal link asks and does",
}
# The first that an address begins with; `*` stands for an id.
PLACES = (
    ("/sessions/*/participants/*/mute", "moderation"),
    ("/sessions/*/participants/*/unmute-request", "moderation"),
    ("/sessions/*/participants/*/moderator", "moderation"),
    ("/sessions/*/participants", "participants"),
    ("/sessions/*/mute", "moderation"),
    ("/sessions/*/messages", "moderation"),
    ("/sessions/*/av-moderation", "moderation"),
    ("/sessions/*/waiting", "waiting"),
    ("/sessions/*/consents", "consents"),
    ("/sessions/*/recordings", "recordings"),
    ("/sessions/*/holds", "holds"),
    ("/sessions/*/files", "files"),
    ("/sessions/*/attendance", "attendance"),
    ("/sessions/*/emergency-entries", "emergencies"),
    ("/sessions/*/notifications", "notifications"),
    ("/sessions", "sessions"),
    ("/emergency-entries", "emergencies"),
    ("/appointments", "appointments"),
    ("/visits", "visits"),
    ("/consent-texts", "consents"),
    ("/recordings", "recordings"),
    ("/holds", "holds"),
    ("/webhooks", "webhooks"),
    ("/events", "events"),
    ("/organisation", "organisation"),
    ("/audit", "audit"),
    ("/j/", "links"),
    ("/p/", "links"),
    ("/health", "operation"),
    ("/stats", "operation"),
    ("/metrics", "operation"),
    ("/", "sign-in"),
)
# Blueprints behind a personal link that repeat operations of the API.
OF_A_PAGE = ("controls", "page-waiting", "page-consents", "page-files")
_ID = re.compile(r"{\w+}")
DESCRIPTION = """Consultations over a hospital's own Jitsi Meet.

Get a token from `POST /oauth/token`, create a session, invite people; each gets one personal link.
Errors are RFC 9457 documents with a stable `code`. Writes take `Idempotency-Key`; changes need the
ETag in `If-Match`. Times are RFC 3339 with a zone. Lists are pages with an opaque cursor."""


class TeleconsultApi(Api):
    """flask-smorest with our errors; the document is served by `app.web.docs`.

    It is made when somebody asks for it: few processes ever are asked, and it takes as long as the
    rest of what they begin with.
    """

    ERROR_SCHEMA = ProblemOut

    def __init__(self, app: Flask) -> None:
        self._undescribed: list[Callable[[], None]] = []
        self._lock = Lock()
        super().__init__(app)

    def describe_later(self, describe: Callable[[], None]) -> None:
        """Remember how to write a part of the document; parts come in the order of these calls."""
        self._undescribed.append(describe)

    def described(self) -> dict[str, Any]:
        """Return the document as flask-smorest makes it."""
        with self._lock:
            while self._undescribed:
                self._undescribed.pop(0)()
            return dict(self.spec.to_dict())

    def _register_error_handlers(self) -> None:
        """Leave errors to `app.web.problems`."""


def document(app: Flask) -> dict[str, Any]:
    """Return the whole document, in a stable order."""
    with app.app_context():
        smorest: TeleconsultApi = current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
        spec = smorest.described()
    spec["info"]["description"] = DESCRIPTION
    spec["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    spec["servers"] = [{"url": "/"}]
    spec["components"]["securitySchemes"] = _security()
    spec["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    names = _names(app)
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            if isinstance(operation, dict):
                operation["operationId"] = names[path, method]
                operation["tags"] = [_tag(path)]
                operation["summary"] = " ".join(operation["summary"].split())
                _describe_errors(operation)
    for response in spec["components"]["responses"].values():
        _as_problem(response)
    return spec


def _names(app: Flask) -> dict[tuple[str, str], str]:
    """Name each operation after its function, as programs that generate clients like it."""
    names: dict[tuple[str, str], str] = {}
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        module, _, function = rule.endpoint.rpartition(".")
        # On a moderator's page there is the same again, and a name is given once.
        function = f"control_{function}" if module in OF_A_PAGE else function
        first, *others = function.split("_")
        name = first + "".join(word.title() for word in others)
        names |= {(path, method.lower()): name for method in rule.methods or ()}
    return names


def _tag(path: str) -> str:
    place = _ID.sub("*", path)
    return next(tag for beginning, tag in PLACES if place.startswith(beginning))


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
