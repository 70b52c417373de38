"""Messages to people, as the API and the relay's sweep see them."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.errors import Conflict
from app.events import service as events
from app.notifications.kinds import Channel, Kind
from app.notifications.models import Notification
from app.notifications.people import channels_for
from app.notifications.planning import Ready
from app.notifications.rows import row_of
from app.participants import service as participants
from app.sessions import service as sessions
from app.settings import Settings


def channels_of(settings: Settings) -> frozenset[Channel]:
    """Return the channels this deployment has. E-mail always counts: without a mail server its
    messages fail, and say so."""
    found = {Channel.EMAIL}
    if settings.sms_gateway_url:
        found.add(Channel.SMS)
    if settings.notification_service_url:
        found.add(Channel.SERVICE)
    return frozenset(found)


def due(db: Session, *, now: datetime, limit: int) -> list[Ready]:
    """Return messages that a worker could claim now, the longest waiting first."""
    query = select(Notification.id, Notification.channel).where(
        Notification.state == "pending", Notification.next_attempt_at <= now
    )
    rows = db.execute(query.order_by(Notification.next_attempt_at).limit(limit))
    return [Ready(row.id, Channel(row.channel)) for row in rows]


def of_session(db: Session, *, organisation_id: UUID, session_id: UUID) -> Select[Notification]:
    """Return the query for the messages about a session.

    Raises:
        NotFound: there is no such session.
    """
    sessions.get(db, organisation_id=organisation_id, session_id=session_id)
    return select(Notification).where(Notification.session_id == session_id)


def resend(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    available: Collection[Channel],
    actor: Actor,
    now: datetime,
) -> Notification:
    """Send a person's invitation once more; it leaves within a second, also in hours of rest,
    because somebody asked for it.

    Raises:
        NotFound: there is no such session or participant.
        Conflict: the session is over, the person was removed, or there is no way to reach them.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    sessions.require_open(session)
    person = participants.get(
        db, organisation_id=organisation_id, session_id=session_id, participant_id=participant_id
    )
    participants.require_present(person)
    channels = channels_for(person, Kind.INVITATION, available)
    if not channels:
        raise Conflict(
            "There is no address of this person to send to.", code="participant_unreachable"
        )
    data = {
        "participant_id": str(person.id),
        "role": person.role,
        "participant_reference": person.reference,
        "message": Kind.INVITATION,
        "channel": channels[0],
    }
    event_id = events.append(
        db, "notification.requested", session_id=session_id, data=data, now=now
    )
    audit.record(
        db,
        action="notification.requested",
        actor=actor,
        now=now,
        organisation_id=organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        detail={"kind": Kind.INVITATION, "channel": channels[0]},
    )
    row = row_of(
        person, Kind.INVITATION, channels[0], event_id=event_id, occasion=str(event_id),
        due=now, now=now,
    )  # fmt: skip
    made = Notification(**row)
    db.add(made)
    db.flush()
    db.refresh(made)
    return made
