"""The gateway: carries the service's orders to Prosody, over XMPP.

Prosody connects to nobody and takes one connection per component, so the gateway is one process of
its own: it holds that connection, makes it again when Prosody was away, and after every connect and
every minute leaves a picture of the real rooms for the relay to compare.
"""

import asyncio
import logging
import signal
import time
from contextlib import suppress
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.observability import configure_logging
from app.settings import Settings
from workers.gateway_commands import (
    CommandFailed,
    connect,
    end_life,
    pump,
    show_life,
    show_picture,
)
from workers.gateway_link import RoomLink
from workers.gateway_lock import GatewayLock

log = structlog.get_logger()

PICTURE_EVERY_S = 60.0
PICTURE_AGAIN_S = 2.0
PICTURE_WITHIN_S = 10.0
CANCEL_AGAIN_S = 0.5


def run(settings: Settings) -> None:
    """Be the gateway of this environment until TERM or INT."""
    configure_logging(settings.log_level)
    # What slixmpp logs of errors quotes stanzas, and those may hold what people are told.
    logging.getLogger("slixmpp").setLevel(logging.CRITICAL)
    asyncio.run(_serve_until_told(settings))


async def _serve_until_told(settings: Settings) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await serve(settings, stopping)


async def serve(settings: Settings, stopping: asyncio.Event) -> None:
    """Take turns with other gateways until `stopping` is set."""
    lock = GatewayLock(settings.database_url)
    stop = asyncio.create_task(stopping.wait())
    while not stopping.is_set():
        log.info("gateway_waiting")
        if await _won(lock, stop):
            log.info("gateway_active")
            await _be_active(settings, lock, stop)
        lock.release()
    log.info("gateway_stopped")


async def _won(lock: GatewayLock, stop: "asyncio.Task[bool]") -> bool:
    """Wait for the lock, or for being told to stop; tell whether it was the lock."""
    acquiring = asyncio.create_task(lock.acquire())
    done, _ = await asyncio.wait([acquiring, stop], return_when=asyncio.FIRST_COMPLETED)
    acquiring.cancel()
    return acquiring in done and stop not in done


async def _be_active(settings: Settings, lock: GatewayLock, stop: "asyncio.Task[bool]") -> None:
    """Hold the connection until told to stop, or until another gateway has the lock."""
    link, redis = RoomLink(settings), connect(settings.redis_url)
    work = [
        asyncio.create_task(link.stay_connected()),
        asyncio.create_task(pump(redis, link.command, link.ready)),
        asyncio.create_task(show_life(redis, link.ready)),
        asyncio.create_task(_keep_picturing(redis, link)),
        asyncio.create_task(lock.keep()),
    ]
    try:
        done, _ = await asyncio.wait([*work, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # an error in one of them ends the process; its supervisor starts it anew
    finally:
        await end_tasks(work)
        await end_life(redis)
        await link.close()
        await redis.aclose()


async def end_tasks(tasks: "list[asyncio.Task[Any]]") -> None:
    """End the tasks. Libraries sometimes swallow a cancellation, so it is said until heard."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


async def _keep_picturing(redis: Redis, link: RoomLink) -> None:
    """Leave a picture of the rooms after every connect and every minute."""
    while True:
        await link.ready.wait()
        pause_s = PICTURE_EVERY_S if await _picture_left(redis, link) else PICTURE_AGAIN_S
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await link.lost.wait()


async def _picture_left(redis: Redis, link: RoomLink) -> bool:
    asked_at = time.time()
    try:
        answer = await link.command("rooms", {}, PICTURE_WITHIN_S)
        await show_picture(redis, answer, asked_at=asked_at)
    except (CommandFailed, RedisError) as error:
        log.warning("gateway_no_picture", kind=type(error).__name__)
        return False
    return True
