"""The live rooms, reached through Redis and the gateway (see `workers.gateway_commands`)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import orjson
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.exceptions import RedisError
from redis.retry import Retry

from app.errors import Conflict, Unavailable
from app.ports import RoomOrder
from app.rooms import redis_keys

# Without any gateway the list goes away by itself instead of growing.
COMMANDS_KEPT_S = 60
# Said in time or not at all. All other orders are harmless when they come late or twice.
FLEETING = frozenset({"message"})
# How long an order may wait for a gateway: the caller was told long ago that it is not done.
WANTED_S = 10.0
# The room's part of the time a caller waits.
ROOMS_PART = 0.1


class RedisRooms:
    """Sends orders to the gateway and waits for its answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def execute(self, order: RoomOrder, *, timeout_s: float) -> dict[str, Any]:
        """See `app.ports.Rooms`. A message leaves nothing behind when it is not said in time."""
        with _translated():
            if order.name in FLEETING:
                reply = self._say(order, timeout_s)
            else:
                reply = self._give(order, timeout_s)
        if reply is None:
            raise Unavailable("The room did not confirm in time.", code="room_silent")
        return _result(orjson.loads(reply[1]))

    def gateway_is_alive(self) -> bool:
        """See `app.ports.Rooms`. Without Redis there is no way to a gateway either."""
        try:
            with _translated():
                return bool(self._redis.exists(redis_keys.ALIVE))
        except Unavailable:
            return False

    def _give(self, order: RoomOrder, timeout_s: float) -> Any:
        """Without a sign of life the order is left for the next gateway, but nobody waits."""
        pipeline = self._redis.pipeline(transaction=False)
        _push(pipeline, order, WANTED_S)
        pipeline.exists(redis_keys.ALIVE)
        _require_gateway(pipeline.execute()[-1])
        return self._redis.brpop([_reply_key(order)], timeout=timeout_s)

    def _say(self, order: RoomOrder, timeout_s: float) -> Any:
        try:
            with _never_repeating(self._redis) as redis:
                return _ask_once(redis, order, timeout_s)
        except RedisError:
            # What came through all the same must not be said after this is told as a failure.
            with suppress(RedisError):
                self._redis.delete(f"{redis_keys.WANTED}{order.id}")
            raise


def _ask_once(redis: Redis, order: RoomOrder, timeout_s: float) -> Any:
    _require_gateway(redis.exists(redis_keys.ALIVE))
    pipeline = redis.pipeline(transaction=False)
    _push(pipeline, order, timeout_s * (1 - ROOMS_PART))
    pipeline.execute()
    return redis.brpop([_reply_key(order)], timeout=timeout_s)


def _push(pipeline: Pipeline, order: RoomOrder, wanted_s: float) -> None:
    """Mark the order as wanted and queue it; the mark first, since a gateway may wait for it."""
    message = orjson.dumps({"id": str(order.id), "name": order.name, "args": order.args})
    pipeline.set(f"{redis_keys.WANTED}{order.id}", "1", px=int(wanted_s * 1000))
    pipeline.lpush(redis_keys.COMMANDS, message)
    pipeline.expire(redis_keys.COMMANDS, COMMANDS_KEPT_S)


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


def _result(answer: dict[str, Any]) -> dict[str, Any]:
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
