"""Turns in Redis, by its client's own lock: one process at a time does a thing. Without Redis
everybody does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from app.ports import GoOn, Turns

log = structlog.get_logger()

PREFIX = "teleconsult:turns"
# A dead process' turn ends after this; a living one says three times as often that it lives.
LASTS_S = 9.0


class RedisTurns(Turns):
    """Implements `ports.Turns`.

    Args:
        renewed_after_s: a holder who goes on says so this seldom.
    """

    def __init__(self, redis: Redis, *, renewed_after_s: float = LASTS_S / 3) -> None:
        self._redis = redis
        self._renewed_after_s = renewed_after_s

    @contextmanager
    def turn(self, name: str) -> Iterator[GoOn | None]:
        """Hold it while the block runs; see the port."""
        lock = self._redis.lock(
            f"{PREFIX}:{name}", timeout=LASTS_S, blocking=False, thread_local=False
        )
        try:
            is_mine = lock.acquire()
        except RedisError as error:
            log.warning("turns_off", kind=type(error).__name__)
            yield _nothing
            return
        if not is_mine:
            yield None
            return
        try:
            yield _renewing(lock, self._renewed_after_s)
        finally:
            with suppress(LockError, RedisError):  # then it ends by itself
                lock.release()


def _renewing(lock: Lock, after_s: float) -> GoOn:
    told_at = time.monotonic()

    def go_on() -> None:
        nonlocal told_at
        if time.monotonic() - told_at < after_s:
            return
        told_at = time.monotonic()
        with suppress(LockError, RedisError):
            lock.reacquire()

    return go_on


def _nothing() -> None:
    """There is nobody to tell."""
