"""`/j/{code}/consents` and the recording controls: what people say about being recorded, and who
may asks for it, from the page behind their link."""

from typing import Any

from sqlalchemy.orm import Session

from app.consents import service
from app.consents.texts import RECORDING
from app.pages.behind_link import done_by, from_our_page, seated
from app.pages.consent_schemas import AnswerIn, AnswerOut, QuestionOut, QuestionQuery
from app.pages.controls import CONTROLS
from app.participants.permissions import Permission
from app.participants.seats import Seat
from app.recordings import service as recordings
from app.recordings.routes import tell_room
from app.recordings.schemas import RecordingIn, RecordingOut
from app.web.blueprint import Blueprint
from app.web.services import current_services
from app.web.transactions import transactional

blp = Blueprint("page-consents", __name__, description="Consent, from a person's own page")

CONSENTS = "/j/<string:code>/consents"


@blp.route(CONSENTS, methods=["GET"])
@transactional
@seated()
@blp.arguments(QuestionQuery, location="query")
@blp.response(200, QuestionOut)
def consent_question(query: dict[str, Any], *, db: Session, seat: Seat) -> dict[str, Any]:
    """Read the text a person is asked with. That it is shown to them is written down."""
    standing, text = service.ask(
        db, participant_id=seat.participant_id, purpose=RECORDING, **done_by(seat), **query
    )
    return {
        "purpose": text.purpose,
        "state": standing.state,
        "language": text.language,
        "version": text.version,
        "text": text.text,
        "sha256": text.sha256,
    }


@blp.route(CONSENTS, methods=["POST"])
@from_our_page
@transactional
@seated()
@blp.arguments(AnswerIn)
@blp.response(200, AnswerOut)
def consent_answer(body: dict[str, Any], *, db: Session, seat: Seat) -> dict[str, Any]:
    """Agree, do not agree, or take it back. The last two stop a recording at once."""
    row, order = service.answer(
        db, participant_id=seat.participant_id, purpose=RECORDING, **done_by(seat), **body
    )
    tell_room(order)
    return {"state": row.act}


@blp.route(f"{CONTROLS}/record", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.REQUEST_RECORDING)
@blp.arguments(RecordingIn, required=False)
@blp.response(202, RecordingOut)
def record(body: dict[str, Any], *, db: Session, seat: Seat) -> Any:
    """Ask for a recording."""
    recording, order = recordings.request(db, current_services(), **done_by(seat), **body)
    tell_room(order)
    return recording


@blp.route(f"{CONTROLS}/stop-recording", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.REQUEST_RECORDING)
@blp.response(202, RecordingOut)
def stop_recording(*, db: Session, seat: Seat) -> Any:
    """Stop the recording, or the wish for one."""
    recording, order = recordings.stop_in(db, **done_by(seat))
    tell_room(order)
    return recording
