"""What rooms are told about recorders, and what they tell: orders out, facts in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.organisations.policy_service import policy_of
from app.ports import RoomOrder
from app.recordings import follow
from app.recordings.states import RUNNING, State
from app.rooms.models import RoomCommand
from app.rooms.news import News, Person, Room
from app.rooms.orders import Target, order
from app.rooms.register import Register
from app.rooms.schemas import Fact
from app.sessions.models import CareSession

START, STOP = "record_start", "record_stop"


def start(db: Session, target: Target, *, recording_id: UUID, now: datetime) -> RoomOrder:
    """Order that a recorder is asked for. The room asks us once more before it does."""
    return _order(db, target, START, recording_id, now)


def stop(db: Session, target: Target, *, recording_id: UUID, now: datetime) -> RoomOrder:
    """Order that a recording stops, and that no recorder comes in any more. An order to start it
    that still waits is dropped."""
    db.execute(
        update(RoomCommand)
        .where(
            RoomCommand.session_id == target.session_id,
            RoomCommand.name == START,
            RoomCommand.state == "pending",
        )
        .values(state="failed", finished_at=now, result={"dropped": "a newer order"})
        .execution_options(synchronize_session=False)
    )
    return _order(db, target, STOP, recording_id, now)


def yield_to(
    db: Session, session: CareSession, *, participant_id: UUID, now: datetime
) -> RoomOrder | None:
    """Stop what is recorded because somebody is at the door who has not agreed, where that is the
    organisation's policy. The session is locked.

    Returns:
        What the room must be told, after the commit; None when there is nothing to stop.
    """
    recording = follow.live(db, session.id)
    if recording is None or recording.state not in RUNNING:
        return None
    if not policy_of(db, session.organisation_id, session.visit_type).recording_yields:
        return None
    actor = Actor("participant", str(participant_id))
    if not follow.stop(db, recording, "newcomer", actor=actor, now=now):
        return None
    return stop(db, Target.of(session), recording_id=recording.id, now=now)


def _order(db: Session, target: Target, name: str, recording_id: UUID, now: datetime) -> RoomOrder:
    return order(
        db,
        organisation_id=target.organisation_id,
        session_id=target.session_id,
        name=name,
        args={"room": target.room, "recording_id": str(recording_id)},
        now=now,
    )


@dataclass(frozen=True, slots=True)
class Status:
    """The focus said where a recording stands, or refused what it was asked."""

    room: Room
    status: str
    code: str
    reference: str

    def tell(self, db: Session, now: datetime) -> None:
        """Move the recording along."""
        recording = follow.live(db, self.room.id)
        if recording is not None:
            follow.heard(
                db,
                recording,
                status=self.status,
                code=self.code,
                reference=self.reference,
                now=now,
            )


@dataclass(frozen=True, slots=True)
class RecorderLeft:
    """The recorder left the room, whoever wanted it."""

    room: Room

    def tell(self, db: Session, now: datetime) -> None:
        """Note it where it should be recording."""
        recording = follow.live(db, self.room.id)
        if recording is not None:
            follow.recorder_left(db, recording, now=now)


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Somebody who may stopped the recording with Jitsi's own button."""

    room: Room
    by: Person

    def tell(self, db: Session, now: datetime) -> None:
        """Note who; the focus has been asked already."""
        recording = follow.live(db, self.room.id)
        if recording is not None and recording.state != State.REQUESTED:
            actor = Actor("participant", str(self.by.id))
            follow.stop(db, recording, "stopped", actor=actor, now=now)


@dataclass(frozen=True, slots=True)
class RoomGone:
    """The room is not there any more, and no recorder in it."""

    room: Room

    def tell(self, db: Session, now: datetime) -> None:
        """Whatever was recorded is over."""
        recording = follow.live(db, self.room.id)
        if recording is not None and recording.state != State.REQUESTED:
            follow.over(db, recording, "room_closed", now=now, actor=audit.ROOM)


def _in_room(make: Callable[[Room, Fact], News]) -> Callable[[Register, Fact, str], None]:
    def handle(register: Register, fact: Fact, source: str) -> None:
        room = register.rooms.get(fact.room)
        if room is not None:
            register.news.append(make(room, fact))

    return handle


def _on_stop_asked(register: Register, fact: Fact, source: str) -> None:
    if by := register.place(fact.room, fact.by):
        register.news.append(StopAsked(*by))


HANDLERS: dict[str, Callable[[Register, Fact, str], None]] = {
    "recording.status": _in_room(lambda r, f: Status(r, f.status, f.code, f.reference)),
    "recording.recorder_left": _in_room(lambda room, _: RecorderLeft(room)),
    "recording.stop_asked": _on_stop_asked,
}
