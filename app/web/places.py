"""The few threads of a process that carry files: who has a place, and who waits for one."""

from collections import Counter
from collections.abc import Callable
from threading import Condition
from time import monotonic

from app.errors import Unavailable

COME_BACK_S = 2


class Places:
    """A third of a process' threads, one at least. Who is named holds at most half of them.

    While another third of the threads wait for a place, nobody else does, and without a third to
    spare nobody waits at all: what is left answers everything.
    """

    def __init__(self, threads: int) -> None:
        self._free = max(1, threads // 3)
        self._most_of_one = max(1, self._free // 2)
        self._may_wait = threads // 3 if threads > 2 else 0
        self.waiting = 0
        self._held: Counter[str] = Counter()
        self._changed = Condition()

    def take(self, holder: str = "", *, wait_s: float = 0.0) -> "Place":
        """Return a place, which must be left.

        Args:
            holder: whose it is; '' counts for nobody.
            wait_s: how long to wait until one is free.

        Raises:
            Unavailable: none is, or they hold as many as one may.
        """
        until = monotonic() + wait_s
        with self._changed:
            if self.waiting < self._may_wait:
                self.waiting += 1
                while not self._is_free_for(holder) and (left_s := until - monotonic()) > 0:
                    self._changed.wait(left_s)
                self.waiting -= 1
            if not self._is_free_for(holder):
                raise Unavailable(
                    "Many files are on their way just now; try again.",
                    code="streams_busy",
                    retry_after_s=COME_BACK_S,
                )
            self._free -= 1
            self._held[holder] += 1
        return Place(lambda: self._give_back(holder))

    def _is_free_for(self, holder: str) -> bool:
        return self._free > 0 and not (holder and self._held[holder] >= self._most_of_one)

    def _give_back(self, holder: str) -> None:
        with self._changed:
            self._free += 1
            self._held[holder] -= 1
            self._held += Counter()  # forget who holds none
            self._changed.notify_all()


class Place:
    """One of them, until it is left."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = [leave]

    def leave(self) -> None:
        """Let the next one in; a second time does nothing."""
        if self._leave:
            self._leave.pop()()
