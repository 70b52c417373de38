"""`/sessions`: plan, list, start. Reading one is with its participants, the rest in moderation."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.sessions import service
from app.sessions.models import CareSession
from app.sessions.schemas import SessionIn, SessionOut, SessionPageOut, SessionQuery
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.paging import Page, keyset_page
from app.web.services import current_services
from app.web.transactions import transactional
from app.web.versions import with_etag

blp = Blueprint("sessions", __name__, description="Consultations and emergencies")


@blp.route("/sessions", methods=["POST"])
@transactional
@requires("sessions:write")
@idempotent
@blp.arguments(SessionIn, required=False)
@blp.response(201, SessionOut)
def create_session(body: dict[str, Any], *, db: Session, caller: Caller) -> Any:
    """Create a session, planned or open at once."""
    largest = current_services().settings.max_room_size
    service.require_fitting(body.setdefault("capacity", largest), largest=largest)
    session = service.create(
        db, organisation_id=caller.organisation_id, actor=actor_of(caller), now=now(), **body
    )
    return with_etag(session)


@blp.route("/sessions", methods=["GET"])
@transactional
@requires("sessions:read")
@blp.arguments(SessionQuery, location="query")
@blp.response(200, SessionPageOut)
def list_sessions(query: dict[str, Any], *, db: Session, caller: Caller) -> Page[CareSession]:
    """List sessions, newest first."""
    cursor, limit = query.pop("cursor", None), query.pop("limit")
    mine = select(CareSession).where(CareSession.organisation_id == caller.organisation_id)
    return keyset_page(db, mine.filter_by(**query), CareSession, cursor=cursor, limit=limit)


@blp.route("/sessions/<uuid:session_id>/start", methods=["POST"])
@transactional
@requires("sessions:write")
@idempotent
@blp.response(200, SessionOut)
def start_session(session_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Open the session. One that is open already stays as it is."""
    session = service.start(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor_of(caller),
        now=now(),
    )
    return with_etag(session)
