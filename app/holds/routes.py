"""`/sessions/{id}/holds` and `/holds`: what must not be deleted."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.holds import service
from app.holds.models import LegalHold
from app.holds.schemas import HoldIn, HoldOut, HoldPageOut, HoldPageQuery, HoldQuery, HoldReleaseIn
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.paging import Page, keyset_page
from app.web.transactions import transactional

blp = Blueprint("holds", __name__, description="Legal holds: what must not be deleted")

OF_SESSION = "/sessions/<uuid:session_id>/holds"


@blp.route(OF_SESSION, methods=["POST"])
@transactional
@requires("holds:manage")
@idempotent
@blp.arguments(HoldIn)
@blp.response(201, HoldOut)
def place_hold(body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller) -> LegalHold:
    """Keep everything of a session, whatever its time is, until the hold is released."""
    return service.place(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )


@blp.route(OF_SESSION, methods=["GET"])
@transactional
@requires("holds:manage")
@blp.arguments(HoldPageQuery, location="query")
@blp.response(200, HoldPageOut)
def list_session_holds(
    query: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> Page[LegalHold]:
    """List the holds on a session, newest first, the released ones, too."""
    theirs = service.of_session(db, organisation_id=caller.organisation_id, session_id=session_id)
    return keyset_page(db, theirs, LegalHold, cursor=query.get("cursor"), limit=query["limit"])


@blp.route("/holds", methods=["GET"])
@transactional
@requires("holds:manage")
@blp.arguments(HoldQuery, location="query")
@blp.response(200, HoldPageOut)
def list_holds(query: dict[str, Any], *, db: Session, caller: Caller) -> Page[LegalHold]:
    """List the holds of the organisation, newest first."""
    live = {"true": True, "false": False}.get(query.get("live", ""))
    mine = service.of_organisation(caller.organisation_id, live=live)
    return keyset_page(db, mine, LegalHold, cursor=query.get("cursor"), limit=query["limit"])


@blp.route("/holds/<uuid:hold_id>/release", methods=["POST"])
@transactional
@requires("holds:manage")
@idempotent
@blp.arguments(HoldReleaseIn)
@blp.response(200, HoldOut)
def release_hold(body: dict[str, Any], hold_id: UUID, *, db: Session, caller: Caller) -> LegalHold:
    """Release a hold. What is past its time goes at the next sweep, within the hour."""
    return service.release(
        db,
        organisation_id=caller.organisation_id,
        hold_id=hold_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )
