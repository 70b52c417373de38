"""`/events`: follow what happens, and read what each type of event says."""

from typing import Any

from sqlalchemy.orm import Session

from app.events.members import described
from app.feed import service
from app.feed.schemas import EventTypesOut, FeedOut, FeedQuery
from app.web.auth import Caller, requires
from app.web.blueprint import Blueprint
from app.web.transactions import transactional

blp = Blueprint("feed", __name__, description="What happened, in an order to follow")


@blp.route("/events", methods=["GET"])
@transactional
@requires("events:read")
@blp.arguments(FeedQuery, location="query")
@blp.response(200, FeedOut)
def read_events(query: dict[str, Any], *, db: Session, caller: Caller) -> dict[str, Any]:
    """Read the feed after a cursor. Who follows it misses nothing and gets nothing twice."""
    return service.read(
        db, organisation_id=caller.organisation_id, after=query.pop("after", None), **query
    )


@blp.route("/events/types", methods=["GET"])
@transactional
@requires("events:read")
@blp.response(200, EventTypesOut)
def list_event_types(*, db: Session, caller: Caller) -> dict[str, Any]:
    """List every type of event with its JSON Schema and an example."""
    return {"items": described()}
