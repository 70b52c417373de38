"""How many threads of a process may wait for other people's services at once.

An API process has few threads, and joins need one each. When a hospital's directory and its
identity provider are slow, bookings and sign-ins get a refusal instead of the last thread.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from app.errors import Unavailable

# Whoever waits for longer than that waits for a slow one, and others no longer wait for that.
SLOW_AFTER_S = 0.25


class Bulkhead:
    """A third of a process' threads, shared by all that asks outside while somebody waits."""

    def __init__(self, threads: int) -> None:
        self._places = max(1, threads // 3)
        self._taken_at: list[float] = []
        self._changed = Condition()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while asking; wait for one as long as others give theirs back soon.

        Raises:
            Unavailable: all are taken by others who wait for a slow one.
        """
        taken_at = self._take()
        try:
            yield
        finally:
            with self._changed:
                self._taken_at.remove(taken_at)
                self._changed.notify()

    def _take(self) -> float:
        with self._changed:
            while len(self._taken_at) >= self._places:
                left_s = min(self._taken_at) + SLOW_AFTER_S - time.monotonic()
                if left_s <= 0:
                    raise Unavailable("Others wait for an answer already.", code="no_answer")
                self._changed.wait(left_s)
            now = time.monotonic()
            self._taken_at.append(now)
            return now
