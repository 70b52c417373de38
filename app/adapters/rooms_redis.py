"""The live rooms, reached through Redis and the gateway (see `workers.gateway_commands`)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from app.errors import Conflict, Unavailable
from app.ports import RoomOrder
from app.rooms import redis_keys

# Without any gateway the list goes away by itself instead of growing.
COMMANDS_KEPT_S = 60


class RedisRooms:
    """Sends orders to the gateway and waits for its answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def execute(self, order: RoomOrder, *, timeout_s: float) -> dict[str, Any]:
        """See `app.ports.Rooms`. Without a sign of life the order is left for the next gateway,
        but nobody waits for it."""
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.lpush(redis_keys.COMMANDS, _message(order))
            pipeline.expire(redis_keys.COMMANDS, COMMANDS_KEPT_S)
            pipeline.exists(redis_keys.ALIVE)
            if not pipeline.execute()[-1]:
                raise Unavailable("No gateway to the rooms is running.", code="gateway_down")
            reply = self._redis.brpop([f"{redis_keys.REPLY}{order.id}"], timeout=timeout_s)
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


def _message(order: RoomOrder) -> bytes:
    return orjson.dumps(
        {"id": str(order.id), "name": order.name, "args": order.args, "queued_at": time.time()}
    )


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
