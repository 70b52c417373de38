"""Choose TCP and UDP ports on loopback that no other stack on this machine will choose too."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
import weakref
from pathlib import Path
from typing import IO

# Below Linux's ephemeral range (32768 and up): an outgoing connection can never sit on a port that
# a killed part wants back, and above the well-known and most registered services.
FREE_RANGE = range(20_000, 32_000)
TRIES = 500
HIGHEST_PORT = 65_535


class NoFreePort(RuntimeError):
    """Every port that was tried is in use or claimed."""


class Ports:
    """Ports claimed by this object until `release` is called, or it or the process ends.

    A claim is a lock on a small file, so that two stacks that start at the same moment (parallel
    test workers) cannot both be given a port that neither has bound yet. The kernel drops the lock
    with the process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / f"teleconsult-ports-{os.getuid()}"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._claims: dict[int, IO[bytes]] = {}
        weakref.finalize(self, _close, self._claims)

    def choose(self, *preferred: int | None) -> int:
        """Claim and return the first preferred port that is free, else any free one.

        Raises:
            NoFreePort: no port could be claimed.
        """
        wishes = [port for port in preferred if port is not None]
        for port in [*wishes, *random.sample(FREE_RANGE, k=min(len(FREE_RANGE), TRIES))]:
            if self._claim(port):
                return port
        raise NoFreePort("no free TCP port on 127.0.0.1 was found")

    def release(self) -> None:
        """Give every claimed port back."""
        _close(self._claims)

    def _claim(self, port: int) -> bool:
        if port in self._claims or not 0 < port <= HIGHEST_PORT:
            return False
        claim = (self._folder / str(port)).open("wb")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim.close()
            return False
        if not is_free(port):
            claim.close()
            return False
        self._claims[port] = claim
        return True


def _close(claims: dict[int, IO[bytes]]) -> None:
    for claim in claims.values():
        claim.close()
    claims.clear()


def is_free(port: int) -> bool:
    """Tell whether nothing listens on this port of either loopback address, TCP or UDP."""
    families = [(socket.AF_INET, "127.0.0.1")]
    if has_ipv6_loopback():
        families.append((socket.AF_INET6, "::1"))
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    return all(_can_bind(family, kind, host, port) for family, host in families for kind in kinds)


def has_ipv6_loopback() -> bool:
    """Tell whether a server can listen on ::1 (containers often have no IPv6)."""
    return _can_bind(socket.AF_INET6, socket.SOCK_STREAM, "::1", 0)


def accepts(port: int, timeout_s: float = 0.2) -> bool:
    """Tell whether something accepts TCP connections on 127.0.0.1 at this port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout_s):
        return True
    return False


def _can_bind(family: int, kind: int, host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # Without it connections in TIME_WAIT of a server that just ended would count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return True
    return False
