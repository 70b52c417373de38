"""Which messages events call for. Runs in the relay, one at a time for the whole service."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.events.models import Event
from app.notifications import reminders
from app.notifications.kinds import (
    CLOSED_AFTERWARDS,
    KIND_OF_EVENT,
    PLANNING_EVENTS,
    RULES,
    Channel,
    Kind,
)
from app.notifications.models import Notification
from app.notifications.people import channels_for, earliest, places_in, policy_for
from app.notifications.rows import row_of
from app.organisations.models import Organisation
from app.participants.models import Participant
from app.participants.permissions import Permission, effective
from app.sessions.models import CareSession

# So long somebody may be away before a message says how to come back.
GRACE = timedelta(minutes=1)
PLAN = frozenset({"planned_start", "planned_end"})
ADD = insert(Notification).on_conflict_do_nothing().returning(
    Notification.id, Notification.channel, Notification.next_attempt_at
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ready:
    """A message that can be sent now."""

    id: UUID
    channel: Channel


def make(
    db: Session, events: Sequence[Event], *, available: Collection[Channel], now: datetime
) -> list[Ready]:
    """Make the messages that `events` call for; return those that can leave at once.

    Args:
        available: the channels this deployment has.
    """
    telling = [event for event in events if _kind(event) is not None]
    planning = [event for event in events if event.type in PLANNING_EVENTS]
    if not telling and not planning:
        return []
    people: dict[UUID, list[Any]] = {}
    for place in places_in(db, {event.session_id for event in (*telling, *planning)}):
        people.setdefault(place[1].id, []).append(place)
    reminders.plan(db, planning, people, available=available, now=now)
    rows = [
        row
        for event in telling
        for place in people.get(event.session_id, [])
        if (row := _row(event, place, available, now)) is not None
    ]
    added = db.execute(ADD, rows).all() if rows else []
    return [Ready(one.id, Channel(one.channel)) for one in added if one.next_attempt_at <= now]


def _kind(event: Event) -> Kind | None:
    kind = KIND_OF_EVENT.get(event.type)
    if kind is Kind.DISCONNECTED and event.data.get("reason") != "disconnected":
        return None
    if event.type == "session.cancelled" and event.data.get("reason") in CLOSED_AFTERWARDS:
        return None
    # Whom their own page asks reads it there.
    if kind is Kind.CONSENT_ASKED and event.data.get("consent_channel") != "room":
        return None
    # The rest of a session can change without anybody having to know.
    if event.type == "session.updated" and not PLAN & set(event.data.get("changed", ())):
        return None
    return kind


def _row(
    event: Event, place: Any, available: Collection[Channel], now: datetime
) -> dict[str, Any] | None:
    person, session, organisation = place
    kind = _kind(event)
    assert kind is not None
    channels = channels_for(person, kind, available)
    if not channels or not _is_meant(event, kind, person, session, organisation):
        return None
    policy = policy_for(organisation, session)
    wanted = now + GRACE if kind is Kind.DISCONNECTED else now
    due = wanted if RULES[kind].urgent else earliest(person, session, kind, policy, now)
    return row_of(
        person, kind, channels[0], event_id=event.id, occasion=_occasion(event, kind, session),
        due=due, now=now,
    )  # fmt: skip


def _is_meant(
    event: Event, kind: Kind, person: Participant, session: CareSession, organisation: Organisation
) -> bool:
    about = event.data.get("participant_id")
    if kind is Kind.PATIENT_WAITING:
        return str(person.id) != about and Permission.MODERATE in effective(
            person.role,
            kind=session.kind,
            organisation=organisation.permissions,
            participant=person.permissions,
        )
    if kind is Kind.ENDED_UNEXPECTEDLY:
        return str(person.id) in event.data.get("participant_ids", ())
    if kind is Kind.STARTED:
        return person.state != "joined"
    return about is None or str(person.id) == about


def _occasion(event: Event, kind: Kind, session: CareSession) -> str:
    if kind in (Kind.STARTED, Kind.CANCELLED):
        return "once"
    if kind is Kind.RESCHEDULED:
        # One act may be told by two events, of the appointment and of its session.
        return f"version {session.version}"
    if kind is Kind.PATIENT_WAITING:
        return str(event.data.get("participant_id"))
    return str(event.id)
