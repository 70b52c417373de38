"""The memory twin of the live rooms refuses what the real ones refuse."""

import pytest

from app.adapters.memory import MemoryRooms
from app.errors import Conflict, Unavailable
from app.ids import new_id
from app.ports import RoomOrder


def order(name: str, **args: object) -> RoomOrder:
    return RoomOrder(new_id(), name, args)


def test_a_banned_person_cannot_enter_again() -> None:
    rooms = MemoryRooms()
    rooms.enter("r", "p")

    result = rooms.execute(order("kick", room="r", participant_id="p", ban=True), timeout_s=1)

    assert result == {"present": True, "kicked": 1}
    with pytest.raises(Conflict):
        rooms.enter("r", "p")


@pytest.mark.parametrize(
    "refused", [order("nonsense"), order("kick"), order("end", room="r", other=1)]
)
def test_an_unknown_order_or_argument_is_refused(refused: RoomOrder) -> None:
    with pytest.raises(Conflict):
        MemoryRooms().execute(refused, timeout_s=1)


def test_without_a_gateway_nothing_is_confirmed() -> None:
    rooms = MemoryRooms()
    rooms.alive = False

    with pytest.raises(Unavailable):
        rooms.execute(order("rooms"), timeout_s=1)
    assert not rooms.gateway_is_alive()
