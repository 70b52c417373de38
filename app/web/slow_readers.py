"""Readers who take an answer drop by drop, or not at all.

The web server blocks the thread that brings a file until there is room for the next piece, knows
no deadline for that, and has no way to break a connection off. So while such a thread waits, this
looks at the process' own connections. One through which the kernel gets rid of less than so much,
over half a minute in which it has something to send, is shut. The server then ends the answer, as
it does when a reader goes away.
"""

import os
import socket
import stat
import struct
import termios
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic

import structlog

log = structlog.get_logger()

# Who takes less in a second, over half a minute of waiting for them, keeps a place for nothing.
LEAST_BYTES_PER_S = 16 * 1024
JUDGED_EVERY_S = 30.0
# Whoever keeps a piece waiting for as long as this part of the time is looked at.
LOOKS = 3
# `tcpi_bytes_acked` in `struct tcp_info`, linux/tcp.h.
ACKED_AT = 120
INFO_BYTES = 128
DESCRIPTORS = Path("/proc/self/fd")


# The address of the other end, and the port at ours.
Ends = tuple[str, int]


@dataclass(eq=False, slots=True)
class Reader:
    """Who gets an answer, and since when they have had a piece without coming for the next."""

    ends: Ends
    waits_since: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """How much a connection's other end had taken, at a moment."""

    acked: int
    at: float


class SlowReaders:
    """The readers of a process. A thread watches while there are any."""

    def __init__(self, *, judged_every_s: float = JUDGED_EVERY_S) -> None:
        self._judged_every_s = judged_every_s
        self._look_every_s = judged_every_s / LOOKS
        self._readers: set[Reader] = set()
        self._is_watched = False
        self._lock = Lock()

    def join(self, ends: Ends) -> Reader:
        """Have a reader watched until they leave."""
        reader = Reader(ends)
        with self._lock:
            self._readers.add(reader)
            begins, self._is_watched = not self._is_watched, True
        if begins:
            Thread(target=self._watch, name="slow-readers", daemon=True).start()
        return reader

    def leave(self, reader: Reader) -> None:
        """Have them watched no more; a second time does nothing."""
        with self._lock:
            self._readers.discard(reader)

    def _watch(self) -> None:
        samples: dict[int, Sample] = {}
        while self._has_readers():
            Event().wait(self._look_every_s)
            samples = self._look(samples)

    def _has_readers(self) -> bool:
        with self._lock:
            self._is_watched = bool(self._readers)
            return self._is_watched

    def _look(self, before: dict[int, Sample]) -> dict[int, Sample]:
        """Shut what is too slow; return where the rest stands, by the sockets' inodes."""
        samples = {}
        for inode, connection in _connections(self._suspects()):
            with suppress(OSError):  # it has just ended
                sample = self._judge(connection, before.get(inode))
                if sample is not None:
                    samples[inode] = sample
        return samples

    def _judge(self, connection: socket.socket, before: Sample | None) -> Sample | None:
        stands = Sample(_acked(connection), monotonic())
        if before is None:
            return stands
        taken, within_s = stands.acked - before.acked, stands.at - before.at
        if within_s < self._judged_every_s:
            return before
        if taken >= LEAST_BYTES_PER_S * within_s:
            return stands
        log.info("slow_reader_shut", taken_bytes=taken, within_s=round(within_s))
        connection.shutdown(socket.SHUT_RDWR)
        return None

    def _suspects(self) -> frozenset[Ends]:
        late = monotonic() - self._look_every_s
        with self._lock:
            return frozenset(
                reader.ends
                for reader in self._readers
                if reader.waits_since is not None and reader.waits_since < late
            )


def _connections(suspects: frozenset[Ends]) -> Iterator[tuple[int, socket.socket]]:
    """Yield this process' connections with these, if the kernel has something to send through
    them."""
    for path in DESCRIPTORS.iterdir() if suspects else ():
        try:
            # One of our own, so that it is of the same connection all the while.
            descriptor = os.dup(int(path.name))
        except OSError:
            continue
        found = os.fstat(descriptor)
        if not stat.S_ISSOCK(found.st_mode):
            os.close(descriptor)
            continue
        with closing(socket.socket(fileno=descriptor)) as connection:
            if _is_awaited_by(connection, suspects):
                yield found.st_ino, connection


def _is_awaited_by(connection: socket.socket, suspects: frozenset[Ends]) -> bool:
    """Tell whether one of these has something to take from a connection."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    try:
        ends = connection.getpeername()[0], connection.getsockname()[1]
        return ends in suspects and _unsent(connection) > 0
    except OSError:  # it listens, or has just ended
        return False


def _unsent(connection: socket.socket) -> int:
    """Return how many bytes the other end has not taken."""
    (number,) = struct.unpack("i", ioctl(connection, termios.TIOCOUTQ, struct.pack("i", 0)))
    return int(number)


def _acked(connection: socket.socket) -> int:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO_BYTES)
    return int(struct.unpack_from("Q", info, ACKED_AT)[0])
