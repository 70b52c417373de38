"""What Prosody's modules call. Not part of the public API: keep /internal off the internet."""

from flask import Blueprint, Response
from sqlalchemy.orm import Session

from app.clock import utc_now
from app.rooms import admission, presence
from app.rooms.schemas import BatchIn, QuestionIn
from app.rooms.signed import answer, body_as, signed
from app.web.auth import across_organisations
from app.web.services import current_services
from app.web.transactions import transactional

blp = Blueprint("rooms", __name__, url_prefix="/internal/rooms")

QUESTION = QuestionIn()
BATCH = BatchIn()


@blp.post("/admission")
@signed
def ask() -> Response:
    """Answer whether a person may enter a room now."""
    return answer(admission.decide(current_services(), body_as(QUESTION), now=utc_now()))


@blp.post("/events")
@signed
@transactional
@across_organisations
def tell(*, db: Session) -> Response:
    """Take in what happened in the rooms; a repeat changes nothing."""
    batch = body_as(BATCH)
    taken = presence.record(db, source=batch["source"], events=batch["events"], now=utc_now())
    return answer({"accepted": taken})
