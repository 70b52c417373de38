"""Orders to the room: kept until confirmed, repeated, and given up only when it is pointless."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from app.adapters.memory import MemoryRooms
from app.clock import utc_now
from app.db.engine import Database
from app.errors import Unavailable
from app.participants.permissions import Permission
from app.ports import RoomOrder
from app.rooms import commands, orders
from app.rooms.commands import Target
from app.rooms.models import RoomCommand
from app.services import Services
from app.sessions.models import CareSession
from tests.api.hospital import Hospital

LATER = timedelta(seconds=6)


@pytest.fixture
def rooms() -> MemoryRooms:
    """Live rooms of this test's own."""
    return MemoryRooms()


@pytest.fixture
def mine(services: Services, rooms: MemoryRooms) -> Services:
    """The collaborators with these rooms; nothing of other tests waits."""
    with services.database.begin() as db:
        db.execute(update(RoomCommand).values(state="failed"))
    return replace(services, rooms=rooms)


@pytest.fixture
def target(alice: Hospital) -> Target:
    """The room of an open session."""
    session = alice.new_session()
    return Target(alice.organisation_id, UUID(session["id"]), session["room_name"])


def kicked(services: Services, target: Target, person: UUID, now: datetime) -> RoomOrder:
    """Order a kick and commit."""
    with services.database.begin() as db:
        return commands.kick(db, target, participant_id=person, reason="Go.", now=now)


def affiliated(services: Services, target: Target, person: UUID, moderator: bool) -> RoomOrder:
    """Order an affiliation and commit."""
    rights = {Permission.MODERATE} if moderator else set()
    with services.database.begin() as db:
        return commands.affiliate(
            db, target, participant_id=person, permissions=rights, now=utc_now()
        )


def stored(services: Services, order: RoomOrder) -> RoomCommand:
    """Return an order as it is stored."""
    with services.database.begin() as db:
        return db.scalars(select(RoomCommand).where(RoomCommand.id == order.id)).one()


def test_an_order_carried_out_at_once_is_confirmed(
    mine: Services, rooms: MemoryRooms, target: Target
) -> None:
    person, now = uuid4(), utc_now()
    rooms.enter(target.room, str(person))
    order = kicked(mine, target, person, now)

    assert commands.carry_out(mine, order, now=now) is True

    assert rooms.rooms[target.room].occupants == {}
    command = stored(mine, order)
    assert (command.state, command.result) == ("confirmed", {"present": True, "kicked": 1})
    assert commands.sweep(mine, now=now + LATER) == 0


def test_an_unconfirmed_order_is_repeated_until_it_is(
    mine: Services, rooms: MemoryRooms, target: Target
) -> None:
    person, now = uuid4(), utc_now()
    rooms.enter(target.room, str(person))
    rooms.alive = False
    order = kicked(mine, target, person, now)
    assert commands.carry_out(mine, order, now=now) is False
    assert commands.sweep(mine, now=now + LATER) == 0
    assert stored(mine, order).attempts == 0

    rooms.alive = True

    assert commands.sweep(mine, now=now) == 0  # the try after the commit may still be under way
    assert commands.sweep(mine, now=now + LATER) == 1
    assert rooms.rooms[target.room].occupants == {}
    assert stored(mine, order).state == "confirmed"


def test_a_kick_without_a_ban_leaves_the_door_open(
    mine: Services, rooms: MemoryRooms, target: Target
) -> None:
    person, now = uuid4(), utc_now()
    rooms.enter(target.room, str(person))
    with mine.database.begin() as db:
        order = commands.kick(
            db, target, participant_id=person, reason="A new link.", ban=False, now=now
        )

    assert commands.carry_out(mine, order, now=now) is True

    assert rooms.rooms[target.room].occupants == {}
    rooms.enter(target.room, str(person))


@pytest.fixture
def without_database(mine: Services) -> Services:
    """The collaborators after the database died."""
    nowhere = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"
    return replace(mine, database=Database(nowhere, pool_size=1, application="tests"))


def test_an_order_done_while_the_database_dies_is_only_unconfirmed(
    mine: Services, without_database: Services, rooms: MemoryRooms, target: Target
) -> None:
    person, now = uuid4(), utc_now()
    rooms.enter(target.room, str(person))
    order = kicked(mine, target, person, now)

    assert commands.carry_out(without_database, order, now=now) is False

    assert rooms.rooms[target.room].occupants == {}
    assert stored(mine, order).state == "pending"
    assert commands.sweep(mine, now=now + LATER) == 1


