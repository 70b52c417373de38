"""Orders reach the real rooms: API and tests → Redis → gateway → Prosody → client."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import orjson
import psutil
import pytest
import requests
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from app.adapters.rooms_redis import RedisRooms
from app.clock import utc_now
from app.errors import Conflict, Unavailable
from app.ids import new_id
from app.localstack import LocalStack, names
from app.localstack.process import wait_until
from app.localstack.services import Service
from app.participants.models import Attendance, Participant
from app.ports import RoomOrder
from app.rooms import commands, redis_keys
from app.rooms.commands import Target
from app.rooms.models import RoomCommand
from app.services import Services
from tests.conftest import services_of
from tests.localstack.xmpp import Client
from tests.stack_client import StackClient

FOCUS_REQUEST = '<conference xmlns="http://jitsi.org/protocol/focus" room="{}" machine-uid="x"/>'
MUC_USER = "{http://jabber.org/protocol/muc#user}"
LARGEST_GATEWAY_MB = 80
BACK_WITHIN_S = 10.0
# A process that starts beside whatever else the machine does; nothing is claimed about it.
STARTED_WITHIN_S = 30.0
# PostgreSQL lets go of the lock of who says nothing for 10 s.
FROZEN_FOR_S = 40.0


@pytest.fixture(scope="module")
def services(stack: LocalStack) -> Iterator[Services]:
    """The collaborators of the running stack, for this process."""
    built = services_of(stack)
    yield built
    built.database.dispose()
    built.redis.close()


@pytest.fixture(autouse=True)
def gateway(stack: LocalStack, services: Services) -> Service:
    """The running gateway, well before every test."""
    part = stack.part("gateway")
    assert isinstance(part, Service)
    if not part.is_alive:
        part.restart()
    assert wait_until(services.rooms.gateway_is_alive, BACK_WITHIN_S)
    return part


class Seat:
    """A person invited to a session, with the token of their link."""

    def __init__(self, hospital: StackClient, session: dict[str, Any], role: str) -> None:
        self.session, self.role = session, role
        invited = hospital.invite(session, role)
        self.id, self.link = invited["id"], invited["link"]
        self.room = f"{session['room_name']}@{names.MUC}"
        self._api = hospital.url

    def token(self) -> str:
        """Exchange the link, as the page does; a patient waits until the doctor is inside."""
        eventually(lambda: self._exchange()["state"] == "ready")
        return str(self._exchange()["jwt"])

    def _exchange(self) -> dict[str, Any]:
        code = self.link.rpartition("/")[2]
        answer = requests.post(f"{self._api}/j/{code}/token", json={}, timeout=10)
        return dict(answer.json())


class Guest(Client):
    """A person's browser, as far as XMPP is concerned."""

    def __init__(self, http_port: int, seat: Seat) -> None:
        super().__init__(http_port)
        self.seat = seat
        self._url += f"?room={seat.session['room_name']}&token={seat.token()}"

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave; a server that is gone needs no good-bye."""
        try:
            await super().__aexit__(kind, error, trace)
        except OSError:
            await self._link.close()
            await self._http.close()

    async def enter(self) -> None:
        """Ask for the conference and join the room."""
        await self.ask(names.FOCUS, FOCUS_REQUEST.format(self.seat.room))
        nick = self.jid.partition("@")[0][:8]
        answer = await self.join(self.seat.room, nick)
        assert answer.get("type") is None, ET.tostring(answer)

    async def until_out(self) -> set[str]:
        """Return the status codes of the presence that put this person out."""
        me = f"{self.seat.room}/{self.jid.partition('@')[0][:8]}"
        presence = await self.until(
            lambda stanza: stanza.get("type") == "unavailable" and stanza.get("from") == me
        )
        return {str(status.get("code")) for status in presence.iter(f"{MUC_USER}status")}


@asynccontextmanager
async def inside(stack: LocalStack, seat: Seat) -> AsyncIterator[Guest]:
    """A person in the room."""
    async with Guest(stack.ports["prosody_http"], seat) as guest:
        await guest.enter()
        yield guest


@pytest.fixture
def doctor(hospital: StackClient) -> Seat:
    """The doctor of a session of this test's own."""
    return Seat(hospital, hospital.session(), "doctor")


