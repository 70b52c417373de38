"""Messages to people: made by the relay, claimed, sent and recorded by a worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.errors import DomainError
from app.events.models import Event
from app.ids import new_id
from app.notifications.invitation import Invitation
from app.notifications.models import Notification
from app.organisations.models import Organisation
from app.participants.links import live_link, url_for
from app.participants.models import Participant
from app.sessions.models import CareSession
from app.settings import Settings

INVITATION = "invitation"
KIND_OF = {"participant.invited": INVITATION}
OVER = ("ended", "cancelled")

CLAIM = text("""
    UPDATE teleconference.notifications
    SET next_attempt_at = :lease_until, attempts = attempts + 1
    WHERE id = :id AND state = 'pending' AND next_attempt_at <= :now
    RETURNING attempts, failures, participant_id""")


@dataclass(frozen=True, slots=True)
class Claimed:
    """One claimed message. `invitation` is None when there is no reason left to send it.
    `failures` are those recorded so far, without claims of workers that died."""

    id: UUID
    attempt: int
    failures: int
    invitation: Invitation | None


def make(db: Session, events: Sequence[Event], *, now: datetime) -> list[UUID]:
    """Make the messages that `events` call for and return their ids."""
    wanted = {_participant_id(event): event for event in events if event.type in KIND_OF}
    reachable = select(Participant.id).where(
        Participant.id.in_([key for key in wanted if key]), Participant.email.is_not(None)
    )
    rows = [_row(wanted[key], key, now) for key in db.scalars(reachable)] if wanted else []
    if rows:
        db.execute(insert(Notification).on_conflict_do_nothing(), rows)
    return [row["id"] for row in rows]


def due(db: Session, *, now: datetime, limit: int) -> list[UUID]:
    """Return messages that a worker could claim now, the longest waiting first."""
    query = select(Notification.id).where(
        Notification.state == "pending", Notification.next_attempt_at <= now
    )
    return list(db.scalars(query.order_by(Notification.next_attempt_at).limit(limit)))


def claim(
    db: Session, notification_id: UUID, *, settings: Settings, lease_until: datetime, now: datetime
) -> Claimed | None:
    """Take one due message with all it says as of now; None when somebody else has it."""
    parameters = {"id": notification_id, "lease_until": lease_until, "now": now}
    row = db.execute(CLAIM, parameters).one_or_none()
    if row is None:
        return None
    invitation = _invitation(db, notification_id, row.participant_id, settings, now)
    return Claimed(notification_id, row.attempts, row.failures, invitation)


def record_sent(db: Session, claimed: Claimed, *, now: datetime) -> None:
    """The mail server has it, whoever else holds a claim by now."""
    _settle(db, claimed, state="sent", sent_at=now, last_error=None)


def record_dropped(db: Session, claimed: Claimed) -> None:
    """Nobody would want it any more: the session is over or the person has no valid link."""
    _settle(db, claimed, state="dropped")


def record_failure(db: Session, claimed: Claimed, *, error: str, retry_at: datetime | None) -> None:
    """Say when to try again, or give up (None); a claim that ran out changes nothing any more."""
    values: dict[str, Any] = {"last_error": error, "failures": Notification.failures + 1}
    values |= {"next_attempt_at": retry_at} if retry_at else {"state": "failed"}
    db.execute(
        update(Notification)
        .where(
            Notification.id == claimed.id,
            Notification.state == "pending",
            Notification.attempts == claimed.attempt,
        )
        .values(**values)
    )


def _settle(db: Session, claimed: Claimed, **values: Any) -> None:
    db.execute(
        update(Notification)
        .where(Notification.id == claimed.id, Notification.state == "pending")
        .values(**values)
    )


def _invitation(
    db: Session, notification_id: UUID, participant_id: UUID, settings: Settings, now: datetime
) -> Invitation | None:
    row = _people(db, participant_id)
    link = live_link(db, participant_id=participant_id)
    if link is None or link.expires_at <= now or not _is_wanted(row):
        return None
    try:
        url = url_for(link, settings)
    except DomainError:
        return None  # its key is gone: the link is dead, and a new one will be sent by hand
    participant, session, organisation = row
    assert participant.email is not None, "an invitation is wanted by an address only"
    return Invitation(
        id=notification_id,
        session_id=session.id,
        sequence=session.version,
        organisation=organisation,
        name=participant.display_name,
        email=participant.email,
        locale=participant.locale,
        link=url,
        planned_start=session.planned_start,
        planned_end=session.planned_end,
    )


def _people(db: Session, participant_id: UUID) -> Row[Participant, CareSession, str]:
    return db.execute(
        select(Participant, CareSession, Organisation.name)
        .join(CareSession, CareSession.id == Participant.session_id)
        .join(Organisation, Organisation.id == Participant.organisation_id)
        .where(Participant.id == participant_id)
    ).one()


def _is_wanted(row: Row[Participant, CareSession, str]) -> bool:
    participant, session, _organisation = row
    return bool(participant.email and participant.state != "removed" and session.state not in OVER)


def _participant_id(event: Event) -> UUID | None:
    value = event.data.get("participant_id")
    return UUID(value) if value else None


def _row(event: Event, participant_id: UUID, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "organisation_id": event.organisation_id,
        "event_id": event.id,
        "participant_id": participant_id,
        "kind": KIND_OF[event.type],
        "state": "pending",
        "next_attempt_at": now,
        "created_at": now,
    }
