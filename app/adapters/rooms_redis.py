"""The live rooms, reached through Redis and the gateway (see `workers.gateway_commands`)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import orjson
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from app.errors import Conflict, Unavailable
from app.ports import Report, RoomOrder
from app.rooms import redis_keys

# Without any gateway the list goes away by itself instead of growing.
COMMANDS_KEPT_S = 60
# The room's part of the time a caller waits.
ROOMS_PART = 0.1
# Queues an order with the time it was given, and tells whether a gateway lives: one way to Redis.
QUEUE = """
    local at = redis.call('TIME')
    redis.call('LPUSH', KEYS[1], string.format('%d.%06d ', at[1], at[2]) .. ARGV[1])
    redis.call('EXPIRE', KEYS[1], ARGV[2])
    return redis.call('EXISTS', KEYS[2])"""


class RedisRooms:
    """Sends orders to the gateway and waits for its answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queue = redis.register_script(QUEUE)

    def give(self, order: RoomOrder) -> Report:
        """See `app.ports.Rooms`. Without a sign of life the order is left for the next gateway, but
        nobody waits."""
        with _translated():
            _require_gateway(self._queued(order, self._redis))
        return lambda timeout_s: self._answer(order, timeout_s)

    def execute(self, order: RoomOrder, *, timeout_s: float) -> dict[str, Any]:
        """See `app.ports.Rooms`. A message leaves nothing behind when it is not said in time."""
        if order.name not in redis_keys.FLEETING:
            return self.give(order)(timeout_s)
        with _translated():
            return _result_of(self._say(order, timeout_s))

    def gateway_is_alive(self) -> bool:
        """See `app.ports.Rooms`. Without Redis there is no way to a gateway either."""
        try:
            with _translated():
                return bool(self._redis.exists(redis_keys.ALIVE))
        except Unavailable:
            return False

    def _answer(self, order: RoomOrder, timeout_s: float) -> dict[str, Any]:
        with _translated():
            return _result_of(self._redis.brpop([_reply_key(order)], timeout=timeout_s))

    def _queued(self, order: RoomOrder, redis: Redis) -> object:
        message = orjson.dumps({"id": str(order.id), "name": order.name, "args": order.args})
        keys = [redis_keys.COMMANDS, redis_keys.ALIVE]
        return self._queue(keys, [message, COMMANDS_KEPT_S], client=redis)

    def _say(self, order: RoomOrder, timeout_s: float) -> Any:
        try:
            with _never_repeating(self._redis) as redis:
                return self._said_once(redis, order, timeout_s)
        except RedisError:
            # What came through all the same must not be said after this is told as a failure.
            with suppress(RedisError):
                self._redis.delete(f"{redis_keys.WANTED}{order.id}")
            raise

    def _said_once(self, redis: Redis, order: RoomOrder, timeout_s: float) -> Any:
        _require_gateway(redis.exists(redis_keys.ALIVE))
        # First, since a gateway may wait for the order.
        wanted_ms = int(timeout_s * (1 - ROOMS_PART) * 1000)
        redis.set(f"{redis_keys.WANTED}{order.id}", "1", px=wanted_ms)
        self._queued(order, redis)
        return redis.brpop([_reply_key(order)], timeout=timeout_s)


def _reply_key(order: RoomOrder) -> str:
    return f"{redis_keys.REPLY}{order.id}"


def _require_gateway(is_alive: object) -> None:
    if not is_alive:
        raise Unavailable("No gateway to the rooms is running.", code="gateway_down")


@contextmanager
def _never_repeating(redis: Redis) -> Iterator[Redis]:
    """Yield a client that sends everything once: the usual one repeats what was not answered, and
    people would hear a message twice. Its connection is new, since an old one may have died."""
    pool = redis.connection_pool
    options = {**pool.connection_kwargs, "retry": Retry(NoBackoff(), 0)}
    with Redis.from_pool(ConnectionPool(pool.connection_class, **options)) as once:
        yield once


def _result_of(reply: Any) -> dict[str, Any]:
    if reply is None:
        raise Unavailable("The room did not confirm in time.", code="room_silent")
    answer = orjson.loads(reply[1])
    if answer["ok"]:
        return dict(answer["result"])
    if answer["retryable"]:
        raise Unavailable("The room cannot be reached now.", code="room_unreachable")
    raise Conflict(f"The room refused the order: {answer['error']}.", code="room_refused")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise Unavailable("Redis does not answer.", code="redis_unavailable") from error
