"""`/j/{code}/people` and `/j/{code}/controls/…`: what moderators do from the page behind their
link, by the same services as the API."""

from typing import Any

from sqlalchemy.orm import Session

from app.moderation import calls, service
from app.moderation.routes import ROOM_TOLD, ROOM_WILL_BE_TOLD, carry_out, carry_out_now
from app.moderation.schemas import AvModerationIn, MessageIn, MessageOut, MuteAllIn
from app.pages.behind_link import done_by, from_our_page, seated
from app.pages.control_schemas import (
    AskPersonIn,
    DoneOut,
    EndIn,
    ModeratorIn,
    MutePersonIn,
    PeopleOut,
    RemovePersonIn,
)
from app.participants import presence
from app.participants.permissions import Permission
from app.participants.seats import Seat
from app.ports import RoomOrder
from app.rooms import av_moderation
from app.rooms.removal import Removal
from app.sessions import service as sessions
from app.web.blueprint import Blueprint
from app.web.services import current_services
from app.web.transactions import after_commit, transactional

blp = Blueprint("controls", __name__, description="What moderators do from their page")

CONTROLS = "/j/<string:code>/controls"


@blp.route("/j/<string:code>/people", methods=["GET"])
@transactional
@seated(Permission.MODERATE)
@blp.response(200, PeopleOut)
def people(*, db: Session, seat: Seat) -> dict[str, Any]:
    """List who is in the room, for its moderators."""
    session = sessions.get(db, organisation_id=seat.organisation_id, session_id=seat.session_id)
    inside = presence.people_inside(db, seat.session_id)
    moderated = av_moderation.state(db, session_id=seat.session_id)
    return {
        "people": [
            {
                "participant_id": person.id,
                "role": person.role,
                "display_name": person.display_name,
                "moderator": Permission.MODERATE in service.rights_of(db, session, person),
                "since": since,
            }
            for person, since in inside
        ],
        "audio_moderated": moderated["audio"],
        "video_moderated": moderated["video"],
    }


@blp.route(f"{CONTROLS}/mute", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.MODERATE)
@blp.arguments(MutePersonIn)
@blp.response(200, DoneOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=DoneOut, description=ROOM_WILL_BE_TOLD)
def mute(body: dict[str, Any], *, db: Session, seat: Seat) -> Any:
    """Mute one person."""
    _, order = calls.mute(db, **done_by(seat), **body)
    return _done(seat, order)


@blp.route(f"{CONTROLS}/mute-all", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.MODERATE)
@blp.arguments(MuteAllIn)
@blp.response(200, DoneOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=DoneOut, description=ROOM_WILL_BE_TOLD)
def mute_all(body: dict[str, Any], *, db: Session, seat: Seat) -> Any:
    """Mute everybody but the moderators and those named."""
    _, order = calls.mute_all(db, **done_by(seat), **body)
    return _done(seat, order)


@blp.route(f"{CONTROLS}/unmute-request", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.MODERATE)
@blp.arguments(AskPersonIn)
@blp.response(200, DoneOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=DoneOut, description=ROOM_WILL_BE_TOLD)
def unmute_request(body: dict[str, Any], *, db: Session, seat: Seat) -> Any:
    """Ask one person to switch on."""
    _, order = calls.ask_to_unmute(db, **done_by(seat), **body)
    return _done(seat, order)


@blp.route(f"{CONTROLS}/remove", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.MODERATE)
@blp.arguments(RemovePersonIn)
@blp.response(200, DoneOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=DoneOut, description=ROOM_WILL_BE_TOLD)
def remove(body: dict[str, Any], *, db: Session, seat: Seat) -> Any:
    """Remove a person, for good or for a time."""
    removal = Removal(reason=service.REMOVED, **done_by(seat), **body)
    _, order = removal.made_at_once(db, current_services().database)
    after_commit(carry_out_now(order))
    return _shown(seat)


@blp.route(f"{CONTROLS}/moderator", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.MODERATE)
@blp.arguments(ModeratorIn)
@blp.response(200, DoneOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=DoneOut, description=ROOM_WILL_BE_TOLD)
def moderator(body: dict[str, Any], *, db: Session, seat: Seat) -> Any:
    """Let somebody moderate, or not any more."""
    _, order = calls.set_moderator(db, **done_by(seat), **body)
    return _done(seat, order)


@blp.route(f"{CONTROLS}/av-moderation", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.MODERATE)
@blp.arguments(AvModerationIn)
@blp.response(200, DoneOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=DoneOut, description=ROOM_WILL_BE_TOLD)
def moderate_av(body: dict[str, Any], *, db: Session, seat: Seat) -> Any:
    """Say whose microphone and camera may be on."""
    _, order = calls.moderate_av(db, wanted=body, **done_by(seat))
    return _done(seat, order)


@blp.route(f"{CONTROLS}/message", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.MODERATE)
@blp.arguments(MessageIn)
@blp.response(200, MessageOut)
def message(body: dict[str, Any], *, db: Session, seat: Seat) -> dict[str, int]:
    """Write into the room as the room itself. The text is delivered and not kept."""
    delivered = service.send_message(db, current_services(), **done_by(seat), **body)
    return {"delivered": delivered}


@blp.route(f"{CONTROLS}/end", methods=["POST"])
@from_our_page
@transactional
@seated(Permission.END_SESSION)
@blp.arguments(EndIn)
@blp.response(200, DoneOut, description=ROOM_TOLD)
@blp.alt_response(202, schema=DoneOut, description=ROOM_WILL_BE_TOLD)
def end(body: dict[str, Any], *, db: Session, seat: Seat) -> Any:
    """End the session for everybody."""
    _, order = service.end_session(db, **done_by(seat), **body)
    return _done(seat, order)


def _done(seat: Seat, order: RoomOrder) -> tuple[dict[str, Any], int]:
    after_commit(carry_out(order))
    return _shown(seat)


def _shown(seat: Seat) -> tuple[dict[str, Any], int]:
    return {"session_id": seat.session_id}, 202
