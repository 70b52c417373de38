"""The gateway's side of Redis: orders in, answers and signs of life out."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.rooms import redis_keys

log = structlog.get_logger()

# Below the two seconds the API waits, so that it hears why.
ANSWER_WITHIN_S = 1.8
REPLY_KEPT_S = 30
# More would not be faster in Prosody; what waits in Redis can still be taken by another gateway.
MOST_AT_ONCE = 50
POLL_S = 1.0
PICTURE_KEPT_S = 30
SIGN_OF_LIFE_EVERY_S = 1.0
SIGN_OF_LIFE_KEPT_MS = 3500
PAUSE_WITHOUT_REDIS_S = 0.5


class CommandFailed(Exception):
    """A room command was not carried out. `retryable` tells whether repeating it may help."""

    def __init__(self, reason: str, *, retryable: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Command:
    """One order as it lies in Redis, given at a time (Unix s) by Redis' clock."""

    id: str
    name: str
    args: dict[str, Any]
    given_at: float


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken from the list, and when, by Redis' clock."""

    message: bytes
    at: float


# Sends a command to Prosody (name, args, seconds to wait) and returns its answer.
Send = Callable[[str, dict[str, Any], float], Awaitable[dict[str, Any]]]


def connect(url: str) -> Redis:
    """Return a client that notices a dead server within seconds."""
    return Redis.from_url(
        url, socket_connect_timeout=2, socket_timeout=POLL_S + 4, socket_keepalive=True
    )


async def pump(redis: Redis, send: Send, ready: asyncio.Event) -> None:
    """Carry out orders for ever, up to fifty at once, while there is a connection to Prosody.

    Orders are only taken out of Redis when they can be tried at once. One that is lost here with
    the process is repeated by the relay's sweep.
    """
    slots = asyncio.Semaphore(MOST_AT_ONCE)
    # With a connection of its own: giving it back would come before the order is carried out.
    async with aclosing(redis.client()) as line, asyncio.TaskGroup() as running:
        while True:
            await ready.wait()
            await slots.acquire()
            taken = await _take(line)
            if taken is None:
                slots.release()
                continue
            task = running.create_task(_serve(redis, send, taken))
            task.add_done_callback(lambda _: slots.release())
            await asyncio.sleep(0)  # it goes on its way before the next is asked for


async def show_life(redis: Redis, ready: asyncio.Event) -> None:
    """Keep the sign of life while there is a connection to Prosody."""
    while True:
        await ready.wait()
        try:
            await redis.set(redis_keys.ALIVE, "1", px=SIGN_OF_LIFE_KEPT_MS)
        except RedisError:
            log.warning("gateway_redis_unavailable")
        await asyncio.sleep(SIGN_OF_LIFE_EVERY_S)


async def show_picture(redis: Redis, answer: dict[str, Any], *, asked_at: float) -> None:
    """Leave the real occupants of all rooms for the relay to compare; the newest is enough."""
    picture = orjson.dumps({"asked_at": asked_at, "answer": answer})
    await redis.set(redis_keys.PICTURE, picture, ex=PICTURE_KEPT_S)


async def end_life(redis: Redis) -> None:
    """Take the sign of life away, so that nobody waits for an answer."""
    try:
        await redis.delete(redis_keys.ALIVE)
    except RedisError:
        log.warning("gateway_redis_unavailable")


async def _take(redis: Redis) -> Taken | None:
    asked_at = time.monotonic()
    try:
        # Asked first: an order that comes while we wait is not held up by it.
        seconds, micros = await redis.time()
        item: Any = await redis.brpop([redis_keys.COMMANDS], timeout=POLL_S)
    except RedisError:
        log.warning("gateway_redis_unavailable")
        await asyncio.sleep(PAUSE_WITHOUT_REDIS_S)
        return None
    if item is None:
        return None
    return Taken(item[1], seconds + micros / 1e6 + time.monotonic() - asked_at)


async def _serve(redis: Redis, send: Send, taken: Taken) -> None:
    command = _read(taken.message)
    if command is None:
        return
    if not await _is_wanted(redis, command, taken.at):
        log.warning("gateway_order_passed_over", order_id=command.id)
        return
    answer = await _answer(send, command)
    key = f"{redis_keys.REPLY}{command.id}"
    try:
        pipeline = redis.pipeline(transaction=False)
        pipeline.lpush(key, orjson.dumps(answer))
        pipeline.expire(key, REPLY_KEPT_S)
        await pipeline.execute()
    except RedisError:
        log.warning("gateway_answer_lost", order_id=command.id)


def _read(message: bytes) -> Command | None:
    try:
        given_at, _, content = message.partition(b" ")
        order = orjson.loads(content)
        return Command(str(order["id"]), str(order["name"]), order["args"], float(given_at))
    except (ValueError, KeyError, TypeError):
        log.warning("gateway_order_unreadable", size_bytes=len(message))
        return None


async def _is_wanted(redis: Redis, command: Command, now: float) -> bool:
    """Tell whether to carry an order out. What waited too long is not: the sweep repeats it. What
    may be said only once is claimed, and so passed over when nobody expects it any more."""
    if command.name not in redis_keys.FLEETING:
        return now - command.given_at < redis_keys.WANTED_S
    try:
        return await redis.getdel(f"{redis_keys.WANTED}{command.id}") is not None
    except RedisError:
        return False


async def _answer(send: Send, command: Command) -> dict[str, Any]:
    try:
        result = await send(command.name, command.args, ANSWER_WITHIN_S)
    except CommandFailed as failure:
        log.warning("gateway_order_failed", order_id=command.id, reason=failure.reason)
        return {"ok": False, "error": failure.reason, "retryable": failure.retryable}
    return {"ok": True, "result": result}
