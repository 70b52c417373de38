"""`/consent-texts` and `/sessions/{id}/consents`."""

from typing import Any
from uuid import UUID

import orjson
from flask import Response
from sqlalchemy.orm import Session

from app.consents import fhir, service, texts
from app.consents.schemas import (
    ConsentIn,
    ConsentOut,
    ConsentsOut,
    ConsentTextIn,
    ConsentTextOut,
    ConsentTextsOut,
)
from app.recordings.routes import tell_room
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.services import current_services
from app.web.transactions import transactional

blp = Blueprint("consents", __name__, description="What people agreed to, and with which text")

BUNDLE = {
    "description": "A FHIR R4 Bundle of Consent resources.",
    "content": {"application/fhir+json": {"schema": {"type": "object"}}},
}


@blp.route("/consent-texts", methods=["GET"])
@transactional
@requires("organisation:read")
@blp.response(200, ConsentTextsOut)
def list_consent_texts(*, db: Session, caller: Caller) -> dict[str, Any]:
    """List the texts people are asked with now, in every language."""
    of = [texts.current(db, caller.organisation_id, purpose) for purpose in texts.PURPOSES]
    return {"items": [text for by_language in of for text in by_language.values()]}


@blp.route("/consent-texts", methods=["POST"])
@transactional
@requires("organisation:manage")
@idempotent
@blp.arguments(ConsentTextIn)
@blp.response(201, ConsentTextOut)
def add_consent_text(body: dict[str, Any], *, db: Session, caller: Caller) -> Any:
    """Put a text of your own. Whoever agreed to the one before is asked again."""
    return service.add_text(db, **_who(caller), **body)


@blp.route("/sessions/<uuid:session_id>/consents", methods=["GET"])
@transactional
@requires("consents:read")
@blp.response(200, ConsentsOut)
def list_consents(session_id: UUID, *, db: Session, caller: Caller) -> dict[str, Any]:
    """Read where everybody stands, and every act that led there. Reading is audited."""
    return service.of_session(db, session_id=session_id, **_who(caller))


@blp.route("/sessions/<uuid:session_id>/consents", methods=["POST"])
@transactional
@requires("consents:write")
@idempotent
@blp.arguments(ConsentIn)
@blp.response(201, ConsentOut)
def register_consent(body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Write down what a person said elsewhere: on paper, on the phone, in a program of yours.
    A consent that is withdrawn or refused stops a recording at once."""
    row, order = service.answer(db, session_id=session_id, **_who(caller), **body)
    tell_room(order)
    return row


@blp.route("/sessions/<uuid:session_id>/consents/fhir", methods=["GET"])
@transactional
@requires("consents:read")
@blp.doc(responses={200: BUNDLE})
def export_consents(session_id: UUID, *, db: Session, caller: Caller) -> Response:
    """Export the answers as FHIR R4 Consent resources. Reading is audited."""
    found = service.of_session(db, session_id=session_id, **_who(caller))
    source = current_services().settings.public_url
    body = orjson.dumps(fhir.bundle(found["acts"], found["standings"], source=source))
    return Response(body, mimetype="application/fhir+json")


def _who(caller: Caller) -> dict[str, Any]:
    return {
        "organisation_id": caller.organisation_id,
        "actor": actor_of(caller),
        "now": now(),
    }
