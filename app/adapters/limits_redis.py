"""Counts in Redis, by the `limits` library: one round trip each, and without Redis none."""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import structlog
from limits.storage import RedisStorage
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from app.clock import utc_now
from app.ports import Allowance

log = structlog.get_logger()

PREFIX = "teleconsult:limits"
# A count is not worth waiting for.
TIMEOUT_S = 0.2
AWAY_FOR_S = 5.0
MOST_KEYS = 10_000


class Ahead:
    """What was counted in Redis and has not happened yet: the numbers of each key that are left.

    Threads that meet may lose some. Then fewer things may happen in that window.
    """

    def __init__(self) -> None:
        self._left: dict[str, tuple[str, deque[int]]] = {}

    def next(self, key: str, window: str) -> int | None:
        """Use up a number of this window, if there is one."""
        kept_of, numbers = self._left.get(key, ("", deque[int]()))
        if kept_of == window:
            with suppress(IndexError):
                return numbers.popleft()
        return None

    def first(self, key: str, window: str, numbers: range) -> int:
        """Use up the first of these numbers and keep the rest."""
        if len(self._left) >= MOST_KEYS:
            self._left.clear()
        self._left[key] = (window, deque(numbers[1:]))
        return numbers[0]


class RedisLimiter:
    """Implements `ports.Limiter` with fixed windows that begin at whole multiples of their length,
    so that the end of a window is known without asking."""

    def __init__(self, url: str) -> None:
        pool = ConnectionPool.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # An idle connection may have been closed by a restart.
            retry=Retry(NoBackoff(), 1),
        )
        self._storage = RedisStorage(url, connection_pool=pool, key_prefix=PREFIX)
        self._ahead = Ahead()
        self._is_away = False
        self._away_until = 0.0

    def hit(self, key: str, *, amount: int, window_s: int, ahead: int = 1) -> Allowance | None:
        """Count one more; see the port."""
        name, left = _window(key, window_s)
        used = self._ahead.next(key, name)
        if used is None:
            counted = self._asked(lambda: self._storage.incr(name, window_s, ahead))
            if counted is None:
                return None
            used = self._ahead.first(key, name, range(counted - ahead + 1, counted + 1))
        return Allowance(amount, window_s, used, left)

    def look(self, key: str, *, amount: int, window_s: int) -> Allowance | None:
        """Return what was counted; see the port."""
        name, left = _window(key, window_s)
        used = self._asked(lambda: self._storage.get(name))
        return None if used is None else Allowance(amount, window_s, used, left)

    def _asked(self, ask: Callable[[], int]) -> int | None:
        if self._is_away and time.monotonic() < self._away_until:
            return None
        try:
            count = ask()
        except RedisError as error:
            self._note_away(error)
            return None
        if self._is_away:
            self._is_away = False
            log.info("rate_limits_on")
        return count

    def _note_away(self, error: RedisError) -> None:
        self._away_until = time.monotonic() + AWAY_FOR_S
        if not self._is_away:
            self._is_away = True
            log.warning("rate_limits_off", kind=type(error).__name__)


def _window(key: str, window_s: int) -> tuple[str, int]:
    at = int(utc_now().timestamp())
    return f"{key}:{at // window_s}", window_s - at % window_s
