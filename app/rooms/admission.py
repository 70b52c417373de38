"""The answer to Prosody's question: may this person enter this room now?

Asked about everybody who comes, so the way of the allowed is one statement for all who are asked
about together. What is refused here is audited here; but not at a login, where nobody has tried to
enter yet: the question comes again with their conference request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from marshmallow import ValidationError

from app.audit import refusals
from app.audit import service as audit
from app.audit.service import Actor, Entry
from app.consents import ledger
from app.db.engine import Runner, run
from app.participants import waiting
from app.participants.permissions import Permission
from app.participants.seats import Seat, seats_by_link
from app.rooms import recorders
from app.rooms.schemas import Question, QuestionIn
from app.services import Services
from app.sessions import service as sessions
from app.sessions.states import State

log = structlog.get_logger()

QUESTION = QuestionIn()
# What a client without pages of its own is shown; ours have their own words for the codes.
TEXTS = {
    "unknown-room": "There is no such room.",
    "wrong-room": "The token is for another room.",
    "unknown-participant": "Nobody by this link takes part in this session.",
    "removed": "You were removed from this session.",
    "link-revoked": "This link was replaced; use the newest one you were sent.",
    "link-expired": "This link has expired; ask for a new one.",
    "session-ended": "This session has ended.",
    "session-cancelled": "This session was cancelled.",
    "too-early": "This session is not open yet.",
    "not-admitted": "Please wait until you are let in.",
    "denied": "You were not let into this session.",
    "consent-missing": "This session is being recorded. Open your personal link and answer first.",
}
HAS_BEEN_INSIDE = ("joined", "left")
ROOM = "SELECT true FROM teleconference.sessions WHERE room_name = %s"


@dataclass(frozen=True, slots=True)
class Decided:
    """An answer, and before whom the recording of their session may have to yield."""

    answer: dict[str, Any]
    yields_to: Seat | None = None


NOTHING = Decided({})


def answers(services: Services, asked: Sequence[Any], *, now: datetime) -> list[dict[str, Any]]:
    """Return the answers to several questions, in their order: the policy for this person in this
    room, or why there is none. A question that cannot be read gets no answer: the others are not to
    suffer for it.

    Raises:
        sqlalchemy.exc.DBAPIError: the database does not answer. The module then decides by its own
            setting; refusing here would tell people that they may not enter, which nobody said.
    """
    questions = [_readable(one) for one in asked]
    with services.database.direct() as db:
        seats = seats_by_link(db, {one.place for one in questions if one and one.place})
        decided = [
            _decide(db, services, one, one.place and seats.get(one.place), now) if one else NOTHING
            for one in questions
        ]
    for seat in filter(None, (one.yields_to for one in decided)):
        # A transaction of its own: not while the other connection is held.
        _yield_to(services, seat, now)
    return [one.answer for one in decided]


def _readable(asked: Any) -> Question | None:
    try:
        question: Question = QUESTION.load(asked)
    except ValidationError as error:
        wrong = sorted(str(name) for name in error.normalized_messages())
        log.warning("room_question_unreadable", fields=wrong)
        return None
    return question


def _decide(
    db: Runner, services: Services, question: Question, seat: Seat | None, now: datetime
) -> Decided:
    code = _barrier(seat, question, services.settings.early_join_s, now)
    if seat is not None and not code:
        return Decided(_allowed(seat))
    if question.stage == "login":
        return Decided({"allow": False, "code": code})
    if seat is None and not _room_exists(db, question.room):
        code = "unknown-room"
    if seat is not None and code == "not-admitted":
        # No refusal: they have come to the waiting room, which tells of it by itself.
        waiting.attend(db, services.database, seat, now=now)
    elif code != "consent-missing" or question.stage == "conference":
        # In the lobby it is asked again and again.
        _refuse(db, services, question, seat, code=code, now=now)
    refused = {"allow": False, "code": code, "text": TEXTS[code]}
    return Decided(refused, seat if code == "consent-missing" else None)


def _barrier(seat: Seat | None, question: Question, early_join_s: int, now: datetime) -> str:
    """Return the code of what keeps this person out, or ''."""
    if seat is None:
        return "unknown-participant"
    if question.room != question.token_room or question.room != seat.room_name:
        return "wrong-room"
    barrier = seat.barrier(early_join_s=early_join_s, now=now)
    # A link is for getting in. Who was in a call that still runs comes back on the token at any
    # hour: a lost network at the wrong moment must not end a long consultation. Revoking the link
    # or removing the person does end it, because somebody decided that.
    if barrier == "link-expired" and _is_coming_back(seat):
        return seat.last_barrier
    return barrier


def _yield_to(services: Services, seat: Seat, now: datetime) -> None:
    """Stop the recording for a newcomer, where the organisation wants that; they ask again."""
    with services.database.begin(seat.organisation_id) as db:
        session = sessions.lock(
            db, organisation_id=seat.organisation_id, session_id=seat.session_id
        )
        recorders.yield_to(db, session, participant_id=seat.participant_id, now=now)


def _is_coming_back(seat: Seat) -> bool:
    return seat.session_state == State.ACTIVE and seat.participant_state in HAS_BEEN_INSIDE


def _allowed(seat: Seat) -> dict[str, Any]:
    return {
        "allow": True,
        "participant_id": str(seat.participant_id),
        "session_id": str(seat.session_id),
        "role": seat.role,
        "affiliation": "owner" if Permission.MODERATE in seat.permissions else "member",
        "host": seat.is_host,
        "capacity": seat.capacity,
        "waiting_room": seat.waiting_room,
        # For Prosody's own door, which may know of a recorder that we do not.
        "consented": seat.consent == ledger.GIVEN,
        "permissions": sorted(seat.permissions),
        # A room without any need not ask for the list.
        "files": seat.has_files,
    }


def _room_exists(db: Runner, name: str) -> bool:
    return run(db, ROOM, (name,)) is not None


def _refuse(
    db: Runner,
    services: Services,
    question: Question,
    seat: Seat | None,
    *,
    code: str,
    now: datetime,
) -> None:
    entry = Entry(
        action="room.entry_refused",
        actor=Actor("participant", str(seat.participant_id)) if seat else audit.STRANGER,
        organisation_id=seat.organisation_id if seat else None,
        session_id=seat.session_id if seat else None,
        participant_id=seat.participant_id if seat else None,
        refused=True,
        detail={"code": code, "stage": question.stage, "token_id": question.token_id},
    )
    refusals.note(
        db,
        services.limiter,
        entry,
        # Prosody asks for all: a stranger is known by the room they knock at.
        who=entry.actor.id or question.room,
        bound=services.settings.audit_refusals,
        now=now,
    )
