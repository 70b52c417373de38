"""A message on its way: claimed by a worker, judged once more, sent, recorded."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.errors import DomainError
from app.events import service as events
from app.events.models import Event
from app.notifications.kinds import RULES, Channel, Dropped, Kind
from app.notifications.models import Notification
from app.notifications.notice import Notice
from app.notifications.people import channels_for, earliest, has_address, place_of, policy_for
from app.notifications.reminders import starts_at
from app.notifications.rows import row_of
from app.participants.links import live_link, url_for
from app.participants.models import Participant
from app.sessions.models import CareSession
from app.sessions.states import OVER, State
from app.settings import Settings

# Whoever was told that the room died need not be told a minute later that they lost it.
TOLD_LATELY = timedelta(minutes=5)
# Where a link leads, if not to the call.
PLACES = {str(Kind.CONSENT_ASKED): "/consent"}

CLAIM = text("""
    UPDATE teleconference.notifications
    SET next_attempt_at = :lease_until, attempts = attempts + 1
    WHERE id = :id AND state = 'pending' AND next_attempt_at <= :now
    RETURNING id, attempts, failures, participant_id, session_id, kind, occasion, channel, due_at,
      event_id, created_at""")


@dataclass(frozen=True, slots=True)
class Claimed:
    """One claimed message. `notice` is None when there is no reason left to send it: `dropped`
    says why, and is '' when it only has to wait. `failures` are those recorded so far, without
    claims of workers that died."""

    id: UUID
    attempt: int
    failures: int
    notice: Notice | None
    dropped: str = ""


def claim(
    db: Session, notification_id: UUID, *, settings: Settings, lease_until: datetime, now: datetime
) -> Claimed | None:
    """Take one due message with all it says as of now; None when somebody else has it."""
    parameters = {"id": notification_id, "lease_until": lease_until, "now": now}
    row = db.execute(CLAIM, parameters).one_or_none()
    if row is None:
        return None
    place = place_of(db, row.participant_id)
    person, session, organisation = place
    link = _link(db, row, settings, now)
    reason = _no_reason_left(db, row, place, link, now)
    if reason:
        return Claimed(row.id, row.attempts, row.failures, None, reason)
    kind, policy = Kind(row.kind), policy_for(organisation, session)
    if not RULES[kind].urgent and (until := earliest(person, session, kind, policy, now)) > now:
        _postpone(db, row, until)
        return Claimed(row.id, row.attempts, row.failures, None)
    notice = _notice(row, place, link, timezone=person.timezone or policy.timezone)
    return Claimed(row.id, row.attempts, row.failures, notice)


def record_sent(db: Session, claimed: Claimed, *, now: datetime) -> None:
    """The server has it, whoever else holds a claim by now."""
    _settle(db, claimed, state="sent", sent_at=now, last_error=None)


def record_dropped(db: Session, claimed: Claimed) -> None:
    """Nobody would want it any more."""
    _settle(db, claimed, state="dropped", last_error=claimed.dropped)


def record_failure(
    db: Session,
    claimed: Claimed,
    *,
    error: str,
    retry_at: datetime | None,
    available: Collection[Channel],
    now: datetime,
) -> None:
    """Say when to try again, or give up (None) and go on to the person's next channel, if there is
    one. A claim that ran out changes nothing any more."""
    values: dict[str, Any] = {"last_error": error, "failures": Notification.failures + 1}
    values |= {"next_attempt_at": retry_at} if retry_at else {"state": "failed"}
    changed = db.execute(
        update(Notification)
        .where(
            Notification.id == claimed.id,
            Notification.state == "pending",
            Notification.attempts == claimed.attempt,
        )
        .values(**values)
    )
    if changed.rowcount and retry_at is None:  # type: ignore[attr-defined]
        _go_on(db, claimed.id, error=error, available=available, now=now)


def _go_on(
    db: Session, notification_id: UUID, *, error: str, available: Collection[Channel], now: datetime
) -> None:
    row = db.get_one(Notification, notification_id, populate_existing=True)
    person, _session, _organisation = place_of(db, row.participant_id)
    tried = select(Notification.channel).where(
        Notification.participant_id == row.participant_id,
        Notification.kind == row.kind,
        Notification.occasion == row.occasion,
    )
    used = set(db.scalars(tried))
    left = [c for c in channels_for(person, Kind(row.kind), available) if c not in used]
    if left:
        following = row_of(
            person, Kind(row.kind), left[0], event_id=row.event_id, occasion=row.occasion,
            due=now, now=now,
        )  # fmt: skip
        db.execute(insert(Notification).on_conflict_do_nothing(), [following])
        return
    data = {
        "participant_id": str(person.id),
        "role": person.role,
        "participant_reference": person.reference,
        "message": row.kind,
        "channel": row.channel,
        "code": error,
    }
    events.append(db, "notification.failed", session_id=row.session_id, data=data, now=now)


def _settle(db: Session, claimed: Claimed, **values: Any) -> None:
    db.execute(
        update(Notification)
        .where(Notification.id == claimed.id, Notification.state == "pending")
        .values(**values)
    )


def _postpone(db: Session, row: Any, until: datetime) -> None:
    # It was not tried, so this claim does not count.
    values = {"next_attempt_at": until, "attempts": row.attempts - 1}
    db.execute(update(Notification).where(Notification.id == row.id).values(**values))


def _link(db: Session, row: Any, settings: Settings, now: datetime) -> str:
    if row.kind == Kind.CANCELLED:
        return ""
    link = live_link(db, participant_id=row.participant_id)
    if link is None or link.expires_at <= now:
        return ""
    try:
        return url_for(link, settings) + PLACES.get(row.kind, "")
    except DomainError:
        return ""  # its key is gone: the link is dead, and a new one will be sent by hand


def _no_reason_left(db: Session, row: Any, place: Any, link: str, now: datetime) -> str:
    """Return why nobody would want this message any more, or ''."""
    person, session, _organisation = place
    kind, rule = Kind(row.kind), RULES[Kind(row.kind)]
    is_over = kind is not Kind.CANCELLED and session.state in OVER
    reasons = (
        (person.state == "removed", Dropped.REMOVED),
        (is_over, Dropped.SESSION_OVER),
        (not has_address(person, Channel(row.channel)), Dropped.NO_ADDRESS),
        (rule.optional and kind in person.unsubscribed, Dropped.UNSUBSCRIBED),
        (rule.answers_absence and person.state == "joined", Dropped.INSIDE),
        (kind is not Kind.CANCELLED and not link, Dropped.NO_LINK),
    )
    first = next((reason for applies, reason in reasons if applies), "")
    return first or _no_reason_of_its_kind(db, row, kind, session, now)


def _no_reason_of_its_kind(
    db: Session, row: Any, kind: Kind, session: CareSession, now: datetime
) -> str:
    if kind is Kind.REMINDER:
        return _late_reminder(db, row, session, now)
    if kind is Kind.PATIENT_WAITING and not _still_waits(db, row):
        return Dropped.NOBODY_WAITS
    if kind is Kind.DISCONNECTED and _was_told(db, row):
        return Dropped.TOLD_ALREADY
    if kind is Kind.DISCONNECTED and _came_back(db, row):
        return Dropped.CAME_BACK
    return ""


def _late_reminder(db: Session, row: Any, session: CareSession, now: datetime) -> str:
    if session.planned_start != starts_at(row.occasion):
        return Dropped.SUPERSEDED
    if session.state != State.SCHEDULED or now >= session.planned_start:
        return Dropped.TOO_LATE
    later = exists().where(
        Notification.participant_id == row.participant_id,
        Notification.kind == Kind.REMINDER,
        Notification.due_at > row.due_at,
        Notification.due_at <= now,
        Notification.state != "dropped",
    )
    return Dropped.OVERTAKEN if db.scalar(select(later)) else ""


def _still_waits(db: Session, row: Any) -> bool:
    state = db.scalar(select(Participant.state).where(Participant.id == UUID(row.occasion)))
    return state not in ("joined", "removed")


def _was_told(db: Session, row: Any) -> bool:
    lately = exists().where(
        Notification.participant_id == row.participant_id,
        Notification.kind == Kind.ENDED_UNEXPECTEDLY,
        Notification.created_at > row.created_at - TOLD_LATELY,
    )
    return bool(db.scalar(select(lately)))


def _came_back(db: Session, row: Any) -> bool:
    """Tell whether the person has been inside since, even if they have left again by themselves."""
    lost = select(Event.sequence).where(Event.id == row.event_id).scalar_subquery()
    back = exists().where(
        Event.session_id == row.session_id,
        Event.type == "participant.joined",
        Event.data["participant_id"].astext == str(row.participant_id),
        Event.sequence > lost,
    )
    return bool(db.scalar(select(back)))


def _notice(row: Any, place: Any, link: str, *, timezone: str) -> Notice:
    person, session, organisation = place
    return Notice(
        id=row.id,
        kind=Kind(row.kind),
        channel=Channel(row.channel),
        session_id=session.id,
        session_reference=session.reference,
        sequence=session.version,
        participant_id=person.id,
        reference=person.reference,
        organisation=organisation.name,
        name=person.display_name,
        email=person.email or "",
        phone=person.phone or "",
        locale=person.locale,
        timezone=timezone,
        link=link,
        planned_start=session.planned_start,
        planned_end=session.planned_end,
    )
