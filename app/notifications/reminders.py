"""Reminders: rows from the moment a session is planned, moved when it moves.

So a relay or worker that was down finds them when it is back; whether one still helps anybody is
decided when it is sent.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.events.models import Event
from app.notifications.kinds import Channel, Dropped, Kind
from app.notifications.models import Notification
from app.notifications.people import channels_for, policy_for, quiet_for
from app.notifications.quiet import remind_at
from app.notifications.rows import row_of
from app.sessions.states import State

Key = tuple[UUID, str]


def plan(
    db: Session,
    events: Sequence[Event],
    people: Mapping[UUID, Sequence[Any]],
    *,
    available: Collection[Channel],
    now: datetime,
) -> None:
    """Make the reminders of the events' sessions what they should be now.

    What was sent, or is being sent, stays as it is.
    """
    if not events:
        return
    # Not what the relay's clock says: it may have been down, and then they are late but wanted.
    known_at = _moments(db, events)
    wanted: dict[Key, dict[str, Any]] = {}
    for event in events:
        for place in people.get(event.session_id, []):
            for row in _rows(event, place, available, known_at[event.id], now):
                wanted.setdefault((row["participant_id"], row["occasion"]), row)
    found = _existing(db, {event.session_id for event in events})
    _settle(db, wanted, found, now)


def starts_at(occasion: str) -> datetime:
    """Return which planned start a reminder is about."""
    return datetime.fromisoformat(occasion.partition(" ")[0])


def _occasion(start: datetime, before_s: int) -> str:
    return f"{start.astimezone(UTC).isoformat()} {before_s}"


def _moments(db: Session, events: Sequence[Event]) -> dict[UUID, datetime]:
    query = select(Event.id, Event.created_at).where(Event.id.in_([e.id for e in events]))
    return {row.id: row.created_at for row in db.execute(query)}


def _rows(
    event: Event, place: Any, available: Collection[Channel], known_at: datetime, now: datetime
) -> list[dict[str, Any]]:
    person, session, organisation = place
    channels = channels_for(person, Kind.REMINDER, available)
    if session.state != State.SCHEDULED or session.planned_start is None or not channels:
        return []
    start, rows = session.planned_start, []
    policy = policy_for(organisation, session)
    quiet = quiet_for(person, Kind.REMINDER, policy)
    for before_s in policy.reminders_s:
        due = remind_at(start, timedelta(seconds=before_s), quiet)
        if due <= known_at:
            continue  # the invitation, or the new time, has just been told
        rows.append(
            row_of(
                person, Kind.REMINDER, channels[0], event_id=event.id,
                occasion=_occasion(start, before_s), due=due, now=now,
            )
        )  # fmt: skip
    return rows


def _existing(db: Session, sessions: Collection[UUID]) -> dict[Key, list[Any]]:
    columns = ("id", "participant_id", "occasion", "channel", "state", "attempts", "due_at")
    query = select(*(getattr(Notification, name) for name in columns), Notification.last_error)
    mine = query.where(Notification.session_id.in_(sessions), Notification.kind == Kind.REMINDER)
    found: dict[Key, list[Any]] = {}
    for row in db.execute(mine.with_for_update()):
        found.setdefault((row.participant_id, row.occasion), []).append(row)
    return found


def _settle(
    db: Session,
    wanted: Mapping[Key, dict[str, Any]],
    found: Mapping[Key, Sequence[Any]],
    now: datetime,
) -> None:
    fresh = [row for key, row in wanted.items() if key not in found]
    for key, rows in found.items():
        if not all(_is_untouched(row) for row in rows):
            continue
        target = wanted.get(key)
        for row in rows:
            if target and row.channel == target["channel"]:
                _move(db, row, target["due_at"])
            elif row.state == "pending" and (target or row.due_at > now):
                # One whose time came while nobody looked is judged when it is sent.
                _supersede(db, row)
        if target and target["channel"] not in {row.channel for row in rows}:
            fresh.append(target)
    if fresh:
        db.execute(insert(Notification).on_conflict_do_nothing(), fresh)


def _is_untouched(row: Any) -> bool:
    is_pending = row.state == "pending" and row.attempts == 0
    return bool(is_pending or (row.state == "dropped" and row.last_error == Dropped.SUPERSEDED))


def _move(db: Session, row: Any, due: datetime) -> None:
    if row.state != "pending" or row.due_at != due:
        values = {"state": "pending", "last_error": None, "due_at": due, "next_attempt_at": due}
        db.execute(update(Notification).where(Notification.id == row.id).values(**values))


def _supersede(db: Session, row: Any) -> None:
    values = {"state": "dropped", "last_error": Dropped.SUPERSEDED}
    db.execute(update(Notification).where(Notification.id == row.id).values(**values))
