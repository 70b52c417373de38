"""Believing events, then verifying: the service's picture of the rooms against the real occupants.

Events can be lost (a full queue, a killed server) and orders can go unheard. After every connect
and every minute the gateway leaves a picture of the rooms in Redis; what differs is repaired here,
under the locks that events are taken in with. The gateway does not do that itself: with the
database's libraries it would be twice as large.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
import structlog
from marshmallow import ValidationError
from redis.exceptions import RedisError
from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from app.participants.models import Attendance, Participant
from app.ports import RoomOrder
from app.rooms import orders, redis_keys
from app.rooms.orders import Target
from app.rooms.presence import interrupt, write
from app.rooms.register import Register, Stay
from app.rooms.schemas import Picture, read_picture
from app.services import Services
from app.sessions.models import CareSession
from app.sessions.states import OVER

log = structlog.get_logger()

Found = Row[*tuple[Any, ...]]

# What changed while the picture was taken is not a difference: the event about it is on its way,
# or came before the picture. Also bridges the clocks of two machines.
MARGIN = timedelta(seconds=5)

OPEN_NOW = (
    select(Attendance.participant_id, Attendance.connection, CareSession.room_name)
    .join(CareSession, CareSession.id == Attendance.session_id)
    .where(Attendance.left_at.is_(None))
)
UNWANTED_PEOPLE = (
    select(
        CareSession.organisation_id,
        CareSession.id,
        CareSession.room_name,
        Participant.id.label("participant_id"),
        Participant.removed_until,
    )
    .join(Participant, Participant.session_id == CareSession.id)
    .where(
        Participant.id.in_(bindparam("people", expanding=True)),
        Participant.state == "removed",
        # Whose removal is over may be back before the sweep has said so.
        Participant.removed_until.is_(None) | (Participant.removed_until > bindparam("now")),
        CareSession.state.not_in(OVER),
    )
)
ROOMS_TO_END = select(CareSession.organisation_id, CareSession.id, CareSession.room_name).where(
    CareSession.room_name.in_(bindparam("rooms", expanding=True)), CareSession.state.in_(OVER)
)


def reconcile(db: Session, picture: Picture, *, now: datetime) -> list[RoomOrder]:
    """Repair attendance and states after the picture; return the orders that repair the rooms.

    The orders are written like any other, so they are repeated if they fail; carry them out after
    the commit.
    """
    rooms = _differing_rooms(db, picture)
    if rooms:
        people = {
            occupant.participant_id for occupant in picture.occupants if occupant.room in rooms
        }
        since = picture.asked_at - MARGIN
        register = Register.load(db, rooms=rooms, people=people, since=since)
        _close_lost(register, picture)
        _add_missing(register, picture)
        write(db, register, now=now)
    return _orders(db, picture, now)


def reconcile_latest(services: Services, *, now: datetime) -> list[RoomOrder]:
    """Take the picture that waits in Redis, if there is one, and repair what differs; the orders
    are committed and wait to be carried out."""
    picture = _latest_picture(services)
    if picture is None:
        return []
    with services.database.begin() as db:
        return reconcile(db, picture, now=now)


def _latest_picture(services: Services) -> Picture | None:
    """Return the picture that waits; one that is lost or odd is replaced within a minute."""
    try:
        waiting = services.redis.getdel(redis_keys.PICTURE)
        return read_picture(orjson.loads(cast("bytes", waiting))) if waiting else None
    except (RedisError, ValidationError, orjson.JSONDecodeError) as error:
        log.warning("room_picture_unreadable", kind=type(error).__name__)
        return None


def _differing_rooms(db: Session, picture: Picture) -> set[str]:
    """Compare without locks first: mostly nothing differs, and nobody should wait for that."""
    recorded = {(person, connection, room) for person, connection, room in db.execute(OPEN_NOW)}
    real = {(one.participant_id, one.connection, one.room) for one in picture.occupants}
    return {room for _, _, room in recorded ^ real}


def _close_lost(register: Register, picture: Picture) -> None:
    real = {(one.participant_id, one.connection) for one in picture.occupants}
    for stay in register.stays():
        if (stay.participant_id, stay.connection) not in real and _is_older(stay, picture):
            register.leave(stay, at=picture.asked_at, reason="disconnected")
            if stay.source != picture.source:  # another run of Prosody: the one before died
                interrupt(register, stay)


def _is_older(stay: Stay, picture: Picture) -> bool:
    return stay.joined_at < picture.asked_at - MARGIN


def _add_missing(register: Register, picture: Picture) -> None:
    for one in picture.occupants:
        place = register.place(one.room, one.participant_id)
        # Over: this connection left while the picture was taken, or after that.
        if place and not register.over(one.participant_id, one.connection):
            room, person = place
            register.enter(
                room, person, source=picture.source, connection=one.connection, at=one.joined_at
            )


def _orders(db: Session, picture: Picture, now: datetime) -> list[RoomOrder]:
    ended = db.execute(ROOMS_TO_END, {"rooms": list(picture.rooms)}).all()
    people = [occupant.participant_id for occupant in picture.occupants]
    unwanted = db.execute(UNWANTED_PEOPLE, {"people": people, "now": now}).all()
    return [
        *(orders.end(db, _target(row), reason="This session is over.", now=now) for row in ended),
        *_kicks(db, unwanted, now),
    ]


def _kicks(db: Session, unwanted: Sequence[Found], now: datetime) -> list[RoomOrder]:
    reason = "You were removed from this session."
    return [
        orders.kick(
            db,
            _target(row),
            participant_id=row.participant_id,
            reason=reason,
            ban_until=row.removed_until,
            now=now,
        )
        for row in unwanted
    ]


def _target(row: Found) -> Target:
    return Target(row.organisation_id, row.id, row.room_name)
