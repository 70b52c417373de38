"""How many threads of a process may wait for other people's services at once.

An API process has few threads, and joins need one each. When a hospital's directory and its
identity provider are slow, bookings and sign-ins get a refusal instead of the last thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from app.errors import Unavailable

# A healthy service gives its place back before that.
PATIENCE_S = 0.25


class Bulkhead:
    """Half of a process' threads, shared by all that asks outside while somebody waits."""

    def __init__(self, threads: int) -> None:
        self._places = BoundedSemaphore(max(1, threads // 2))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while asking.

        Raises:
            Unavailable: all are taken, by others who wait already.
        """
        if not self._places.acquire(timeout=PATIENCE_S):
            raise Unavailable("Others wait for an answer already.", code="no_answer")
        try:
            yield
        finally:
            self._places.release()
