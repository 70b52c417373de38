"""Who is in which room, as the database knows it: locked, changed in memory, written at once.

A batch of fifty events of one room is fifty small changes to the same few rows. They are worked
out here and written by a handful of statements, in the same transaction that read them.
Locks are taken in the order of the whole service: sessions, then participants, each by id.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, or_, select, union, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.ids import new_id
from app.organisations.models import Organisation
from app.participants.models import Attendance, Participant
from app.participants.permissions import Permission, effective
from app.recordings.models import Recording
from app.recordings.states import LIVE
from app.rooms.models import AvModeration
from app.rooms.news import News, Person, Room, Started, joined, left
from app.sessions.models import CareSession
from app.sessions.states import State


@dataclass(slots=True)
class Stay:
    """One connection of one person in the room; a row of `attendance`."""

    id: UUID
    organisation_id: UUID
    session_id: UUID
    participant_id: UUID
    is_host: bool
    source: str
    connection: str
    joined_at: datetime
    left_at: datetime | None = None
    leave_reason: str | None = None


STAY_COLUMNS = [getattr(Attendance, name) for name in Stay.__slots__]

LOCK_ROOMS = (
    select(
        CareSession.id,
        CareSession.organisation_id,
        CareSession.kind,
        CareSession.state,
        CareSession.room_name.label("name"),
        Organisation.permissions,
    )
    .join(Organisation, Organisation.id == CareSession.organisation_id)
    .where(CareSession.room_name.in_(bindparam("names", expanding=True)))
    .order_by(CareSession.id)
    .with_for_update(of=CareSession, key_share=True)
)
# After the locks, without which nobody changes either.
LEAVING_SOMETHING = union(
    select(Recording.session_id).where(
        Recording.session_id.in_(bindparam("sessions", expanding=True)), Recording.state.in_(LIVE)
    ),
    select(AvModeration.session_id).where(
        AvModeration.session_id.in_(bindparam("sessions", expanding=True)),
        AvModeration.audio | AvModeration.video,
    ),
)
STAYS = select(*STAY_COLUMNS).where(
    Attendance.session_id.in_(bindparam("sessions", expanding=True)),
    or_(Attendance.left_at.is_(None), Attendance.left_at >= bindparam("since")),
)
LOCK_PEOPLE = (
    select(
        Participant.id,
        Participant.organisation_id,
        Participant.session_id,
        Participant.role,
        Participant.state,
        Participant.reference,
        Participant.permissions,
    )
    .where(Participant.id.in_(bindparam("people", expanding=True)))
    .order_by(Participant.id)
    .with_for_update(key_share=True)
)
# The ids are not looked at; but without RETURNING SQLAlchemy sends a statement for each stay.
ADD_STAYS = insert(Attendance).on_conflict_do_nothing().returning(Attendance.id)
CLOSE_STAY = (
    update(Attendance)
    .where(Attendance.id == bindparam("stay"), Attendance.left_at.is_(None))
    .values(left_at=bindparam("at"), leave_reason=bindparam("reason"))
)
SET_STATE = (
    update(Participant)
    .where(
        Participant.id.in_(bindparam("people", expanding=True)),
        # What is final stays so, whatever is told of the past.
        Participant.state != "removed",
    )
    # Not the version: who edits a person has not been overtaken because that person came in.
    .values(state=bindparam("target"))
)
# Prosody takes the time of a join twice, for its event and for its record of who is inside; both
# in the same moment, and nobody comes back that fast.
SAME_MOMENT = timedelta(milliseconds=10)


@dataclass(slots=True)
class Register:
    """The rooms and people of one batch."""

    rooms: dict[str, Room]
    people: dict[UUID, Person]
    # What happened, in order, for the outbox and the audit log.
    news: list[News] = field(default_factory=list)
    _open: dict[tuple[UUID, str], Stay] = field(default_factory=dict)
    _over: dict[tuple[UUID, str], list[Stay]] = field(default_factory=dict)
    _added: list[Stay] = field(default_factory=list)
    _closed: list[Stay] = field(default_factory=list)

    @classmethod
    def load(
        cls, db: Session, *, rooms: Collection[str], people: Collection[UUID], since: datetime
    ) -> "Register":
        """Lock the sessions of these rooms and read who is in them, or left after `since`; `people`
        are read besides."""
        found = [Room(**row) for row in db.execute(LOCK_ROOMS, {"names": list(rooms)}).mappings()]
        values = {"sessions": [room.id for room in found], "since": since}
        leaving = set(db.scalars(LEAVING_SOMETHING, values))
        for room in found:
            room.leaves_something = room.id in leaving
        stays = [Stay(**row) for row in db.execute(STAYS, values).mappings()]
        wanted = {stay.participant_id for stay in stays} | set(people)
        persons = db.execute(LOCK_PEOPLE, {"people": list(wanted)}).mappings()
        register = cls({room.name: room for room in found}, {p["id"]: Person(**p) for p in persons})
        for stay in stays:
            register._remember(stay)
        return register

    def place(self, room_name: str, participant_id: UUID | None) -> tuple[Room, Person] | None:
        """Return the room and the person if this person belongs to this room."""
        room = self.rooms.get(room_name)
        person = participant_id and self.people.get(participant_id)
        if room is None or not person or person.session_id != room.id:
            return None
        return room, person

    def stay(self, participant_id: UUID, connection: str) -> Stay | None:
        """Return the open stay of one connection."""
        return self._open.get((participant_id, connection))

    def stays(self) -> list[Stay]:
        """Return all open stays, in no order."""
        return list(self._open.values())

    def over(self, participant_id: UUID, connection: str) -> list[Stay]:
        """Return the stays of one connection that were over before, and ended after `since`."""
        return self._over.get((participant_id, connection), [])

    def enter(
        self, room: Room, person: Person, *, source: str, connection: str, at: datetime
    ) -> None:
        """Note that a connection came in. The person joins with the first of several."""
        if self.stay(person.id, connection) is not None:
            return
        is_first = not self._is_inside(person.id)
        permissions = _permissions(room, person)
        stay = Stay(
            id=new_id(),
            organisation_id=room.organisation_id,
            session_id=room.id,
            participant_id=person.id,
            is_host=Permission.ENTER_WITHOUT_HOST in permissions,
            source=source,
            connection=connection,
            joined_at=at,
        )
        self._open[person.id, connection] = stay
        self._added.append(stay)
        if room.state == State.SCHEDULED and Permission.START_SESSION in permissions:
            room.state = State.ACTIVE
            self.news.append(Started(room, person))
        if is_first:
            person.move_to("joined")
            self.news.append(joined(person))

    def leave(self, stay: Stay, *, at: datetime, reason: str) -> None:
        """Note that a connection is gone. The person leaves with the last of several."""
        self._open.pop((stay.participant_id, stay.connection))
        # Clocks of two machines: nobody leaves before coming.
        stay.left_at = max(at, stay.joined_at)
        stay.leave_reason = reason
        self._closed.append(stay)
        if not self._is_inside(stay.participant_id):
            person = self.people[stay.participant_id]
            person.move_to("left")
            self.news.append(left(person, reason))

    def save(self, db: Session) -> None:
        """Write the stays and states; the news is the caller's to tell."""
        # The connection, not the ORM: its bulk inserts and updates cost several times as much.
        connection = db.connection()
        if self._added:
            connection.execute(ADD_STAYS, [_row(stay) for stay in self._added])
        added = {stay.id for stay in self._added}
        closed = [_closing(stay) for stay in self._closed if stay.id not in added]
        if closed:
            connection.execute(CLOSE_STAY, closed)
        for target in ("joined", "left"):
            moved = [p.id for p in self.people.values() if p.moved_to == target]
            if moved:
                connection.execute(SET_STATE, {"people": moved, "target": target})

    def _remember(self, stay: Stay) -> None:
        key = (stay.participant_id, stay.connection)
        if stay.left_at is None:
            self._open[key] = stay
        else:
            self._over.setdefault(key, []).append(stay)

    def _is_inside(self, participant_id: UUID) -> bool:
        return any(person == participant_id for person, _ in self._open)


def rooms_left_open(db: Session, *, other_than: str) -> list[str]:
    """Return the rooms with stays of former runs of Prosody."""
    query = (
        select(func.distinct(CareSession.room_name))
        .join(Attendance, Attendance.session_id == CareSession.id)
        .where(Attendance.left_at.is_(None), Attendance.source != other_than)
    )
    return list(db.scalars(query))


def _permissions(room: Room, person: Person) -> frozenset[Permission]:
    return effective(
        person.role,
        kind=room.kind,
        organisation=room.permissions,
        participant=person.permissions,
    )


def _row(stay: Stay) -> dict[str, Any]:
    return {name: getattr(stay, name) for name in Stay.__slots__}


def _closing(stay: Stay) -> dict[str, Any]:
    return {"stay": stay.id, "at": stay.left_at, "reason": stay.leave_reason}


def people_in(ids: Iterable[UUID | None]) -> set[UUID]:
    """Return the ids that are ids."""
    return {one for one in ids if one is not None}
