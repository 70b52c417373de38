"""Asking for a recording, stopping it, and what consents mean for it.

State first, then the room. Nothing here starts a recorder: the order that is given makes the room
ask `gate` once more, with the people who are really inside at that moment.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.consents import ledger
from app.consents.ledger import GIVEN, MISSING, Standing
from app.consents.texts import RECORDING
from app.errors import Conflict, NotFound
from app.ids import new_id
from app.participants import presence
from app.ports import RoomOrder
from app.recording_files import service as files
from app.recordings import follow
from app.recordings.models import Recording
from app.recordings.states import RUNNING, State
from app.rooms import recorders
from app.rooms.orders import Target
from app.services import Services
from app.sessions import service as sessions
from app.sessions.models import CareSession

CONSENT_MISSING, CONSENT_REFUSED, CONSENT_WITHDRAWN = (
    "consent_missing",
    "consent_refused",
    "consent_withdrawn",
)
SAID_NO = ("refused", "withdrawn")


@dataclass(frozen=True, slots=True)
class Missing:
    """Whose word is against a recording, and of which kind it is."""

    code: str
    roles: list[str]

    def refusal(self) -> Conflict:
        """Say so, by roles: who reads this may not know names."""
        who = ", ".join(self.roles)
        if self.code == CONSENT_REFUSED:
            return Conflict(f"Did not agree to be recorded: {who}.", code="consent_refused")
        return Conflict(f"Has not agreed to be recorded yet: {who}.", code="consent_missing")


def request(
    db: Session,
    services: Services,
    *,
    organisation_id: UUID,
    session_id: UUID,
    ask_first: bool,
    actor: Actor,
    now: datetime,
) -> tuple[Recording, RoomOrder | None]:
    """Ask for a recording of the people who are in the room.

    Args:
        ask_first: whether those who have not answered yet are asked, and the recording waits.

    Raises:
        NotFound: no such session.
        Conflict: it is not going on, nobody is inside, it is recorded already, somebody did not
            agree, or somebody was not asked yet and is not to be. The last two are audited.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    sessions.require_open(session)
    if follow.live(db, session_id) is not None:
        raise Conflict("This session is being recorded already.", code="recording_live")
    inside = presence.present(db, session_id)
    if not inside:
        raise Conflict("Nobody is in the room.", code="room_empty")
    missing = against(db, session_id, inside)
    if missing and (missing.code == CONSENT_REFUSED or not ask_first):
        _audit_refusal(services, session, missing, actor, now)
        raise missing.refusal()
    recording = create(db, session, actor=actor, now=now)
    if missing:
        follow.wait(db, recording, missing.code, actor=actor, now=now)
        return recording, None
    return recording, order_start(db, session, recording, now=now)


def stop(
    db: Session, *, organisation_id: UUID, recording_id: UUID, actor: Actor, now: datetime
) -> tuple[Recording, RoomOrder | None]:
    """Stop a recording, or the wish for one. One that is over stays as it is.

    Raises:
        NotFound: no such recording.
    """
    found = get(db, organisation_id=organisation_id, recording_id=recording_id)
    session = sessions.lock(db, organisation_id=organisation_id, session_id=found.session_id)
    recording = follow.live(db, session.id)
    if recording is None or recording.id != recording_id:
        return found, None
    return recording, _stop(db, session, recording, "stopped", actor=actor, now=now)


