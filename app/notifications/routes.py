"""`/sessions/{id}/notifications`: what people were told, and telling them again."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.notifications import service
from app.notifications.models import Notification
from app.notifications.schemas import (
    NotificationIn,
    NotificationOut,
    NotificationPageOut,
    NotificationQuery,
)
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.paging import Page, keyset_page
from app.web.services import current_services
from app.web.transactions import transactional

blp = Blueprint("notifications", __name__, description="Messages to people about a session")


@blp.route("/sessions/<uuid:session_id>/notifications", methods=["GET"])
@transactional
@requires("notifications:manage")
@blp.arguments(NotificationQuery, location="query")
@blp.response(200, NotificationPageOut)
def list_notifications(
    query: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> Page[Notification]:
    """List the messages about a session, newest first. They hold no address and no text."""
    cursor, limit = query.pop("cursor", None), query.pop("limit")
    mine = service.of_session(db, organisation_id=caller.organisation_id, session_id=session_id)
    return keyset_page(db, mine.filter_by(**query), Notification, cursor=cursor, limit=limit)


@blp.route("/sessions/<uuid:session_id>/notifications", methods=["POST"])
@transactional
@requires("notifications:manage")
@idempotent
@blp.arguments(NotificationIn)
@blp.response(202, NotificationOut)
def resend_notification(
    body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> Notification:
    """Send a person's invitation once more, with their present link."""
    return service.resend(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=body["participant_id"],
        available=service.channels_of(current_services().settings),
        actor=actor_of(caller),
        now=now(),
    )
