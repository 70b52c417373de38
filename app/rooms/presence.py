"""Taking in what Prosody tells: who came, who left, who was refused."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from marshmallow import ValidationError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.rooms import deeds, recorders
from app.rooms.deeds import Opened
from app.rooms.models import RoomEvent
from app.rooms.news import Interrupted, LeftLobby, Refused, tell_all
from app.rooms.recorders import RoomGone
from app.rooms.register import SAME_MOMENT, Register, Stay, people_in, rooms_left_open
from app.rooms.schemas import Fact, FactIn
from app.sessions.states import OVER

log = structlog.get_logger()

FACT = FactIn()
# Prosody's clock may be set back a little between a join and its leave.
CLOCK_STEP = timedelta(seconds=5)
# A repeat waits here for the first to commit, and then finds its ids taken.
FIRST_SEEN = insert(RoomEvent).on_conflict_do_nothing().returning(RoomEvent.id)


def record(db: Session, *, source: str, events: Iterable[Any], now: datetime) -> int:
    """Write a batch of one run of Prosody and return how many events were understood.

    A repeat of an event changes nothing. An event of a kind we do not know, or about a room or
    person that is not ours, is passed over: the module would send its batch for ever.
    """
    facts = _readable(events)
    fresh = _first_seen(db, facts, now)
    if fresh:
        register = _register(db, fresh, source)
        for fact in fresh:
            _take(register, fact, source)
        write(db, register, now=now)
    return len(facts)


def write(db: Session, register: Register, *, now: datetime) -> None:
    """Write what was worked out in the register, and tell it."""
    register.save(db)
    tell_all(db, register.news, now)


def _readable(events: Iterable[Any]) -> list[Fact]:
    """Return the events that can be read; of the others the log gets the ids."""
    facts = []
    for event in events:
        try:
            facts.append(FACT.load(event))
        except ValidationError as error:
            given = event.get("id") if isinstance(event, dict) else None
            wrong = sorted(str(name) for name in error.normalized_messages())
            log.warning("room_event_unreadable", event_id=str(given)[:36], fields=wrong)
    return facts


def _first_seen(db: Session, facts: Sequence[Fact], now: datetime) -> list[Fact]:
    if not facts:
        return []
    # By id: two deliveries of the same batch must not wait for each other in a circle.
    rows = [{"id": one, "received_at": now} for one in sorted({fact.id for fact in facts})]
    new = set(db.connection().scalars(FIRST_SEEN, rows))
    by_id = {fact.id: fact for fact in facts if fact.id in new}
    return list(by_id.values())


def _register(db: Session, facts: Sequence[Fact], source: str) -> Register:
    rooms = {fact.room for fact in facts if fact.room}
    if any(fact.type == "server.started" for fact in facts):
        rooms.update(rooms_left_open(db, other_than=source))
    people = people_in(one for fact in facts for one in (fact.participant_id, fact.by))
    since = min(fact.at for fact in facts) - SAME_MOMENT
    return Register.load(db, rooms=rooms, people=people, since=since)


def _take(register: Register, fact: Fact, source: str) -> None:
    handler = HANDLERS.get(fact.type)
    if handler is None:
        log.info("room_event_of_unknown_type", event_id=str(fact.id))
    else:
        handler(register, fact, source)


def _on_joined(register: Register, fact: Fact, source: str) -> None:
    place = register.place(fact.room, fact.participant_id)
    if place is None:
        log.warning("room_event_about_nobody", event_id=str(fact.id))
        return
    room, person = place
    if not _is_known(register.over(person.id, fact.connection), fact):
        register.enter(room, person, source=source, connection=fact.connection, at=fact.at)


def _is_known(stays: Iterable[Stay], fact: Fact) -> bool:
    """Tell whether this join was recorded, and has ended since: events that waited during an outage
    come after the pictures that have shown the person inside, and then no more."""
    return any(abs(stay.joined_at - fact.at) <= SAME_MOMENT for stay in stays)


def _is_later(stay: Stay, fact: Fact) -> bool:
    """Tell whether a stay, known from a picture, began after an event that waited."""
    return stay.joined_at > fact.at + CLOCK_STEP


def _on_left(register: Register, fact: Fact, source: str) -> None:
    stay = fact.participant_id and register.stay(fact.participant_id, fact.connection)
    if stay and not _is_later(stay, fact):
        register.leave(stay, at=fact.at, reason=fact.reason or "left")
        if fact.reason == "ended":
            interrupt(register, stay)


def _on_refused(register: Register, fact: Fact, source: str) -> None:
    person = fact.participant_id and register.people.get(fact.participant_id)
    room = register.rooms.get(fact.room)
    register.news.append(Refused(room, person or None, fact.code, fact.act, fact.count))


def _on_created(register: Register, fact: Fact, source: str) -> None:
    """A room that is made anew, after a restart of Prosody, knows nothing of what was decided."""
    room = register.rooms.get(fact.room)
    if room and room.leaves_something:
        register.news += [RoomGone(room, fact.at), Opened(room)]


def _on_lobby_left(register: Register, fact: Fact, source: str) -> None:
    person = fact.participant_id and register.people.get(fact.participant_id)
    if person:
        register.news.append(LeftLobby(person, fact.at))


def _on_destroyed(register: Register, fact: Fact, source: str) -> None:
    """Close what is left of the room: its own events come before, so these were lost."""
    room = register.rooms.get(fact.room)
    for stay in register.stays():
        is_here = room and stay.session_id == room.id and stay.source == source
        if is_here and not _is_later(stay, fact):
            register.leave(stay, at=fact.at, reason="ended")
            interrupt(register, stay)
    if room and room.leaves_something:
        register.news.append(RoomGone(room, fact.at))


def _on_started(register: Register, fact: Fact, source: str) -> None:
    """Close what former runs left open: one Prosody serves a deployment, and it began anew."""
    for stay in register.stays():
        if stay.source != source:
            register.leave(stay, at=fact.at, reason="disconnected")
            interrupt(register, stay)
    rooms = [room for room in register.rooms.values() if room.leaves_something]
    register.news += [RoomGone(room, fact.at) for room in rooms]


def interrupt(register: Register, stay: Stay) -> None:
    """Note that a stay was cut off, with others of the same room in one word: also with those whose
    leaves come in a later batch. Where the session is over it was we who closed the room: state
    first, then the room."""
    for news in register.news:
        if isinstance(news, Interrupted) and news.room.id == stay.session_id:
            news.people.append(stay.participant_id)
            return
    for room in register.rooms.values():
        if room.id == stay.session_id and room.state not in OVER:
            people = [stay.participant_id, *_others_in(register, stay)]
            register.news.append(Interrupted(room, people))


def _others_in(register: Register, stay: Stay) -> list[UUID]:
    """Return who is still noted as inside the same room."""
    return [
        one.participant_id
        for one in register.stays()
        if (one.session_id, one.source) == (stay.session_id, stay.source)
    ]


HANDLERS: dict[str, Callable[[Register, Fact, str], None]] = {
    "server.started": _on_started,
    "room.created": _on_created,
    "room.destroyed": _on_destroyed,
    "participant.joined": _on_joined,
    "participant.left": _on_left,
    "participant.refused": _on_refused,
    **deeds.HANDLERS,
    **recorders.HANDLERS,
    "lobby.left": _on_lobby_left,
}
