"""What moderators' clients did to others inside a room, without asking the service: it lasts and is
told as if they had asked."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.events import service as events
from app.participants import moderators
from app.participants import service as participants
from app.rooms import av_moderation, call_orders
from app.rooms.news import News, Person, Room
from app.rooms.orders import Target, end
from app.rooms.register import Register
from app.rooms.removal import Removal
from app.rooms.schemas import Fact
from app.sessions import service as sessions
from app.sessions.models import CareSession
from app.sessions.states import OVER, State


@dataclass(frozen=True, slots=True)
class Opened:
    """A room was made; what is moderated in it must be said again."""

    room: Room

    def tell(self, db: Session, now: datetime) -> None:
        """Order it, to be carried out by the next sweep."""
        state = av_moderation.moderated(db, session_id=self.room.id)
        if state:
            target = Target(self.room.organisation_id, self.room.id, self.room.name)
            call_orders.moderate_av(db, target, state=state, now=now, first_repeat_s=0)


@dataclass(frozen=True, slots=True)
class Kicked:
    """A moderator put somebody out, who stays out like anybody who is removed."""

    room: Room
    person: Person
    by: Person

    def tell(self, db: Session, now: datetime) -> None:
        """Remove the person. The order puts nobody out again: it sees to it that Prosody's word
        is the service's, whatever became of that Prosody."""
        Removal(
            organisation_id=self.room.organisation_id,
            session_id=self.room.id,
            participant_id=self.person.id,
            actor=_actor(self.by),
            now=now,
        ).made_within(db)


@dataclass(frozen=True, slots=True)
class MadeModerator:
    """A moderator made somebody a moderator, or took it from them."""

    room: Room
    person: Person
    by: Person
    on: bool

    def tell(self, db: Session, now: datetime) -> None:
        """Keep it, so that it outlives the connection; who is out already has no rights."""
        session = _locked(db, self.room)
        person = participants.get(
            db,
            organisation_id=session.organisation_id,
            session_id=session.id,
            participant_id=self.person.id,
        )
        # By now, or by another deed of the same batch.
        if session.state in OVER or person.state == "removed":
            return
        moderators.set_moderator(
            db,
            session,
            participant_id=self.person.id,
            moderator=self.on,
            actor=_actor(self.by),
            now=now,
        )


@dataclass(frozen=True, slots=True)
class Muted:
    """A moderator muted somebody."""

    room: Room
    person: Person
    by: Person
    media: str

    def tell(self, db: Session, now: datetime) -> None:
        """Append the event and the audit entry."""
        data = {**self.person.data, "media": self.media}
        events.append(db, "participant.muted", session_id=self.room.id, data=data, now=now)
        audit.record(
            db,
            action="participant.muted",
            actor=_actor(self.by),
            now=now,
            organisation_id=self.room.organisation_id,
            session_id=self.room.id,
            participant_id=self.person.id,
            detail={"media": self.media},
        )


@dataclass(frozen=True, slots=True)
class AvModerated:
    """A moderator switched moderation of a medium, or let somebody use it (`person`)."""

    room: Room
    person: Person | None
    by: Person
    media: str
    on: bool

    def tell(self, db: Session, now: datetime) -> None:
        """Store it; Jitsi's component has done it in the room already."""
        _locked(db, self.room)
        wanted = av_moderation.state(db, session_id=self.room.id)
        if self.person is None:
            wanted |= {self.media: self.on, f"{self.media}_allowed": []}
        else:
            others = set(wanted[f"{self.media}_allowed"]) - {str(self.person.id)}
            wanted[f"{self.media}_allowed"] = sorted(
                others | ({str(self.person.id)} if self.on else set())
            )
        av_moderation.write(
            db,
            organisation_id=self.room.organisation_id,
            session_id=self.room.id,
            wanted=wanted,
            actor=_actor(self.by),
            now=now,
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """A person who may closed the room for everybody, which ends the session."""

    room: Room
    by: Person

    def tell(self, db: Session, now: datetime) -> None:
        """End it; the order is for whoever waits, and for a room that stayed open."""
        sessions.end(
            db,
            organisation_id=self.room.organisation_id,
            session_id=self.room.id,
            reason="",
            actor=_actor(self.by),
            now=now,
        )
        target = Target(self.room.organisation_id, self.room.id, self.room.name)
        end(db, target, reason="", now=now)


def _locked(db: Session, room: Room) -> CareSession:
    return sessions.lock(db, organisation_id=room.organisation_id, session_id=room.id)


def _actor(by: Person) -> Actor:
    return Actor("participant", str(by.id))


def _handler(make: Callable[[Room, Person, Person, Fact], News]) -> Callable[..., None]:
    """Return a handler of a deed of one person of a room to another."""

    def handle(register: Register, fact: Fact, source: str) -> None:
        target = register.place(fact.room, fact.participant_id)
        by = register.place(fact.room, fact.by)
        if target and by:
            register.news.append(make(target[0], target[1], by[1], fact))

    return handle


def _on_av_moderation(register: Register, fact: Fact, source: str) -> None:
    by = register.place(fact.room, fact.by)
    target = register.place(fact.room, fact.participant_id)
    if by and fact.media in av_moderation.MEDIA and (target or fact.participant_id is None):
        person = target[1] if target else None
        by[0].leaves_something = True
        register.news.append(AvModerated(by[0], person, by[1], fact.media, fact.on))


def _on_ended(register: Register, fact: Fact, source: str) -> None:
    """Close the session, and know at once that who leaves now is not cut off."""
    by = register.place(fact.room, fact.by)
    if by and by[0].state == State.ACTIVE:
        by[0].state = State.ENDED
        register.news.append(Ended(*by))


HANDLERS: dict[str, Any] = {
    "participant.kicked": _handler(lambda room, person, by, _: Kicked(room, person, by)),
    "participant.moderator": _handler(
        lambda room, person, by, fact: MadeModerator(room, person, by, fact.on)
    ),
    "participant.muted": _handler(lambda room, person, by, f: Muted(room, person, by, f.media)),
    "room.av_moderation": _on_av_moderation,
    "room.ended": _on_ended,
}
