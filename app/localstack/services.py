"""The service's own processes as parts of the stack: API, stream, relay, worker and gateway."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from app.localstack.process import PLAIN_ENVIRONMENT, Launch, Part, PartFailed

COMMANDS = {
    "api": "serve", "stream": "stream", "relay": "relay", "worker": "worker", "gateway": "gateway",
}  # fmt: skip
READY_EVENTS = {
    "relay": b"relay_started",
    "worker": b"worker_started",
    "gateway": b"gateway_connected",
}
TALKATIVE = {"INFO", "DEBUG"}
MIGRATION_WITHIN_S = 120


class Service(Part):
    """A process that serves nobody directly: ready when it says so in its log."""

    # Where the log level hides that line: a wrong setting or an unreachable database ends these
    # processes sooner than this.
    settled_after_s = 2.0
    ready_within_s = 30.0

    def __init__(self, name: str, folder: Path, env: Mapping[str, str]) -> None:
        self.name = name
        super().__init__(folder)
        self.env = dict(env)
        self._began = 0.0
        self._log_begins_at = 0

    def prepare(self) -> None:
        """Note the time and the end of the log of former runs, for `is_ready`."""
        self._began = time.monotonic()
        self._log_begins_at = self.log.stat().st_size if self.log.exists() else 0

    def launch(self) -> Launch:
        """Return the command line of `teleconsult serve` and its like."""
        return Launch(command(COMMANDS[self.name]), env=self.env)

    def is_ready(self) -> bool:
        """Tell whether it reported for duty."""
        if self.env.get("LOG_LEVEL", "INFO").upper() not in TALKATIVE:
            return time.monotonic() - self._began > self.settled_after_s
        with self.log.open("rb") as log:
            log.seek(self._log_begins_at)
            return READY_EVENTS[self.name] in log.read()


class Api(Service):
    """The API, ready when it answers."""

    @property
    def port(self) -> int:
        """TCP port it listens on."""
        return int(self.env["PORT"])

    def is_ready(self) -> bool:
        """Tell whether `/health` answers at all; 503 still means that requests are served."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        # One that is just starting may take the connection and then drop it.
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(link):
            link.request("GET", "/health")
            status = link.getresponse().status
            return status in {http.HTTPStatus.OK, http.HTTPStatus.SERVICE_UNAVAILABLE}
        return False


class Stream(Api):
    """The streams, ready when they answer."""

    @property
    def port(self) -> int:
        """TCP port it listens on."""
        return int(self.env["STREAM_PORT"])


def command(*words: str) -> list[str]:
    """Return the command line of one `teleconsult` command under this very interpreter."""
    return [sys.executable, "-m", "app.cli", *words]


def run_command(env: Mapping[str, str], folder: Path, *words: str) -> str:
    """Run one `teleconsult` command to its end and return what it printed.

    Raises:
        PartFailed: it ended with an error, or took longer than two minutes.
    """
    name, log = words[0], folder / f"{words[0]}.log"
    folder.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        try:
            done = subprocess.run(
                command(*words),
                env={**PLAIN_ENVIRONMENT, **env},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                timeout=MIGRATION_WITHIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PartFailed(name, f"did not end within {MIGRATION_WITHIN_S} s", log) from error
    if done.returncode:
        raise PartFailed(name, f"ended with exit status {done.returncode}", log)
    return done.stdout.decode()
