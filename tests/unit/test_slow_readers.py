"""Readers who take nothing or next to it, over real connections of this process."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from threading import Thread
from threading import enumerate as threads
from time import monotonic

import pytest

from app.web.slow_readers import SlowReaders

JUDGED_EVERY_S = 0.3
# A machine may stand still for a second; who is fast takes enough in the rest of that all the same.
JUDGED_FAIRLY_S = 3.0
PIECE = b"x" * (256 * 1024)
LONG_S = 30.0


class Door:
    """Where readers come in, each of whom gets an answer without end."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open = ExitStack()

    def let_in(self, readers: SlowReaders) -> "Answer":
        """Return one more answer."""
        taker = self._open.enter_context(
            socket.create_connection(self._listening.getsockname(), LONG_S)
        )
        ours = self._open.enter_context(self._listening.accept()[0])
        return Answer(readers, ours, taker)

    def close(self) -> None:
        """End all of them."""
        self._open.close()
        self._listening.close()


class Answer:
    """An answer to one reader; its thread is blocked while they take nothing."""

    def __init__(self, readers: SlowReaders, ours: socket.socket, taker: socket.socket) -> None:
        self._ours, self._taker = ours, taker
        self._reader = readers.join((taker.getsockname()[0], ours.getsockname()[1]))
        self._thread = Thread(target=self._send, daemon=True)
        self._thread.start()

    def is_taken(self) -> None:
        """Have somebody take all of it as it comes."""
        Thread(target=self._take, daemon=True).start()

    def has_ended(self, within_s: float = 0.0) -> bool:
        """Tell whether its thread is free."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _send(self) -> None:
        with suppress(OSError):
            while True:
                self._reader.waits_since = monotonic()
                self._ours.sendall(PIECE)
                self._reader.waits_since = None

    def _take(self) -> None:
        with suppress(OSError):
            while self._taker.recv(len(PIECE)):
                continue


@pytest.fixture
def doors() -> Iterator[tuple[Door, Door]]:
    """Two ports of this process."""
    both = Door(), Door()
    yield both
    for door in both:
        door.close()


def test_who_takes_nothing_is_shut_out_and_nobody_else(doors: tuple[Door, Door]) -> None:
    """Neither who takes enough at the same door, nor whoever is slow where no answer of ours is
    watched, such as a database of this machine."""
    readers, unwatched = SlowReaders(judged_every_s=JUDGED_FAIRLY_S), SlowReaders()
    fast, elsewhere = doors[0].let_in(readers), doors[1].let_in(unwatched)
    fast.is_taken()
    slow = doors[0].let_in(readers)
    assert slow.has_ended(LONG_S)
    assert not fast.has_ended()
    assert not elsewhere.has_ended()


def test_they_are_watched_again_after_all_had_left(doors: tuple[Door, Door]) -> None:
    """The thread that watches ends and begins with them."""
    readers = SlowReaders(judged_every_s=JUDGED_EVERY_S)
    before = set(threads())
    gone = readers.join(("127.0.0.1", 1))
    (watching,) = set(threads()) - before
    readers.leave(gone)
    readers.leave(gone)
    watching.join(LONG_S)
    assert not watching.is_alive()
    assert doors[0].let_in(readers).has_ended(LONG_S)
