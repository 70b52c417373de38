"""What became true in a room, told to the outbox and to the audit log."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor, Entry
from app.events import service as events
from app.events.models import Event as Appended
from app.events.service import Event
from app.participants import waiting
from app.sessions import service as sessions


@dataclass(slots=True)
class Room:
    """A session as far as its room is concerned."""

    id: UUID
    organisation_id: UUID
    kind: str
    state: str
    name: str
    permissions: Mapping[str, Mapping[str, bool]]
    # Whether there is something that outlives the room itself: a recording that is not over, or who
    # may not speak. Most rooms come and go without.
    leaves_something: bool = False


@dataclass(slots=True)
class Person:
    """A participant as far as presence is concerned."""

    id: UUID
    organisation_id: UUID
    session_id: UUID
    role: str
    state: str
    reference: str | None
    permissions: Mapping[str, bool]
    moved_to: str = ""

    def move_to(self, state: str) -> None:
        """Join or leave; who was removed stays removed."""
        if self.state != "removed":
            self.moved_to = "" if state == self.state else state

    @property
    def data(self) -> dict[str, Any]:
        """What every event about this person says."""
        return {
            "participant_id": str(self.id),
            "role": self.role,
            "participant_reference": self.reference,
        }


@dataclass(frozen=True, slots=True)
class Started:
    """A host came into a planned session, which opens it."""

    room: Room
    host: Person

    def tell(self, db: Session, now: datetime) -> None:
        """Open the session; its service tells the rest."""
        sessions.start(
            db,
            organisation_id=self.room.organisation_id,
            session_id=self.room.id,
            actor=Actor("participant", str(self.host.id)),
            now=now,
        )


@dataclass(frozen=True, slots=True)
class Moved:
    """A person came or went. Many do at once, so they are told together.

    `type` is that of the event and of the audit entry; `detail` what there is to say besides who.
    """

    person: Person
    type: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def tell(self, db: Session, now: datetime) -> None:
        """Append the event and the audit entry."""
        tell_moved(db, [self], now)

    @property
    def event(self) -> Event:
        """Return the event."""
        return Event(self.type, self.person.session_id, {**self.person.data, **self.detail})

    @property
    def entry(self) -> Entry:
        """Return the audit entry."""
        return Entry(
            action=self.type,
            actor=audit.ROOM,
            organisation_id=self.person.organisation_id,
            session_id=self.person.session_id,
            participant_id=self.person.id,
            detail=self.detail,
        )


def joined(person: Person) -> Moved:
    """Return the news that a person came into the room."""
    return Moved(person, "participant.joined")


def left(person: Person, reason: str) -> Moved:
    """Return the news that a person is no longer in the room."""
    return Moved(person, "participant.left", {"reason": reason})


def tell_moved(db: Session, moved: Sequence[Moved], now: datetime) -> None:
    """Append the events and audit entries of several people, in this order, by two statements."""
    events.append_all(db, [one.event for one in moved], now=now)
    audit.record_all(db, [one.entry for one in moved], now=now)


@dataclass(frozen=True, slots=True)
class LeftLobby:
    """A person's client no longer waits. No event: they keep their place for a while."""

    person: Person
    at: datetime

    def tell(self, db: Session, now: datetime) -> None:
        """Take them out of the queue."""
        waiting.gone(db, participant_id=self.person.id, at=self.at)


@dataclass(frozen=True, slots=True)
class Refused:
    """Prosody let somebody not in, or refused somebody inside an `act`, `count` times. Room and
    person are None when it was a stranger at an unknown door."""

    room: Room | None
    person: Person | None
    code: str
    act: str = ""
    count: int = 1

    def tell(self, db: Session, now: datetime) -> None:
        """Append the audit entry, and the event when it is a person of this session."""
        room, person = self.room, self.person
        owner = person or room
        audit.record(
            db,
            action="room.act_refused" if self.act else "room.entry_refused",
            actor=Actor("participant", str(person.id)) if person else audit.STRANGER,
            now=now,
            organisation_id=owner.organisation_id if owner else None,
            session_id=person.session_id if person else room.id if room else None,
            participant_id=person.id if person else None,
            refused=True,
            detail={"code": self.code, **self._where()},
        )
        if person and room and person.session_id == room.id:
            data = {**person.data, "code": self.code}
            events.append(
                db, "participant.refused", session_id=person.session_id, data=data, now=now
            )

    def _where(self) -> dict[str, Any]:
        if self.act:
            return {"act": self.act, "count": self.count}
        # A flood is one entry with its number.
        return {"stage": "room", **({"count": self.count} if self.count > 1 else {})}


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The room died with these people in it, and no order of ours was the reason."""

    room: Room
    people: list[UUID]

    def tell(self, db: Session, now: datetime) -> None:
        """Append the event and the audit entry, unless an earlier batch told of this death."""
        known = _cut_off_before(db, self.room.id)
        people = [p for p in dict.fromkeys(str(person) for person in self.people) if p not in known]
        if not people:
            return
        data = {"participant_ids": people}
        events.append(db, "session.interrupted", session_id=self.room.id, data=data, now=now)
        audit.record(
            db,
            action="session.interrupted",
            actor=audit.ROOM,
            now=now,
            organisation_id=self.room.organisation_id,
            session_id=self.room.id,
            detail={"people": len(people)},
        )


def _cut_off_before(db: Session, session_id: UUID) -> set[str]:
    """Return whom the last interruption named and who has not come back since."""
    own = Appended.session_id == session_id
    told = db.execute(
        select(Appended.sequence, Appended.data)
        .where(own, Appended.type == "session.interrupted")
        .order_by(Appended.sequence.desc())
        .limit(1)
    ).first()
    if told is None:
        return set()
    joined = select(Appended.data["participant_id"].astext).where(
        own, Appended.type == "participant.joined", Appended.sequence > told.sequence
    )
    return set(told.data["participant_ids"]) - set(db.scalars(joined))


class News(Protocol):
    """Something that became true."""

    def tell(self, db: Session, now: datetime) -> None:
        """Write what follows from it: events, audit entries, states, orders."""


def tell_all(db: Session, news: Iterable[News], now: datetime) -> None:
    """Tell everything in order, those who come or go one after the other together."""
    for are_moved, several in groupby(news, key=lambda one: isinstance(one, Moved)):
        if are_moved:
            tell_moved(db, [one for one in several if isinstance(one, Moved)], now)
        else:
            for one in several:
                one.tell(db, now)
