"""When the processes act: the stop signal, periodic work, and the delays between attempts."""

import os
import random
import select
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

import structlog

log = structlog.get_logger()

FIRST_RETRY_S = 5.0
LAST_RETRY_S = 12 * 3600.0
FIRST_RECONNECT_S = 0.2
LAST_RECONNECT_S = 5.0
JITTER = 0.2


class Stop:
    """Set by SIGTERM or SIGINT. Has a file descriptor, so that a `select` on others wakes up."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def install(self) -> None:
        """Catch SIGTERM and SIGINT from now on; only the main thread may do this."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def set(self) -> None:
        """Ask the process to end."""
        if not self.event.is_set():
            self.event.set()
            os.write(self._writer, b".")

    def is_set(self) -> bool:
        """Tell whether the process was asked to end."""
        return self.event.is_set()

    def fileno(self) -> int:
        """Return the descriptor that is readable once the process was asked to end."""
        return self._reader

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than until the process is asked to end."""
        select.select([self._reader], [], [], seconds)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.set()


class Every:
    """Work that is due at once and then again after each interval, measured from its end."""

    def __init__(self, interval_s: float, work: Callable[[], object]) -> None:
        self._interval_s = interval_s
        self._work = work
        self._due_at = 0.0

    def run_if_due(self) -> None:
        """Do the work if its time has come; when it raises, it is due again after the interval."""
        if time.monotonic() < self._due_at:
            return
        try:
            self._work()
        finally:
            self._due_at = time.monotonic() + self._interval_s


class Backoff:
    """Growing pauses between attempts to reach a server again."""

    def __init__(self) -> None:
        self._next_s = FIRST_RECONNECT_S

    def reset(self) -> None:
        """Begin anew after a success."""
        self._next_s = FIRST_RECONNECT_S

    def next_s(self) -> float:
        """Return the pause before the next attempt, in seconds."""
        pause, self._next_s = self._next_s, min(2 * self._next_s, LAST_RECONNECT_S)
        return jittered(pause)


def repeat_in_thread(
    name: str, work: Callable[[], object], *, interval_s: float, stop: Stop
) -> None:
    """Do the work at once and after each interval until stopped, whatever it raises, in a thread
    of its own. It need not finish when the process ends: such work can be done twice."""

    def run() -> None:
        _repeat(work, interval_s=interval_s, stop=stop, name=name)

    threading.Thread(target=run, name=name, daemon=True).start()


def _repeat(work: Callable[[], object], *, interval_s: float, stop: Stop, name: str) -> None:
    is_failing = False
    while not stop.is_set():
        try:
            work()
            is_failing = False
        except Exception as error:  # noqa: BLE001 - that is what it is for
            if not is_failing:  # once per outage, not once per second
                log.warning("periodic_work_failed", work=name, kind=type(error).__name__)
            is_failing = True
        stop.sleep(interval_s)


def retry_delay_s(attempt: int, attempts: int) -> float | None:
    """Return the pause after a failed attempt in seconds, or None when it was the last one.

    The pauses grow by a constant factor from 5 seconds to 12 hours, whatever their number, and
    vary by a fifth, so that what failed together is not tried together.
    """
    if attempt >= attempts:
        return None
    steps = max(1, attempts - 2)
    return jittered(FIRST_RETRY_S * (LAST_RETRY_S / FIRST_RETRY_S) ** ((attempt - 1) / steps))


def jittered(seconds: float) -> float:
    """Return a duration that differs from the given one by up to a fifth."""
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
