"""`/audit`: read and export an organisation's own entries. For its security team only."""

from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from app.audit import reading
from app.audit.models import AuditEntry
from app.audit.schemas import AuditPageOut, AuditQuery, ExportQuery
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.paging import Page
from app.web.services import current_services
from app.web.transactions import transactional

blp = Blueprint("audit", __name__, description="Who did what, when; reading it is recorded, too")

MIME = {"ndjson": "application/x-ndjson", "fhir": "application/fhir+ndjson"}
LINES = {
    "description": "One JSON object per line, oldest first, as it is read from the database.",
    "content": {kind: {"schema": {"type": "string"}} for kind in MIME.values()},
}


@blp.route("/audit", methods=["GET"])
@transactional
@requires("audit:read")
@blp.arguments(AuditQuery, location="query")
@blp.response(200, AuditPageOut)
def list_audit(query: dict[str, Any], *, db: Session, caller: Caller) -> Page[AuditEntry]:
    """List entries, newest first.

    With several conditions a page may hold fewer than `limit`, or none, before the last one: go on
    while there is a `next_cursor`.
    """
    cursor = query.pop("cursor", None)
    return reading.find(
        db,
        organisation_id=caller.organisation_id,
        actor=actor_of(caller),
        now=now(),
        cursor=cursor,
        **query,
    )


@blp.route("/audit/export", methods=["GET"])
@transactional
@requires("audit:read")
@blp.arguments(ExportQuery, location="query")
@blp.doc(responses={200: LINES})
def export_audit(query: dict[str, Any], *, db: Session, caller: Caller) -> Response:
    """Export the entries of some time, as JSON or as FHIR AuditEvents, one per line."""
    services = current_services()
    mine = {"organisation_id": caller.organisation_id, **query}
    reading.export(db, actor=actor_of(caller), now=now(), **mine)
    source = services.settings.public_url
    body = reading.lines(services.database, source=source, **mine)
    return Response(body, mimetype=MIME[query["format"]])