def target(services: Services, seat: Seat) -> Target:
    """Return the room of a seat as orders name it."""
    with services.database.begin() as db:
        person = db.get_one(Participant, UUID(seat.id))
    return Target(person.organisation_id, person.session_id, seat.session["room_name"])


def execute(services: Services, name: str, **args: Any) -> dict[str, Any]:
    """Give one order and wait for the room."""
    return services.rooms.execute(RoomOrder(new_id(), name, args), timeout_s=2)


def attendance(services: Services, seat: Seat) -> list[Attendance]:
    """Return a person's stays, oldest first."""
    with services.database.begin() as db:
        mine = select(Attendance).where(Attendance.participant_id == UUID(seat.id))
        return list(db.scalars(mine.order_by(Attendance.joined_at)))


def eventually(condition: Callable[[], bool], within_s: float = BACK_WITHIN_S) -> None:
    """Wait for a condition."""
    assert wait_until(condition, within_s)


def works(services: Services) -> bool:
    """Tell whether the way to the rooms is open."""
    try:
        execute(services, "rooms")
    except Unavailable:
        return False
    return True


async def in_thread(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run blocking code beside the client's event loop."""
    return await asyncio.to_thread(work, *args, **kwargs)


def test_a_kick_reaches_the_client_and_is_confirmed(
    stack: LocalStack, services: Services, doctor: Seat
) -> None:
    async def story() -> None:
        async with inside(stack, doctor) as guest:
            with services.database.begin() as db:
                where = target(services, doctor)
                order = commands.kick(
                    db, where, participant_id=UUID(doctor.id), reason="Go.", now=utc_now()
                )
            assert await in_thread(commands.carry_out, services, order, now=utc_now())
            assert "307" in await guest.until_out()
            with services.database.begin() as db:
                stored = db.get_one(RoomCommand, order.id)
            assert (stored.state, stored.result) == ("confirmed", {"present": True, "kicked": 1})

    asyncio.run(story())
    eventually(lambda: [s.leave_reason for s in attendance(services, doctor)] == ["kicked"])


def test_the_end_of_a_session_empties_its_room(
    stack: LocalStack, services: Services, hospital: StackClient, doctor: Seat
) -> None:
    async def story() -> None:
        async with inside(stack, doctor) as guest:
            path = f"/sessions/{doctor.session['id']}/end"
            answer = await in_thread(hospital.call, "POST", path)
            assert answer.status_code == 200, answer.text
            await guest.until_out()

    asyncio.run(story())
    eventually(lambda: [s.leave_reason for s in attendance(services, doctor)] == ["ended"])


def test_rights_and_messages_reach_a_person_in_the_room(
    stack: LocalStack, services: Services, hospital: StackClient, doctor: Seat
) -> None:
    patient = Seat(hospital, doctor.session, "patient")
    room = doctor.session["room_name"]

    async def story() -> None:
        async with inside(stack, doctor), inside(stack, patient) as guest:
            answer = await in_thread(
                execute, services, "affiliate",
                room=room, participant_id=patient.id, affiliation="owner",
            )  # fmt: skip
            assert answer == {"present": True}
            await guest.until(lambda stanza: b'role="moderator"' in ET.tostring(stanza))
            assert await in_thread(commands.say, services, room=room, text="Tür <zu> & !") == 2
            await guest.until(lambda stanza: "Tür <zu> & " in "".join(stanza.itertext()))

    asyncio.run(story())


@pytest.mark.parametrize(
    ("name", "args"), [("nonsense", {}), ("kick", {"room": "r"}), ("end", {"room": 7})]
)
def test_the_rooms_refusal_is_told_apart_from_an_outage(
    services: Services, name: str, args: dict[str, Any]
) -> None:
    with pytest.raises(Conflict) as refusal:
        execute(services, name, **args)

    wanted = "feature-not-implemented" if name == "nonsense" else "bad-request"
    assert wanted in refusal.value.detail


def test_an_absent_person_and_an_unknown_room_are_no_errors(services: Services) -> None:
    nobody = str(new_id())

    assert execute(services, "kick", room="nowhere", participant_id=nobody, ban=True) == {
        "present": False,
        "kicked": 0,
    }
    assert execute(services, "end", room="nowhere") == {"existed": False}


def test_many_orders_at_once_are_all_answered(services: Services) -> None:
    async def story() -> list[dict[str, Any]]:
        orders = [in_thread(execute, services, "end", room=f"nowhere{n}") for n in range(200)]
        return list(await asyncio.gather(*orders))

    assert asyncio.run(story()) == [{"existed": False}] * 200


def test_the_gateway_comes_back_when_prosody_was_killed(
    stack: LocalStack, services: Services, doctor: Seat
) -> None:
    async def story() -> None:
        async with inside(stack, doctor):
            await in_thread(eventually, lambda: len(attendance(services, doctor)) == 1)
            stack.prosody.kill()

    asyncio.run(story())
    stack.prosody.start()

    eventually(lambda: works(services))
    eventually(lambda: attendance(services, doctor)[0].leave_reason == "disconnected")


def test_the_gateway_outlives_redis(stack: LocalStack, services: Services) -> None:
    stack.redis.kill()
    with pytest.raises(Unavailable):
        execute(services, "rooms")
    assert not services.rooms.gateway_is_alive()

    stack.redis.start()

    eventually(lambda: works(services))


def test_the_gateway_outlives_postgresql(
    stack: LocalStack, services: Services, gateway: Service
) -> None:
    process = gateway.pid
    unanswered = gateway.log.read_bytes().count(b"gateway_lock_unavailable")
    stack.postgres.kill()
    eventually(lambda: gateway.log.read_bytes().count(b"gateway_lock_unavailable") > unanswered)
    assert works(services)

    stack.postgres.start()

    eventually(lambda: holders(services) == 1)
    assert works(services)
    assert gateway.pid == process


def holders(services: Services) -> int:
    """Return how many hold the gateway's lock; 0 while the database is away."""
    query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7230903")
    try:
        with services.database.statements() as db:
            return int(db.scalar(query) or 0)
    except DBAPIError:
        return 0


@pytest.fixture
def second(stack: LocalStack, tmp_path: Path) -> Iterator[Service]:
    """Another gateway, waiting behind the first."""
    other = Service("gateway", tmp_path / "second", stack.environment)
    other.begin()
    try:
        eventually(lambda: b"gateway_waiting" in other.log.read_bytes(), STARTED_WITHIN_S)
        yield other
    finally:
        other.stop()


def test_another_gateway_takes_over_within_seconds(
    services: Services, gateway: Service, second: Service
) -> None:
    gateway.kill()

    eventually(lambda: works(services), within_s=15)
    assert second.is_alive


def times_waiting(gateway: Service) -> int:
    """Return how often a gateway has begun to wait for its turn."""
    return gateway.log.read_bytes().count(b"gateway_waiting")


def test_another_gateway_takes_over_from_a_frozen_one(
    services: Services, gateway: Service, second: Service
) -> None:
    """Its connection to Prosody stays open; when it wakes up it finds its place taken."""
    waits = times_waiting(gateway)
    gateway.suspend()
    try:
        eventually(lambda: works(services), within_s=FROZEN_FOR_S)
    finally:
        gateway.resume()
    eventually(lambda: times_waiting(gateway) > waits, within_s=FROZEN_FOR_S)
    eventually(lambda: works(services))
    assert (second.is_alive, holders(services)) == (True, 1)


def test_an_order_heard_too_late_puts_nobody_out(
    stack: LocalStack, services: Services, doctor: Seat
) -> None:
    """Who was removed for a time that is over may be back."""

    async def story() -> None:
        async with inside(stack, doctor) as guest:
            late = {"ban": True, "ban_until": time.time() - 1}
            kick = {"room": doctor.session["room_name"], "participant_id": doctor.id, **late}
            assert await in_thread(execute, services, "kick", **kick) == {
                "present": False,
                "kicked": 0,
            }
            await guest.ask(names.DOMAIN, '<ping xmlns="urn:xmpp:ping"/>')

    asyncio.run(story())


def test_a_gateway_told_to_stop_leaves_in_order(services: Services, gateway: Service) -> None:
    process = psutil.Process(gateway.pid)

    process.send_signal(signal.SIGTERM)

    assert wait_until(lambda: not gateway.is_alive, 5)
    assert gateway.exit_code == 0
    assert services.redis.exists(redis_keys.ALIVE) == 0


def test_an_order_given_without_a_gateway_is_carried_out_later(
    stack: LocalStack, services: Services, gateway: Service, doctor: Seat
) -> None:
    async def story() -> None:
        async with inside(stack, doctor) as guest:
            gateway.kill()
            services.redis.delete(redis_keys.ALIVE)
            where = target(services, doctor)
            with services.database.begin() as db:
                order = commands.kick(
                    db, where, participant_id=UUID(doctor.id), reason="Go.", now=utc_now()
                )
            began = time.monotonic()
            assert not await in_thread(commands.carry_out, services, order, now=utc_now())
            assert time.monotonic() - began < 1.9  # and no 2
            services.redis.delete(redis_keys.COMMANDS)
            await in_thread(gateway.start)
            await in_thread(eventually, lambda: is_confirmed(services, order), within_s=20)
            await guest.until_out()

    asyncio.run(story())


def is_confirmed(services: Services, order: RoomOrder) -> bool:
    """Tell whether the room has confirmed an order."""
    with services.database.begin() as db:
        return db.get_one(RoomCommand, order.id).state == "confirmed"


def test_what_was_lost_is_repaired_after_a_reconnect(
    stack: LocalStack, services: Services, gateway: Service, doctor: Seat
) -> None:
    async def story() -> None:
        async with inside(stack, doctor):
            await in_thread(eventually, lambda: len(attendance(services, doctor)) == 1)
            lose_the_join(services, doctor)
            gateway.kill()
            await in_thread(gateway.start)
            await in_thread(eventually, lambda: len(attendance(services, doctor)) == 2)
            assert attendance(services, doctor)[1].left_at is None

    asyncio.run(story())


def lose_the_join(services: Services, seat: Seat) -> None:
    """Leave the database as if the join had never been told."""
    with services.database.begin() as db:
        values = {"person": UUID(seat.id)}
        db.execute(
            text(
                "UPDATE teleconference.attendance SET joined_at = now() - interval '1 hour',"
                " left_at = now() - interval '1 hour' WHERE participant_id = :person"
            ),
            values,
        )
        db.execute(
            text("UPDATE teleconference.participants SET state = 'left' WHERE id = :person"),
            values,
        )


def test_an_unwanted_or_unreadable_order_is_passed_over(services: Services) -> None:
    unwanted = {"id": "s", "name": "end", "args": {"room": "r"}}
    for message in (b"nonsense", b"[]", orjson.dumps(unwanted)):
        services.redis.lpush(redis_keys.COMMANDS, message)

    assert works(services)
    assert services.redis.exists(f"{redis_keys.REPLY}s") == 0


def test_the_gateway_is_small(gateway: Service) -> None:
    resident_mb = psutil.Process(gateway.pid).memory_info().rss / 1e6

    assert resident_mb < LARGEST_GATEWAY_MB


def test_the_adapter_is_the_one_the_service_uses(services: Services) -> None:
    assert isinstance(services.rooms, RedisRooms)
