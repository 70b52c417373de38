"""The relay's look at recordings: what waits, what hangs, what must not be, and who is to be asked.

Each session is a transaction of its own that holds the session's row, so any number of relays may
sweep. What is said into a room is said after the commit, and not again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.consents import ledger, texts
from app.consents.models import Consent
from app.consents.texts import RECORDING
from app.errors import Conflict, DomainError, Unavailable
from app.observability import place_of
from app.participants import presence
from app.participants.links import live_link, url_for
from app.participants.models import Attendance
from app.ports import RoomOrder
from app.recordings import follow, service
from app.recordings.models import Recording
from app.recordings.states import LIVE, State
from app.rooms import commands, recorders
from app.rooms.orders import Target
from app.services import Services
from app.sessions.models import CareSession
from app.sessions.states import OVER

log = structlog.get_logger()

# Nobody's word or recorder comes any more after that.
WAITED_FOR = timedelta(minutes=15)
# Jicofo gives a recorder 90 s to start.
STARTS_WITHIN = timedelta(seconds=100)
STOPS_WITHIN = timedelta(seconds=10)
GIVEN_UP_AFTER = timedelta(seconds=60)
# Nobody is recorded in a room that was empty so long: it is gone, and the news of that was lost.
DESERTED_AFTER = timedelta(seconds=60)
# A page shows the question by itself in this time; who has none gets a message.
PAGE_ASKS_WITHIN = timedelta(seconds=4)
INVITATIONS = {
    "en": "May this consultation be recorded? Please read and answer here: {link}",
    "de": "Darf diese Sprechstunde aufgezeichnet werden? Bitte hier lesen und antworten: {link}",
    "fr": "Cette consultation peut-elle être enregistrée ? À lire et répondre ici : {link}",
}


def sweep(services: Services, *, now: datetime) -> int:
    """Look at every session with a recording that is not over, or with somebody inside who was not
    asked; return how many."""
    with services.database.begin() as db:
        due = _due(db)
    for session_id in due:
        try:
            _look(services, session_id, now)
        except Exception as error:  # noqa: BLE001 - one odd session must not keep the others
            log.warning(
                "recording_sweep_failed",
                session_id=str(session_id),
                kind=type(error).__name__,
                place=place_of(error),
            )
    return len(due)


def _due(db: Session) -> Sequence[UUID]:
    unasked = (
        select(Attendance.session_id)
        .join(CareSession, CareSession.id == Attendance.session_id)
        .where(
            Attendance.left_at.is_(None),
            CareSession.recording == "planned",
            ~exists().where(
                Consent.participant_id == Attendance.participant_id, Consent.purpose == RECORDING
            ),
        )
    )
    recorded = select(Recording.session_id).where(Recording.state.in_(LIVE))
    return sorted(set(db.scalars(recorded)) | set(db.scalars(unasked)))


def _look(services: Services, session_id: UUID, now: datetime) -> None:
    orders, asked = [], []
    with services.database.begin() as db:
        session = db.scalars(
            select(CareSession)
            .where(CareSession.id == session_id)
            .with_for_update(of=CareSession, key_share=True, skip_locked=True)
        ).first()
        if session is None:
            return
        recording = follow.live(db, session_id)
        if recording is not None and (order := _judge(db, session, recording, now)):
            orders.append(order)
        if session.state not in OVER:
            asked = _ask(db, services, session, recording, now)
    for order in orders:
        commands.carry_out(services, order, now=now)
    for participant_id, text in asked:
        _say(services, session.room_name, participant_id, text)


def _judge(
    db: Session, session: CareSession, recording: Recording, now: datetime
) -> RoomOrder | None:
    if recording.state == State.REQUESTED:
        if session.state in OVER or now - recording.created_at > WAITED_FOR:
            follow.stop(db, recording, "not_started", actor=audit.SERVICE, now=now)
            return None
        return _try_again(db, session, recording, now)
    if recording.state == State.STOPPING:
        return _see_stopped(db, session, recording, now)
    if reason := _reason_to_stop(db, session, recording, now):
        follow.stop(db, recording, reason, actor=audit.SERVICE, now=now)
        return _order_stop(db, session, recording, now)
    return service.heed(db, session, actor=audit.SERVICE, now=now)


def _reason_to_stop(
    db: Session, session: CareSession, recording: Recording, now: datetime
) -> str | None:
    if session.state in OVER:
        return "session_over"
    if recording.state == State.STARTING and now - recording.changed_at > STARTS_WITHIN:
        return "no_answer"
    empty_since = presence.empty_since(db, session.id)
    is_deserted = empty_since is not None and (
        now - max(empty_since, recording.changed_at) > DESERTED_AFTER
    )
    return "room_empty" if is_deserted else None


def _see_stopped(
    db: Session, session: CareSession, recording: Recording, now: datetime
) -> RoomOrder | None:
    """End what the room has heard is to stop, and tell the room again where it has not."""
    waited = now - recording.changed_at
    if waited <= STOPS_WITHIN:
        return None
    answer = recorders.answer_to_stop(db, recording)
    if answer is not None and not answer.get("present"):
        follow.over(db, recording, "room_closed", now=now, actor=audit.SERVICE)
        return None
    if answer is not None and waited > GIVEN_UP_AFTER:
        follow.over(db, recording, "unconfirmed", now=now, actor=audit.SERVICE)
        return None
    is_due = recording.next_attempt_at is None or recording.next_attempt_at <= now
    if not is_due or recorders.stop_is_unheard(db, recording):
        return None
    return _order_stop(db, session, recording, now)


def _try_again(
    db: Session, session: CareSession, recording: Recording, now: datetime
) -> RoomOrder | None:
    order = service.heed(db, session, actor=audit.SERVICE, now=now)
    is_due = recording.next_attempt_at is not None and recording.next_attempt_at <= now
    waits = recording.state == State.REQUESTED and recording.reason != service.CONSENT_MISSING
    if order is None and waits and is_due and presence.present(db, session.id):
        return service.order_start(db, session, recording, now=now)
    return order


def _order_stop(
    db: Session, session: CareSession, recording: Recording, now: datetime
) -> RoomOrder:
    recording.next_attempt_at = now + follow.TRY_AGAIN
    return recorders.stop(db, Target.of(session), recording_id=recording.id, now=now)


def _ask(
    db: Session,
    services: Services,
    session: CareSession,
    recording: Recording | None,
    now: datetime,
) -> list[tuple[UUID, str]]:
    """Note that those are asked in the room whom no page has asked; return what they are told.

    The message itself is not kept, because it carries their personal link.
    """
    is_wanted = recording is not None and recording.state == State.REQUESTED
    if not (is_wanted or session.recording == "planned"):
        return []
    if recording is not None and now - recording.created_at < PAGE_ASKS_WITHIN:
        return []
    come = now - PAGE_ASKS_WITHIN
    inside = {p.id for p, since in presence.people_inside(db, session.id) if since < come}
    current = texts.current(db, session.organisation_id, RECORDING)
    told = []
    for one in service.silent(db, session.id, inside):
        text = current[one.person.locale]
        before = ledger.last_act(db, participant_id=one.person.id, purpose=RECORDING)
        if before is not None and before.text_sha256 == text.sha256:
            continue
        ledger.write(
            db, one.person, act="asked", text=text, channel="room", actor=audit.SERVICE, now=now
        )
        if link := _link(db, services, one.person.id):
            told.append((one.person.id, INVITATIONS[one.person.locale].format(link=link)))
    return told


def _link(db: Session, services: Services, participant_id: UUID) -> str:
    link = live_link(db, participant_id=participant_id)
    try:
        return f"{url_for(link, services.settings)}/consent" if link else ""
    except DomainError:
        return ""  # its key is gone


def _say(services: Services, room: str, participant_id: UUID, text: str) -> None:
    try:
        commands.say(services, room=room, text=text, participant_id=participant_id)
    except (Unavailable, Conflict) as error:
        log.warning("consent_message_not_said", code=error.code)
