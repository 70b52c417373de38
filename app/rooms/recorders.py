"""What rooms are told about recorders, and what they tell: orders out, facts in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.organisations.policy_service import policy_of
from app.ports import RoomOrder
from app.recordings import follow
from app.recordings.models import Recording
from app.recordings.states import RUNNING, State
from app.rooms.models import RoomCommand
from app.rooms.news import News, Person, Room
from app.rooms.orders import FIRST_REPEAT_S, Target, drop_pending, order
from app.rooms.register import Register
from app.rooms.schemas import Fact
from app.sessions.models import CareSession

START, STOP = "record_start", "record_stop"


def start(db: Session, target: Target, *, recording_id: UUID, now: datetime) -> RoomOrder:
    """Order that a recorder is asked for. The room asks us once more before it does."""
    return order(db, target, START, {"recording_id": str(recording_id)}, now=now)


def stop(
    db: Session,
    target: Target,
    *,
    recording_id: UUID,
    now: datetime,
    first_repeat_s: float = FIRST_REPEAT_S,
) -> RoomOrder:
    """Order that a recording stops, and that no recorder comes in any more. An order to start it
    that still waits is dropped."""
    drop_pending(db, target, (START,), now=now)
    args = {"recording_id": str(recording_id)}
    return order(db, target, STOP, args, now=now, first_repeat_s=first_repeat_s)


def stop_is_unheard(db: Session, recording: Recording) -> bool:
    """Tell whether an order to stop this recording still waits for the room to hear it."""
    waits = exists().where(_stops(recording), RoomCommand.state == "pending")
    return bool(db.scalar(select(waits)))


def answer_to_stop(db: Session, recording: Recording) -> Mapping[str, Any] | None:
    """Return what the room answered last to an order to stop this recording; None: nothing yet."""
    heard = _stops(recording) & (RoomCommand.state == "confirmed")
    newest = select(RoomCommand.result).where(heard).order_by(RoomCommand.id.desc())
    return db.scalars(newest.limit(1)).first()


def _stops(recording: Recording) -> ColumnElement[bool]:
    return and_(
        RoomCommand.session_id == recording.session_id,
        RoomCommand.name == STOP,
        RoomCommand.args["recording_id"].astext == str(recording.id),
    )


def yield_to(db: Session, session: CareSession, *, participant_id: UUID, now: datetime) -> None:
    """Stop what is recorded because somebody is at the door who has not agreed, where that is the
    organisation's policy. The session is locked. The room is told by the next sweep: they ask
    again, and others who ask together with them do not wait for it."""
    recording = follow.live(db, session.id)
    if recording is None or recording.state not in RUNNING:
        return
    if not policy_of(db, session.organisation_id, session.visit_type).recording_yields:
        return
    actor = Actor("participant", str(participant_id))
    if follow.stop(db, recording, "newcomer", actor=actor, now=now):
        stop(db, Target.of(session), recording_id=recording.id, now=now, first_repeat_s=0)


@dataclass(frozen=True, slots=True)
class Status:
    """The focus said where a recording stands, or refused what it was asked; or the room did.
    `recording_id`: for which the room lets a recorder in, None when for none."""

    room: Room
    at: datetime
    recording_id: UUID | None
    status: str
    code: str
    reference: str

    def tell(self, db: Session, now: datetime) -> None:
        """Move the recording along. What is recorded although we believe it over is stopped; what
        is told of an older one changes nothing."""
        recording = follow.live(db, self.room.id)
        if recording is not None and self.recording_id in (None, recording.id):
            follow.heard(
                db,
                recording,
                status=self.status,
                code=self.code,
                reference=self.reference,
                at=self.at,
                now=now,
            )
        if self.status in ("pending", "on") and self.recording_id is not None:
            self._stop_unless_wanted(db, recording, self.recording_id, now)

    def _stop_unless_wanted(
        self, db: Session, live: Recording | None, recording_id: UUID, now: datetime
    ) -> None:
        if live is None or live.id != recording_id or live.state not in RUNNING:
            target = Target(self.room.organisation_id, self.room.id, self.room.name)
            # By the next sweep: nothing here may wait for the room.
            stop(db, target, recording_id=recording_id, now=now, first_repeat_s=0)


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
    """The room was not there any more, and no recorder in it."""

    room: Room
    at: datetime

    def tell(self, db: Session, now: datetime) -> None:
        """Whatever was recorded in it is over. What began after that is recorded in the next one;
        where two machines' clocks make that a mistake, the sweep finds out."""
        recording = follow.live(db, self.room.id)
        if recording is None or recording.state == State.REQUESTED:
            return
        if self.at >= (recording.started_at or recording.changed_at):
            follow.over(db, recording, "room_closed", now=now, actor=audit.ROOM)


def _in_room(make: Callable[[Room, Fact], News]) -> Callable[[Register, Fact, str], None]:
    def handle(register: Register, fact: Fact, source: str) -> None:
        room = register.rooms.get(fact.room)
        if room is not None:
            register.news.append(make(room, fact))

    return handle


def _status(room: Room, fact: Fact) -> Status:
    return Status(room, fact.at, fact.recording_id, fact.status, fact.code, fact.reference)


def _on_stop_asked(register: Register, fact: Fact, source: str) -> None:
    if by := register.place(fact.room, fact.by):
        register.news.append(StopAsked(*by))


HANDLERS: dict[str, Callable[[Register, Fact, str], None]] = {
    "recording.status": _in_room(_status),
    "recording.recorder_left": _in_room(lambda room, _: RecorderLeft(room)),
    "recording.stop_asked": _on_stop_asked,
}
