"""`/sessions/{id}/emergency-entries` and the queue of their reviews."""

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy.orm import Session

from app.emergencies import service
from app.emergencies.models import EmergencyEntry
from app.emergencies.schemas import (
    EmergencyEntryIn,
    EmergencyEntryOut,
    EmergencyEntryPageOut,
    EmergencyEntryQuery,
    EnteredOut,
    ReviewIn,
)
from app.emergencies.service import Entered
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.paging import Page, keyset_page
from app.web.services import current_services
from app.web.transactions import AfterCommit, after_commit, transactional

blp = Blueprint("emergencies", __name__, description="Entering an emergency uninvited")


@blp.route("/sessions/<uuid:session_id>/emergency-entries", methods=["POST"])
@transactional
@requires("emergency:enter")
@idempotent
@blp.arguments(EmergencyEntryIn)
@blp.response(201, EnteredOut)
def enter_emergency(
    body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> dict[str, Any]:
    """Enter an emergency uninvited, with a reason. The answer shows the link, once.

    The moderators in the room are told, the security team gets the event `emergency.entered`, and
    the entry waits for its review.
    """
    settings = current_services().settings
    entered = service.enter(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor_of(caller),
        settings=settings,
        now=now(),
        **body,
    )
    after_commit(_warn(entered))
    return {"entry": entered.entry, "participant": entered.invited.shown(settings)}


@blp.route("/emergency-entries", methods=["GET"])
@transactional
@requires("emergency:review")
@blp.arguments(EmergencyEntryQuery, location="query")
@blp.response(200, EmergencyEntryPageOut)
def list_emergency_entries(
    query: dict[str, Any], *, db: Session, caller: Caller
) -> Page[EmergencyEntry]:
    """List uninvited entries, newest first; `reviewed=false` is the queue."""
    chosen = service.of_organisation(caller.organisation_id)
    if "session_id" in query:
        chosen = chosen.where(EmergencyEntry.session_id == query["session_id"])
    if "reviewed" in query:
        waits = EmergencyEntry.reviewed_at.is_(None)
        chosen = chosen.where(waits if query["reviewed"] == "false" else ~waits)
    cursor, limit = query.get("cursor"), query["limit"]
    return keyset_page(db, chosen, EmergencyEntry, cursor=cursor, limit=limit)


@blp.route("/emergency-entries/<uuid:entry_id>", methods=["GET"])
@transactional
@requires("emergency:review")
@blp.response(200, EmergencyEntryOut)
def read_emergency_entry(entry_id: UUID, *, db: Session, caller: Caller) -> EmergencyEntry:
    """Read one entry."""
    return service.get(db, organisation_id=caller.organisation_id, entry_id=entry_id)


@blp.route("/emergency-entries/<uuid:entry_id>/review", methods=["POST"])
@transactional
@requires("emergency:review")
@idempotent
@blp.arguments(ReviewIn)
@blp.response(200, EmergencyEntryOut)
def review_emergency_entry(
    body: dict[str, Any], entry_id: UUID, *, db: Session, caller: Caller
) -> EmergencyEntry:
    """Sign an entry off as justified or not. Whoever entered cannot review it."""
    return service.review(
        db,
        organisation_id=caller.organisation_id,
        entry_id=entry_id,
        actor=actor_of(caller),
        now=now(),
        **body,
    )


def _warn(entered: Entered) -> AfterCommit:
    def finish(response: Response) -> Response:
        service.warn(current_services(), entered)
        return response

    return finish