def stop_in(
    db: Session, *, organisation_id: UUID, session_id: UUID, actor: Actor, now: datetime
) -> tuple[Recording, RoomOrder | None]:
    """The same for whatever recording of a session is not over.

    Raises:
        NotFound: no such session, or nothing is recorded in it.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    recording = follow.live(db, session_id)
    if recording is None:
        raise _not_found()
    return recording, _stop(db, session, recording, "stopped", actor=actor, now=now)


def heed(db: Session, session: CareSession, *, actor: Actor, now: datetime) -> RoomOrder | None:
    """Let a recording follow what people said: start it when everybody inside agrees, stop it when
    somebody does not. The session is locked.

    Returns:
        What the room must be told, after the commit.
    """
    recording = follow.live(db, session.id)
    if recording is None:
        return None
    inside = presence.present(db, session.id)
    missing = against(db, session.id, inside)
    if recording.state == State.REQUESTED:
        if missing is None:
            waits = recording.reason == CONSENT_MISSING
            return order_start(db, session, recording, now=now) if waits and inside else None
        if missing.code == CONSENT_REFUSED:
            follow.stop(db, recording, CONSENT_REFUSED, actor=actor, now=now)
        else:
            follow.wait(db, recording, missing.code, actor=actor, now=now)
        return None
    if missing is None:
        return None
    return _stop(db, session, recording, missing.code, actor=actor, now=now)


def mark_withdrawn(db: Session, session: CareSession, *, is_news: bool, now: datetime) -> None:
    """Mark and withhold whatever somebody may be seen in who took their consent back (`is_news`:
    just now). What was released since it was first said stays released. The session is locked."""
    theirs = (Recording.session_id == session.id, files.may_show_people())
    marked_at = func.coalesce(Recording.withdrawn_at, now)
    db.execute(
        update(Recording)
        # Another version, also of what is marked: who read it before does not know of this.
        .where(*theirs, Recording.withdrawn_at.is_(None) | is_news)
        .values(withdrawn_at=marked_at, version=Recording.version + 1)
        .execution_options(synchronize_session=False)
    )
    ids = db.scalars(select(Recording.id).where(*theirs)).all()
    files.withhold_all(db, ids, code=CONSENT_WITHDRAWN, is_news=is_news, now=now)


def withdraw(db: Session, session: CareSession, *, actor: Actor, now: datetime) -> RoomOrder | None:
    """Stop what is recorded because somebody took their consent back, whether they are inside or
    not. The session is locked."""
    recording = follow.live(db, session.id)
    if recording is not None and recording.state in RUNNING:
        return _stop(db, session, recording, CONSENT_WITHDRAWN, actor=actor, now=now)
    return heed(db, session, actor=actor, now=now)


def get(db: Session, *, organisation_id: UUID, recording_id: UUID) -> Recording:
    """Return one recording of this organisation.

    Raises:
        NotFound: there is none.
    """
    recording = db.scalars(
        select(Recording).where(
            Recording.id == recording_id, Recording.organisation_id == organisation_id
        )
    ).first()
    if recording is None:
        raise _not_found()
    return recording


def of_session(db: Session, *, organisation_id: UUID, session_id: UUID) -> Select[Recording]:
    """Return the recordings of a session, to be paged.

    Raises:
        NotFound: no such session.
    """
    sessions.get(db, organisation_id=organisation_id, session_id=session_id)
    return select(Recording).where(Recording.session_id == session_id)


def create(db: Session, session: CareSession, *, actor: Actor, now: datetime) -> Recording:
    """Note that somebody wants a recording. The session is locked and has no live one."""
    recording = Recording(
        id=new_id(),
        organisation_id=session.organisation_id,
        session_id=session.id,
        state=State.REQUESTED,
        requested_by_kind=actor.kind,
        requested_by=actor.id,
        changed_at=now,
        next_attempt_at=now + follow.TRY_AGAIN,
        version=1,
        created_at=now,
    )
    db.add(recording)
    db.flush()
    follow.tell(db, recording, "recording.requested", actor=actor, now=now)
    return recording


def order_start(
    db: Session, session: CareSession, recording: Recording, *, now: datetime
) -> RoomOrder:
    """Order a recording that waits; when nothing comes of it, it is ordered again."""
    recording.reason = None if recording.reason == CONSENT_MISSING else recording.reason
    recording.next_attempt_at = now + follow.TRY_AGAIN
    db.flush()
    return recorders.start(db, Target.of(session), recording_id=recording.id, now=now)


def against(db: Session, session_id: UUID, inside: Collection[UUID | None]) -> Missing | None:
    """Return what stands against recording these people, if anything does. Somebody the session
    does not know has certainly not agreed."""
    known = {one.person.id: one for one in _standings(db, session_id)}
    those = [known.get(person) if person else None for person in inside]
    no = [one for one in those if one is not None and one.state in SAID_NO]
    if no:
        return Missing(CONSENT_REFUSED, _roles(no))
    silent = [one for one in those if one is None or one.state != GIVEN]
    return Missing(CONSENT_MISSING, _roles(one for one in silent if one)) if silent else None


def silent(db: Session, session_id: UUID, inside: Collection[UUID]) -> list[Standing]:
    """Return those of these people who have not answered the text that counts now."""
    return [
        one
        for one in _standings(db, session_id)
        if one.person.id in inside and one.state == MISSING
    ]


def _standings(db: Session, session_id: UUID) -> Sequence[Standing]:
    return ledger.standings(db, session_id=session_id, purpose=RECORDING)


def _roles(standings: Iterable[Standing]) -> list[str]:
    return sorted({one.person.role for one in standings})


def _stop(
    db: Session,
    session: CareSession,
    recording: Recording,
    reason: str,
    *,
    actor: Actor,
    now: datetime,
) -> RoomOrder | None:
    has_recorder = follow.stop(db, recording, reason, actor=actor, now=now)
    # Told again, too: the room may not have heard of it.
    if not has_recorder and recording.state not in RUNNING:
        return None
    return recorders.stop(db, Target.of(session), recording_id=recording.id, now=now)


def _not_found() -> NotFound:
    return NotFound("There is no such recording.", code="recording_not_found")


def _audit_refusal(
    services: Services, session: CareSession, missing: Missing, actor: Actor, now: datetime
) -> None:
    # On a connection of its own: the request's transaction rolls back.
    with services.database.statements() as db:
        audit.record(
            db,
            action="recording.refused",
            actor=actor,
            now=now,
            organisation_id=session.organisation_id,
            session_id=session.id,
            refused=True,
            detail={"code": missing.code, "roles": missing.roles},
        )
