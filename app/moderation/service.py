"""What changes a session and its live room together: state first, then the room."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.errors import Invalid
from app.events import service as events
from app.organisations.models import Organisation
from app.participants import links, presence
from app.participants import service as participants
from app.participants.models import Participant
from app.participants.permissions import Permission, effective
from app.participants.service import Invited
from app.ports import RoomOrder
from app.rooms import commands
from app.rooms.commands import Target
from app.services import Services
from app.sessions import service as sessions
from app.sessions.models import CareSession
from app.settings import Settings

REMOVED = "You were removed from this session."


def change_session(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    version: int,
    values: Mapping[str, Any],
    actor: Actor,
    settings: Settings,
    now: datetime,
) -> CareSession:
    """Change plan, capacity or reference; the links' lives follow the plan.

    Raises:
        NotFound, Stale, Conflict, Invalid: see `sessions.service.change`.
    """
    sessions.require_fitting(values.get("capacity"), largest=settings.max_room_size)
    session = sessions.change(
        db,
        organisation_id=organisation_id,
        session_id=session_id,
        version=version,
        values=values,
        actor=actor,
        now=now,
    )
    links.follow_plan(db, session, settings=settings)
    return session


def end_session(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
) -> tuple[CareSession, RoomOrder]:
    """End the session and have everybody put out of the room.

    Raises:
        NotFound, Conflict: see `sessions.service.end`.
    """
    session = sessions.end(
        db,
        organisation_id=organisation_id,
        session_id=session_id,
        reason=reason,
        actor=actor,
        now=now,
    )
    return session, commands.end(db, Target.of(session), reason=reason, now=now)


def cancel_session(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
) -> tuple[CareSession, RoomOrder]:
    """Call the session off and have whoever came early put out of the room.

    Raises:
        NotFound, Conflict: see `sessions.service.cancel`.
    """
    session = sessions.cancel(
        db,
        organisation_id=organisation_id,
        session_id=session_id,
        reason=reason,
        actor=actor,
        now=now,
    )
    return session, commands.end(db, Target.of(session), reason=reason, now=now)


def replace_link(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    actor: Actor,
    settings: Settings,
    now: datetime,
) -> tuple[Invited, RoomOrder]:
    """Give a person a new link, and put out whoever is in the room on the old one.

    Raises:
        NotFound, Conflict: see `participants.service.replace_link`.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    invited = participants.replace_link(
        db, session, participant_id=participant_id, actor=actor, settings=settings, now=now
    )
    order = commands.kick(
        db,
        Target.of(session),
        participant_id=participant_id,
        reason="Your link was replaced; use the newest one.",
        ban=False,
        now=now,
    )
    return invited, order


def change_participant(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    version: int,
    values: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> tuple[Participant, RoomOrder | None]:
    """Change a person; a change of rights reaches the live room too.

    Raises:
        NotFound, Stale, Conflict: see `participants.service.change`.
    """
    participant = participants.change(
        db,
        organisation_id=organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        version=version,
        values=values,
        actor=actor,
        now=now,
    )
    if "permissions" not in values:
        return participant, None
    session = sessions.get(db, organisation_id=organisation_id, session_id=session_id)
    return participant, tell_rights(db, session, participant, now=now)


def tell_rights(
    db: Session, session: CareSession, participant: Participant, *, now: datetime
) -> RoomOrder:
    """Have what a person may do from now on hold for who is in the room, too."""
    permissions = rights_of(db, session, participant)
    is_host = Permission.ENTER_WITHOUT_HOST in permissions
    presence.note_host(db, participant.id, is_host=is_host)
    return commands.affiliate(
        db,
        Target.of(session),
        participant_id=participant.id,
        permissions=permissions,
        now=now,
    )


def send_message(
    db: Session,
    services: Services,
    *,
    organisation_id: UUID,
    session_id: UUID,
    text: str,
    actor: Actor,
    now: datetime,
    participant_id: UUID | None = None,
) -> int:
    """Say something in the live room; return how many heard it. What was said is not kept.

    Raises:
        NotFound: see `sessions.service.lock`.
        Conflict: the session is over, or the room refused the message.
        Unavailable: the room did not confirm it.
    """
    # Locked first: after it was said, nothing may fail and have it said again.
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    sessions.require_open(session)
    delivered = commands.say(
        services, room=session.room_name, text=text, participant_id=participant_id
    )
    events.append(db, "room.message_sent", session_id=session_id, data={}, now=now)
    audit.record(
        db,
        action="room.message_sent",
        actor=actor,
        now=now,
        organisation_id=organisation_id,
        session_id=session_id,
        participant_id=participant_id,
    )
    return delivered


def named_once(query: UUID | None, body: UUID | None) -> UUID:
    """Return the participant a DELETE names in its query or its body.

    Raises:
        Invalid: neither names one, or they name two.
    """
    named = {participant_id for participant_id in (query, body) if participant_id is not None}
    if len(named) != 1:
        raise Invalid(
            "Name the participant once: ?participant_id=… or in the body.",
            code="participant_not_named",
            field="participant_id",
        )
    return named.pop()


def rights_of(db: Session, session: CareSession, participant: Participant) -> frozenset[Permission]:
    """Return what a person may do in this session now."""
    organisation = db.get_one(Organisation, session.organisation_id)
    return effective(
        participant.role,
        kind=session.kind,
        organisation=organisation.permissions,
        participant=participant.permissions,
    )
