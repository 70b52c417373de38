"""One part of the stack: a child process with its folder, log, readiness probe and end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

PROBE_INTERVAL_S = 0.01
LOG_LINES_ON_FAILURE = 20

# Children see this and what their part adds, nothing else: a DATABASE_URL or PGHOST of the calling
# shell must not lead a part of the stack to somebody's real database.
PLAIN_ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
}

# PR_SET_PDEATHSIG fires when the THREAD that forked ends, so all children are forked by one thread
# that lives as long as the process; a stack may then be started or a part restarted from any
# thread.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="localstack-forker")


class PartFailed(RuntimeError):
    """A part did not start, or ended by itself; the text ends with its last log lines."""

    def __init__(self, part: str, reason: str, log: Path | None = None) -> None:
        self.part = part
        self.reason = reason
        self.log_lines = last_lines(log) if log else []
        shown = "".join(f"\n  | {line}" for line in self.log_lines)
        super().__init__(
            f"{part}: {reason}" + (f"\n  last lines of {log}:{shown}" if shown else "")
        )


@dataclass(frozen=True)
class Launch:
    """How to start one child."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    # Words put before argv, e.g. to leave root behind; they must exec, so that the process id stays
    # ours.
    prefix: Sequence[str] = ()
    keep_open: Sequence[int] = ()


class Part(ABC):
    """Base of all parts. A subclass says how it is launched and when it is ready."""

    name = "part"
    ready_within_s = 15.0
    stop_within_s = 10.0
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / f"{self.name}.log"
        self.keep_open: Sequence[int] = ()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def launch(self) -> Launch:
        """Return the command line and environment."""

    def prepare(self) -> None:  # noqa: B027 - few parts need it
        """Write configuration and data files; called before every start."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether the part serves requests; called until true or too late."""

    def finish(self) -> None:  # noqa: B027 - few parts need it
        """Do what must be done once the part is ready."""

    def begin(self) -> None:
        """Start the process and return at once.

        Raises:
            PartFailed: it runs already, or could not be executed.
        """
        if self.is_alive:
            raise PartFailed(self.name, "is already running")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        try:
            _forker.submit(self._fork, self.launch()).result()
        except OSError as error:
            raise PartFailed(self.name, f"could not be executed: {error}") from error

    def wait_ready(self) -> None:
        """Block until the part is ready.

        Raises:
            PartFailed: it ended, or was not ready within `ready_within_s`.
        """
        deadline = time.monotonic() + self.ready_within_s
        while not self.is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise PartFailed(
                    self.name, f"was not ready within {self.ready_within_s:g} s", self.log
                )
            time.sleep(PROBE_INTERVAL_S)
        self.check()
        self.finish()

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        self.begin()
        self.wait_ready()

    def check(self) -> None:
        """Raise PartFailed when the process is not running."""
        if not self.is_alive:
            raise PartFailed(self.name, _how_it_ended(self.exit_code), self.log)

    def stop(self) -> None:
        """End the process if it runs: ask, wait `stop_within_s`, then kill."""
        # Ctrl-C may have come while the other thread was forking: let it finish, or the child is
        # lost.
        _forker.submit(_nothing).result()
        self._signal(self.stop_signal)
        self.resume()  # a frozen process hears nothing
        if not self._wait(self.stop_within_s):
            self.kill()
        self._reap()

    def kill(self) -> None:
        """End the process and what it started at once, with SIGKILL, as a crash would."""
        self._signal(signal.SIGKILL, group=True)
        self._wait(self.stop_within_s)
        self._reap()

    def restart(self) -> None:
        """Stop the process if it runs and start it again on the same port and data."""
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Freeze the process and what it started (SIGSTOP)."""
        self._signal(signal.SIGSTOP, group=True)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._signal(signal.SIGCONT, group=True)

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self._process.pid if self._process and self.is_alive else None

    @property
    def is_alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process is not None and not _has_ended(self._process)

    @property
    def exit_code(self) -> int | None:
        """Exit status of the last run (negative: the signal); None while running."""
        return self._process.poll() if self._process else None

    def _fork(self, launch: Launch) -> None:
        dies_with_us = ("setpriv", "--pdeathsig", self.stop_signal.name.removeprefix("SIG"), "--")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*launch.prefix, *dies_with_us, *launch.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**PLAIN_ENVIRONMENT, **launch.env},
                pass_fds=tuple(self.keep_open),
                # Ctrl-C in the terminal must reach the supervisor only, which then ends the parts
                # in order.
                start_new_session=True,
            )

    def _signal(self, number: signal.Signals, *, group: bool = False) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self._process.pid, number)

    def _wait(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(PROBE_INTERVAL_S)
        return True

    def _reap(self) -> None:
        """End stragglers and collect the exit status; only then is the group's id given up."""
        self._signal(signal.SIGKILL, group=True)
        if self._process is not None:
            self._process.wait()


def _nothing() -> None:
    """Do nothing, in the forking thread: its queue is empty when this ends."""


def last_lines(log: Path, count: int = LOG_LINES_ON_FAILURE) -> list[str]:
    """Return the end of a log file, or nothing when there is none."""
    try:
        return log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        return []


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until the condition holds; tell whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(PROBE_INTERVAL_S)
    return True


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether the process ended, without collecting it: its group must stay addressable."""
    if process.returncode is not None:
        return True
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "is not running"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended by itself with exit status {code}"
