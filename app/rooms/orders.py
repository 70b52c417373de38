"""Orders to the live room.

An order that must not be lost is a row first: written in the transaction that decided it, tried at
once after the commit, and repeated by the relay's sweep until the room confirms it. All of them can
be carried out twice without harm. A message is the exception: it is said now or not at all.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import structlog
from sqlalchemy import insert, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from app.db.engine import run
from app.errors import Conflict, Unavailable
from app.ids import new_id
from app.participants.permissions import Permission
from app.ports import Report, RoomOrder
from app.rooms.models import RoomCommand
from app.services import Services
from app.sessions.models import CareSession

log = structlog.get_logger()

# The first repeat leaves time for the try that follows the commit.
FIRST_REPEAT_S = 5

DECISIONS = ("admit", "deny")

# Built once, and run without the ORM.
WRITE = insert(RoomCommand)
# One way to PostgreSQL: it runs while the client of who was put out is told of it.
CONFIRM = """
    UPDATE teleconference.room_commands SET state = 'confirmed', finished_at = %s, result = %s
    WHERE id = %s AND state = 'pending'"""


@dataclass(frozen=True, slots=True)
class Target:
    """The session whose room is meant."""

    organisation_id: UUID
    session_id: UUID
    room: str

    @staticmethod
    def of(session: CareSession) -> "Target":
        """Return the room of a session."""
        return Target(session.organisation_id, session.id, session.room_name)


def kick(
    db: Session,
    target: Target,
    *,
    participant_id: UUID,
    reason: str,
    now: datetime,
    ban: bool = True,
    ban_until: datetime | None = None,
) -> RoomOrder:
    """Order that a person is put out; with `ban` not to be let in again, or not until `ban_until`.

    Without it, a repeat of an unheard order puts out once more who came back meanwhile. With it, an
    older order about the same person that still waits is dropped: it would bring back its own end.
    """
    if ban:
        drop_pending(db, target, ("kick",), participant_id=participant_id, now=now)
    args = {"participant_id": str(participant_id), **_reason(reason), "ban": ban}
    if ban_until is not None:
        args["ban_until"] = ban_until.timestamp()
    return order(db, target, "kick", args, now=now)


def admit(db: Session, target: Target, *, participant_id: UUID, now: datetime) -> RoomOrder:
    """Order that a client in the lobby is asked in; whether it may, the room asks us again.

    What was decided before about the same person, and not heard, would undo this one.
    """
    drop_pending(db, target, DECISIONS, participant_id=participant_id, now=now)
    return order(db, target, "admit", {"participant_id": str(participant_id)}, now=now)


def deny(
    db: Session, target: Target, *, participant_id: UUID, reason: str, now: datetime
) -> RoomOrder:
    """Order that a person is put out of the lobby, and of the room if they are in it."""
    drop_pending(db, target, DECISIONS, participant_id=participant_id, now=now)
    args = {"participant_id": str(participant_id), **_reason(reason)}
    return order(db, target, "deny", args, now=now)


def end(db: Session, target: Target, *, reason: str, now: datetime) -> RoomOrder:
    """Order that the room is closed for everybody."""
    return order(db, target, "end", _reason(reason), now=now)


def affiliate(
    db: Session,
    target: Target,
    *,
    participant_id: UUID,
    permissions: Collection[Permission],
    now: datetime,
) -> RoomOrder:
    """Order that a person in the room may from now on do just this.

    An older order about the same person that still waits is dropped: carried out later than this
    one, it would undo it.
    """
    drop_pending(db, target, ("affiliate",), participant_id=participant_id, now=now)
    args = {
        "participant_id": str(participant_id),
        "affiliation": "owner" if Permission.MODERATE in permissions else "member",
        # Each by name, so that what was taken is said, too.
        "permissions": {str(permission): permission in permissions for permission in Permission},
    }
    return order(db, target, "affiliate", args, now=now)


def order(
    db: Session,
    target: Target,
    name: str,
    args: Mapping[str, Any],
    *,
    now: datetime,
    first_repeat_s: float = FIRST_REPEAT_S,
) -> RoomOrder:
    """Write an order that will be carried out, at once if `carry_out` follows the commit."""
    command = RoomOrder(new_id(), name, {"room": target.room, **args})
    row = {
        "id": command.id,
        "organisation_id": target.organisation_id,
        "session_id": target.session_id,
        "name": name,
        "args": command.args,
        "state": "pending",
        "next_attempt_at": now + timedelta(seconds=first_repeat_s),
        "created_at": now,
    }
    db.connection().execute(WRITE, row)
    return command


def drop_pending(
    db: Session,
    target: Target,
    names: Collection[str],
    *,
    participant_id: UUID | None = None,
    now: datetime,
) -> None:
    """Drop orders to a room, or about one person in it, that still wait: a newer one says more."""
    dropped = (
        update(RoomCommand)
        .where(
            RoomCommand.session_id == target.session_id,
            RoomCommand.name.in_(names),
            RoomCommand.state == "pending",
        )
        .values(state="failed", finished_at=now, result={"dropped": "a newer order"})
        .execution_options(synchronize_session=False)
    )
    if participant_id is not None:
        dropped = dropped.where(RoomCommand.args["participant_id"].astext == str(participant_id))
    db.execute(dropped)


@dataclass(frozen=True, slots=True)
class Given:
    """A committed order that is on its way to the room; without a report it found no gateway."""

    order: RoomOrder
    report: Report | None

    def confirm(self, services: Services, *, now: datetime) -> bool:
        """Wait until the room has carried it out; False means that it will be repeated."""
        if self.report is None:
            return False
        try:
            result = self.report(services.settings.room_command_timeout_s)
        except (Unavailable, Conflict) as error:
            _note_unconfirmed(self.order, error.code)
            return False
        return _confirm(services, self.order, result, now)


def give(services: Services, order: RoomOrder) -> Given:
    """Send a committed order to its room and wait for nothing."""
    try:
        return Given(order, services.rooms.give(order))
    except Unavailable as error:
        _note_unconfirmed(order, error.code)
        return Given(order, None)


def carry_out(services: Services, command: RoomOrder, *, now: datetime) -> bool:
    """Have the room carry out a committed order; False means that it will be repeated."""
    return give(services, command).confirm(services, now=now)


def say(services: Services, *, room: str, text: str, participant_id: UUID | None = None) -> int:
    """Say something to everybody in the room, or to one person; return how many were there.

    Raises:
        Unavailable: the room did not confirm it.
        Conflict: the room refused it.
    """
    args = {"room": room, "text": text}
    if participant_id is not None:
        args["participant_id"] = str(participant_id)
    timeout_s = services.settings.room_command_timeout_s
    result = services.rooms.execute(RoomOrder(new_id(), "message", args), timeout_s=timeout_s)
    return int(result["delivered"])


def _confirm(
    services: Services, command: RoomOrder, result: Mapping[str, Any], now: datetime
) -> bool:
    """Store that the room did it. Without a database this is False and no error: what was ordered
    is committed, so nobody may be told that nothing was changed."""
    try:
        with services.database.statements() as db:
            run(db, CONFIRM, (now, orjson.dumps(result).decode(), str(command.id)))
    except (DBAPIError, PoolTimeoutError):
        _note_unconfirmed(command, "database_unavailable")
        return False
    return True


def _note_unconfirmed(order: RoomOrder, code: str) -> None:
    log.warning("room_order_unconfirmed", order_id=str(order.id), code=code)


def _reason(reason: str) -> dict[str, Any]:
    """A client shows what it is given, and an empty text is worse than its own words."""
    return {"reason": reason} if reason else {}