class SilentRooms(MemoryRooms):
    """Rooms that confirm nothing but kicks, and that only when `together` orders wait at once."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self._gathered = threading.Barrier(together)

    def execute(self, order: RoomOrder, *, timeout_s: float) -> dict[str, Any]:
        """See `app.ports.Rooms`."""
        self._gathered.wait(10)
        if order.name != "kick":
            raise Unavailable("The room did not confirm in time.", code="room_silent")
        return super().execute(order, timeout_s=timeout_s)


def test_a_kick_waits_for_no_silent_room(mine: Services, target: Target) -> None:
    silent = [affiliated(mine, target, uuid4(), moderator=True) for _ in range(25)]
    order = kicked(mine, target, uuid4(), utc_now())
    rooms = SilentRooms(together=commands.SWEEP_AT_ONCE)

    assert commands.sweep(replace(mine, rooms=rooms), now=utc_now() + LATER) == 1

    assert stored(mine, order).state == "confirmed"
    assert sum(stored(mine, one).attempts for one in silent) == commands.SWEEP_AT_ONCE - 1


def test_an_order_that_fails_is_tried_less_and_less_often(mine: Services, target: Target) -> None:
    now = utc_now()
    with mine.database.begin() as db:
        order = orders.order(db, target, "nonsense", {}, now=now)
    pauses = []
    for _ in range(6):
        due = stored(mine, order).next_attempt_at
        commands.sweep(mine, now=due)
        pauses.append((stored(mine, order).next_attempt_at - due).total_seconds())

    assert pauses == [5, 10, 20, 40, 60, 60]
    assert stored(mine, order).state == "pending"


def test_an_order_tried_too_often_is_given_up(mine: Services, target: Target) -> None:
    now = utc_now()
    order = kicked(mine, target, uuid4(), now)
    with mine.database.begin() as db:
        db.execute(
            update(RoomCommand).where(RoomCommand.id == order.id).values(attempts=60, args={})
        )

    commands.sweep(mine, now=now + LATER)

    assert stored(mine, order).state == "failed"


@pytest.mark.parametrize(("minutes", "state"), [(59, "confirmed"), (61, "failed")])
def test_orders_of_a_session_long_over_are_given_up(
    mine: Services, alice: Hospital, target: Target, minutes: int, state: str
) -> None:
    now = utc_now()
    order = kicked(mine, target, uuid4(), now)
    with mine.database.begin() as db:
        db.execute(
            update(CareSession)
            .where(CareSession.id == target.session_id)
            .values(state="ended", ended_at=now - timedelta(minutes=minutes))
        )

    commands.sweep(mine, now=now + LATER)

    assert stored(mine, order).state == state


def test_a_newer_affiliation_drops_an_older_one_that_waits(
    mine: Services, rooms: MemoryRooms, target: Target
) -> None:
    person, other = uuid4(), uuid4()
    rooms.enter(target.room, str(person))
    granted = affiliated(mine, target, person, moderator=True)
    unrelated = affiliated(mine, target, other, moderator=True)

    revoked = affiliated(mine, target, person, moderator=False)
    commands.sweep(mine, now=utc_now() + LATER)

    assert stored(mine, granted).state == "failed"
    assert stored(mine, unrelated).state == "confirmed"
    assert stored(mine, revoked).state == "confirmed"
    assert rooms.rooms[target.room].occupants == {str(person): "member"}


def test_an_empty_reason_is_not_said(mine: Services, target: Target) -> None:
    with mine.database.begin() as db:
        order = commands.end(db, target, reason="", now=utc_now())

    assert order.args == {"room": target.room}


def test_a_message_is_said_now_or_not_at_all(
    mine: Services, rooms: MemoryRooms, target: Target
) -> None:
    person = uuid4()
    rooms.enter(target.room, str(person))
    rooms.enter(target.room, "another")

    assert commands.say(mine, room=target.room, text="Hello") == 2
    assert commands.say(mine, room=target.room, text="You", participant_id=person) == 1
    rooms.alive = False
    with pytest.raises(Unavailable):
        commands.say(mine, room=target.room, text="Nobody hears this")

    assert rooms.rooms[target.room].said == [(None, "Hello"), (str(person), "You")]
