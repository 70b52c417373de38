"""Redis with an append-only file: what was accepted survives a killed process."""

from __future__ import annotations

import contextlib
import shutil
import socket
from pathlib import Path

from app.localstack.credentials import write_private
from app.localstack.process import Launch, Part, PartFailed


class Redis(Part):
    """The job queue, live counters and pub/sub."""

    name = "redis"

    def __init__(self, folder: Path, *, port: int, password: str) -> None:
        super().__init__(folder)
        self.port = port
        self._password = password
        self._config = folder / "redis.conf"

    @property
    def url(self) -> str:
        """URL for redis-py and RQ."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Write the configuration; in a private file, because a command line is public."""
        lines = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self._password,
            "dir": f'"{self.folder}"',
            "appendonly": "yes",
            # With "everysec" Redis holds writes back while an earlier one is being synced, and a
            # killed process loses what it answered. "no" leaves them with the kernel at once; only
            # a killed machine loses seconds, and Redis is nowhere the truth.
            "appendfsync": "no",
            "save": '""',
            "daemonize": "no",
        }
        write_private(self._config, "".join(f"{key} {value}\n" for key, value in lines.items()))

    def launch(self) -> Launch:
        """Return the command line of the server."""
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            raise PartFailed(self.name, "redis-server was not found; run script/bootstrap")
        return Launch([program, str(self._config)])

    def is_ready(self) -> bool:
        """Tell whether PING is answered: it listens already while it still loads its file."""
        command = f"AUTH {self._password}\r\nPING\r\n".encode()
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as link,
        ):
            link.sendall(command)
            return b"+PONG" in _read(link, len(b"+OK\r\n+PONG\r\n"))
        return False


def _read(link: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count and (more := link.recv(256)):
        received += more
        if b"-" in more[:1]:
            break
    return received
