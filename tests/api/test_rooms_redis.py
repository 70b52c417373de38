"""The way of an order through a real Redis: wanted once, in its time, by one clock."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.adapters.rooms_redis import QUEUE, RedisRooms
from app.errors import Unavailable
from app.ids import new_id
from app.localstack.process import wait_until
from app.localstack.supervisor import LocalStack
from app.ports import RoomOrder
from app.rooms import redis_keys
from tests.proxy import Proxy
from workers import gateway_commands
from workers.gateway import end_tasks

# An order that is carried out after all that lay there before it.
LAST = RoomOrder(new_id(), "last", {})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A Redis of this module's own."""
    with LocalStack(tmp_path_factory.mktemp("redis"), parts={"redis"}, durable=False) as stack:
        yield stack


@pytest.fixture
def redis(server: LocalStack) -> Iterator[Redis]:
    """An empty Redis, reached as the service does: what was not answered is tried once more."""
    client = client_of(server.redis.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def gateway_alive(redis: Redis) -> None:
    """A gateway's sign of life."""
    redis.set(redis_keys.ALIVE, "1")


class LosesAnswers(Proxy):
    """A network that carries an order to Redis, and then breaks. Its connections break each by
    itself: the next may be under way before the one before it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self._deaf: set[socket.socket] = set()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._pass_on(data, source, sink)
        except OSError:
            return

    def _pass_on(self, data: bytes, source: socket.socket, sink: socket.socket) -> None:
        if b"EVALSHA" in data:
            self._deaf.add(source)
            sink.sendall(data)
            time.sleep(0.05)
            self.reset()
        elif sink not in self._deaf:
            sink.sendall(data)


def client_of(url: str) -> Redis:
    """Return a client that repeats once, as `app.wiring` makes it."""
    return Redis.from_url(url, retry=Retry(NoBackoff(), 1))


def message() -> RoomOrder:
    """Return something to say."""
    return RoomOrder(new_id(), "message", {"room": "r", "text": "Hello"})


def kick() -> RoomOrder:
    """Return an order that is kept."""
    return RoomOrder(new_id(), "kick", {"room": "r", "participant_id": "p"})


def queue(redis: Redis, order: RoomOrder, *, ago_s: float = 0.0) -> None:
    """Put an order into the list as if it had been given some time ago, by Redis' clock."""
    content = orjson.dumps({"id": str(order.id), "name": order.name, "args": order.args})
    redis.lpush(redis_keys.COMMANDS, f"{now_of(redis) - ago_s:.6f} ".encode() + content)


def now_of(redis: Redis) -> float:
    """Return the time (Unix s) by Redis' clock."""
    seconds, micros = redis.time()
    return float(seconds + micros / 1e6)


def nothing() -> None:
    """Do nothing."""


def carried_out(redis: Redis, url: str, meanwhile: Callable[[], object] = nothing) -> list[str]:
    """Run a gateway, and something meanwhile, until it has had all that lies there; return the
    names of what it had the rooms do."""
    done: list[str] = []
    at_the_end = asyncio.Event()

    async def send(name: str, args: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        if name == LAST.name:
            at_the_end.set()
        else:
            done.append(name)
        return {"delivered": 1}

    async def story() -> None:
        link, ready = gateway_commands.connect(url), asyncio.Event()
        ready.set()
        pumping = asyncio.create_task(gateway_commands.pump(link, send, ready))
        await asyncio.to_thread(meanwhile)
        await asyncio.to_thread(queue, redis, LAST)
        async with asyncio.timeout(10):
            await at_the_end.wait()
            while len(others := asyncio.all_tasks() - {pumping, asyncio.current_task()}):
                await asyncio.wait(others)
        await end_tasks([pumping])
        await link.aclose()

    asyncio.run(story())
    return done


def test_a_message_without_a_gateway_is_left_for_nobody(redis: Redis) -> None:
    with pytest.raises(Unavailable) as refusal:
        RedisRooms(redis).execute(message(), timeout_s=0.2)

    assert refusal.value.code == "gateway_down"
    assert redis.llen(redis_keys.COMMANDS) == 0


def test_a_kept_order_without_a_gateway_waits_for_the_next(
    server: LocalStack, redis: Redis
) -> None:
    with pytest.raises(Unavailable):
        RedisRooms(redis).execute(kick(), timeout_s=0.2)

    assert carried_out(redis, server.redis.url) == ["kick"]


@pytest.mark.usefixtures("gateway_alive")
@pytest.mark.parametrize(("order", "later"), [(message(), []), (kick(), ["kick"])])
def test_what_was_answered_silent_is_not_said_later(
    server: LocalStack, redis: Redis, order: RoomOrder, later: list[str]
) -> None:
    with pytest.raises(Unavailable) as refusal:
        RedisRooms(redis).execute(order, timeout_s=0.2)

    assert refusal.value.code == "room_silent"
    assert carried_out(redis, server.redis.url) == later


@pytest.mark.usefixtures("gateway_alive")
def test_a_message_is_said_while_its_caller_waits(server: LocalStack, redis: Redis) -> None:
    heard: list[dict[str, Any]] = []
    caller = threading.Thread(
        target=lambda: heard.append(RedisRooms(redis).execute(message(), timeout_s=2))
    )
    caller.start()

    assert carried_out(redis, server.redis.url, lambda: caller.join(5)) == ["message"]

    assert heard == [{"delivered": 1}]


@pytest.mark.usefixtures("gateway_alive")
@pytest.mark.parametrize(
    ("order", "times", "later"), [(message(), 1, []), (kick(), 2, ["kick", "kick"])]
)
def test_a_message_whose_way_broke_is_neither_repeated_nor_said(
    server: LocalStack, redis: Redis, order: RoomOrder, times: int, later: list[str]
) -> None:
    redis.script_load(QUEUE)
    with LosesAnswers() as network:
        network.target_port = server.redis.port
        url = server.redis.url.replace(str(server.redis.port), str(network.port))
        with client_of(url) as broken, pytest.raises(Unavailable) as refusal:
            RedisRooms(broken).execute(order, timeout_s=2)

    assert refusal.value.code == "redis_unavailable"
    # What the network has taken may arrive a little later than the caller gives up.
    assert wait_until(lambda: redis.llen(redis_keys.COMMANDS) == times, 5)
    assert carried_out(redis, server.redis.url) == later


def test_the_same_message_lying_twice_is_said_once(server: LocalStack, redis: Redis) -> None:
    order = message()
    redis.set(f"{redis_keys.WANTED}{order.id}", "1")
    for _ in range(2):
        queue(redis, order)

    assert carried_out(redis, server.redis.url) == ["message"]


@pytest.mark.parametrize(("ago_s", "done"), [(-9.0, ["kick"]), (8.0, ["kick"]), (10.1, [])])
def test_how_long_an_order_is_wanted_is_counted_by_redis(
    server: LocalStack, redis: Redis, ago_s: float, done: list[str]
) -> None:
    queue(redis, kick(), ago_s=ago_s)

    assert carried_out(redis, server.redis.url) == done


def test_the_time_a_gateway_waited_counts(server: LocalStack, redis: Redis) -> None:
    """It asks Redis for the time, and then waits for an order."""

    def give_later() -> None:
        assert wait_until(lambda: redis.info("clients")["blocked_clients"] == 1, 5)
        began = now_of(redis)
        assert wait_until(lambda: now_of(redis) > began + 0.1, 5)
        queue(redis, kick(), ago_s=10.01)

    assert carried_out(redis, server.redis.url, give_later) == []


def test_an_order_nobody_wants_or_nobody_can_read_is_passed_over(
    server: LocalStack, redis: Redis
) -> None:
    without_time = orjson.dumps({"id": "s", "name": "end", "args": {"room": "r"}})
    redis.lpush(redis_keys.COMMANDS, b"nonsense", b"[]", without_time)
    queue(redis, message())

    assert carried_out(redis, server.redis.url) == []

    assert redis.llen(redis_keys.COMMANDS) == 0
    assert redis.exists(f"{redis_keys.REPLY}s") == 0
