"""What moderators do to people in a running call. State and events first, then the room."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.audit.service import Actor
from app.errors import NotFound
from app.moderation.service import rights_of, tell_rights
from app.participants import moderators, presence
from app.participants import service as participants
from app.participants.models import Participant
from app.participants.permissions import Permission
from app.ports import RoomOrder
from app.rooms import av_moderation, call_orders
from app.rooms.commands import Target
from app.sessions import service as sessions
from app.sessions.models import CareSession


def mute(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    media: str,
    actor: Actor,
    now: datetime,
) -> tuple[Participant, RoomOrder]:
    """Have one person muted. Their client does it; only moderation keeps them so.

    Raises:
        NotFound: no such session or person.
        Conflict: the session is over, or the person was removed.
    """
    session, person = _session_and_person(db, organisation_id, session_id, participant_id)
    participants.tell(db, person, "participant.muted", actor=actor, now=now, media=media)
    target = Target.of(session)
    order = call_orders.mute(db, target, participant_id=participant_id, media=media, now=now)
    return person, order


def mute_all(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    media: str,
    spared: Collection[UUID],
    moderators: bool,
    actor: Actor,
    now: datetime,
) -> tuple[list[UUID], RoomOrder]:
    """Have everybody in the room muted but those spared, and but the moderators unless said.

    Raises:
        NotFound: no such session.
        Conflict: it is over.
    """
    session = _open_session(db, organisation_id, session_id)
    muted = []
    for person, _ in presence.people_inside(db, session_id):
        moderates = Permission.MODERATE in rights_of(db, session, person)
        if person.id not in spared and (moderators or not moderates):
            participants.tell(db, person, "participant.muted", actor=actor, now=now, media=media)
            muted.append(person.id)
    order = call_orders.mute_all(
        db, Target.of(session), media=media, spared=spared, moderators=moderators, now=now
    )
    return muted, order


def ask_to_unmute(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    media: str,
    actor: Actor,
    now: datetime,
) -> tuple[Participant, RoomOrder]:
    """Ask one person to switch on. Where that is moderated, they may from now on.

    Raises:
        NotFound: no such session or person.
        Conflict: the session is over, or the person was removed.
    """
    session, person = _session_and_person(db, organisation_id, session_id, participant_id)
    state = av_moderation.state(db, session_id=session_id)
    if state[media]:
        allowed = sorted({*state[f"{media}_allowed"], str(participant_id)})
        wanted = {**state, f"{media}_allowed": allowed}
        _store(db, session, wanted, actor, now)
    participants.tell(db, person, "participant.unmute_asked", actor=actor, now=now, media=media)
    target = Target.of(session)
    order = call_orders.ask_to_unmute(
        db, target, participant_id=participant_id, media=media, now=now
    )
    return person, order


def set_moderator(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    moderator: bool,
    actor: Actor,
    now: datetime,
) -> tuple[Participant, RoomOrder]:
    """Let a person moderate, or not any more; at once, for who is in the room.

    Raises:
        NotFound: no such session or person.
        Conflict: the session is over, or the person was removed.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    person = moderators.set_moderator(
        db, session, participant_id=participant_id, moderator=moderator, actor=actor, now=now
    )
    return person, tell_rights(db, session, person, now=now)


def read_av_moderation(db: Session, *, organisation_id: UUID, session_id: UUID) -> dict[str, Any]:
    """Return what is moderated in a session's room.

    Raises:
        NotFound: no such session.
    """
    sessions.get(db, organisation_id=organisation_id, session_id=session_id)
    return av_moderation.state(db, session_id=session_id)


def moderate_av(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    wanted: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> tuple[dict[str, Any], RoomOrder]:
    """Say whose microphone and camera may be on; the whole state, as `wanted`.

    Raises:
        NotFound: no such session, or somebody named is not in it.
        Conflict: it is over.
    """
    session = _open_session(db, organisation_id, session_id)
    named = {*wanted["audio_allowed"], *wanted["video_allowed"]}
    _require_people(db, session, named)
    lists = {
        name: sorted({str(one) for one in wanted[name]})
        for name in ("audio_allowed", "video_allowed")
    }
    state = _store(db, session, {**wanted, **lists}, actor, now)
    return state, call_orders.moderate_av(db, Target.of(session), state=state, now=now)


def _store(
    db: Session, session: CareSession, wanted: Mapping[str, Any], actor: Actor, now: datetime
) -> dict[str, Any]:
    return av_moderation.write(
        db,
        organisation_id=session.organisation_id,
        session_id=session.id,
        wanted=wanted,
        actor=actor,
        now=now,
    )


def _open_session(db: Session, organisation_id: UUID, session_id: UUID) -> CareSession:
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    sessions.require_open(session)
    return session


def _session_and_person(
    db: Session, organisation_id: UUID, session_id: UUID, participant_id: UUID
) -> tuple[CareSession, Participant]:
    session = _open_session(db, organisation_id, session_id)
    person = participants.get(
        db,
        organisation_id=organisation_id,
        session_id=session_id,
        participant_id=participant_id,
    )
    participants.require_present(person)
    return session, person


def _require_people(db: Session, session: CareSession, named: Collection[UUID]) -> None:
    found = db.scalar(
        select(func.count()).where(Participant.session_id == session.id, Participant.id.in_(named))
    )
    if found != len(named):
        raise NotFound(
            "There is no such participant in this session.", code="participant_not_found"
        )
