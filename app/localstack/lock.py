"""One stack per data folder, and no stack before the former one's processes are gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from app.localstack.process import wait_until

FORMER_PROCESSES_WITHIN_S = 20.0


class AlreadyRunning(RuntimeError):
    """Another process runs a stack on this data folder."""


class FolderLock:
    """Two locks on a data folder: one for the supervisor, one that its children inherit.

    After `kill -9` of a supervisor the first is free at once, the second when the last child has
    gone; only then may the same files be opened again (two Redis on one append-only file would
    destroy it).
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._supervisor: int | None = None
        self.children: int | None = None

    def acquire(self) -> None:
        """Take both locks.

        Raises:
            AlreadyRunning: a supervisor runs, or processes of a former one do not end.
        """
        self._supervisor = _open(self._data_dir / "lock")
        self.children = _open(self._data_dir / "lock.children")
        if not _lock(self._supervisor):
            self.release()
            raise AlreadyRunning(
                f"A Teleconsult stack already runs on {self._data_dir}. "
                "Stop it first, or choose another --data-dir."
            )
        children = self.children
        if not wait_until(lambda: _lock(children), FORMER_PROCESSES_WITHIN_S):
            self.release()
            raise AlreadyRunning(
                f"Processes of a former stack on {self._data_dir} have not ended yet. "
                "Try again in a moment."
            )

    def release(self) -> None:
        """Let go of both locks; the second stays with children that still run."""
        for descriptor in (self._supervisor, self.children):
            if descriptor is not None:
                os.close(descriptor)
        self._supervisor = self.children = None


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(descriptor: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
