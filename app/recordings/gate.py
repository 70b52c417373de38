"""The last word before a recorder is asked for, spoken when Prosody asks: with the people who are
really in the room, whoever sent the request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.organisations.models import Organisation
from app.participants.models import Participant
from app.participants.permissions import Permission, effective
from app.recordings import follow, service
from app.recordings.service import CONSENT_REFUSED
from app.recordings.states import State, Step
from app.sessions import service as sessions
from app.sessions.models import CareSession

# What a client without pages of its own is shown.
TEXTS = {
    "unknown-room": "There is no such room.",
    "recording-not-allowed": "You may not ask for a recording of this session.",
    "already-recording": "This session is being recorded already.",
    "not-requested": "Nobody asked for this recording.",
    "consent-missing": "Everybody is asked now. The recording starts when all agree.",
    "consent-refused": "Somebody did not agree, so nothing is recorded.",
    "session-ended": "This session has ended.",
    "session-cancelled": "This session was cancelled.",
}
CLOSED = {"ended": "session-ended", "cancelled": "session-cancelled"}


@dataclass(frozen=True, slots=True)
class Question:
    """What the room asks. `recording_id`: of the order that Prosody carries out, None when a client
    sent the request, whose person is `actor_id`. `occupants`: everybody in the room, None for one
    who is none of ours."""

    room: str
    recording_id: UUID | None
    actor_id: UUID | None
    occupants: Sequence[UUID | None]

    @property
    def actor(self) -> Actor:
        """Who wants it, as the audit log names them."""
        return Actor("participant", str(self.actor_id)) if self.actor_id else audit.ROOM


def decide(db: Session, question: Question, *, now: datetime) -> dict[str, Any]:
    """Return whether a recorder may be asked for now, and for which recording. A refusal is
    audited; where only answers are missing, the wish is kept and everybody is asked."""
    session = _session(db, question.room)
    if session is None:
        return _refused("unknown-room")
    code = _out_of_place(db, session, question) or _against(db, session, question, now)
    recording = follow.live(db, session.id)
    if code or recording is None:
        _audit(db, session, question, code, now)
        return _refused(code)
    follow.take(db, recording, Step.ALLOW, actor=question.actor, now=now)
    return {"allow": True, "recording_id": str(recording.id)}


def _session(db: Session, room: str) -> CareSession | None:
    found = db.scalars(select(CareSession).where(CareSession.room_name == room)).first()
    if found is None:
        return None
    return sessions.lock(db, organisation_id=found.organisation_id, session_id=found.id)


def _out_of_place(db: Session, session: CareSession, question: Question) -> str:
    """Return why nobody may ask for this now, whatever people say; or ''."""
    if session.state != "active":
        return CLOSED.get(session.state, "unknown-room")
    if question.recording_id is None and not _may_request(db, session, question.actor_id):
        return "recording-not-allowed"
    recording = follow.live(db, session.id)
    if recording is not None and recording.state != State.REQUESTED:
        return "already-recording"
    wanted = recording.id if recording else None
    return "" if question.recording_id in (None, wanted) else "not-requested"


def _against(db: Session, session: CareSession, question: Question, now: datetime) -> str:
    """Return why nobody may be recorded now, or ''; then there is a recording to go on with."""
    actor, recording = question.actor, follow.live(db, session.id)
    missing = service.against(db, session.id, question.occupants)
    if missing is not None and missing.code == CONSENT_REFUSED:
        if recording is not None:
            follow.stop(db, recording, missing.code, actor=actor, now=now)
        return "consent-refused"
    recording = recording or service.create(db, session, actor=actor, now=now)
    if missing is None:
        return ""
    follow.wait(db, recording, missing.code, actor=actor, now=now)
    return "consent-missing"


def _may_request(db: Session, session: CareSession, actor_id: UUID | None) -> bool:
    person = actor_id and db.get(Participant, actor_id)
    if not person or person.session_id != session.id or person.state == "removed":
        return False
    organisation = db.get_one(Organisation, session.organisation_id)
    return Permission.REQUEST_RECORDING in effective(
        person.role,
        kind=session.kind,
        organisation=organisation.permissions,
        participant=person.permissions,
    )


def _refused(code: str) -> dict[str, Any]:
    return {"allow": False, "code": code, "text": TEXTS[code]}


def _audit(db: Session, session: CareSession, question: Question, code: str, now: datetime) -> None:
    audit.record(
        db,
        action="recording.refused",
        actor=question.actor,
        now=now,
        organisation_id=session.organisation_id,
        session_id=session.id,
        participant_id=question.actor_id,
        refused=True,
        detail={"code": code, "stage": "room"},
    )
