"""One outgoing request and its deadline, which another thread holds it to."""

import socket
import time
from contextlib import suppress
from typing import Protocol


class HangsUp(Protocol):
    """A connection that can be ended from another thread."""

    def hang_up(self) -> None:
        """Shut it down; whoever reads from it finds its end."""


class Call:
    """One request of one thread and the moment it must be over. `connection` is what it uses."""

    def __init__(self, timeout_s: float, *, allow_private: bool) -> None:
        self.allow_private = allow_private
        self.deadline = time.monotonic() + timeout_s
        self.connection: HangsUp | None = None
        # Of a connection that was let go while its answer is still read (Connection: close).
        self.twins: list[socket.socket] = []
        self.is_late = self.is_over = False

    def remaining_s(self) -> float:
        """Return the seconds left; a little more than none, because zero means 'do not wait'."""
        return max(0.001, self.deadline - time.monotonic())

    def abort(self) -> None:
        """End the request from another thread: a receiver that sends a byte now and then would
        otherwise hold a worker for ever, as every read starts the socket's own timeout anew."""
        self.is_late = True
        if self.connection is not None:
            self.connection.hang_up()
        for twin in list(self.twins):
            shut_down(twin)

    def keep(self, twin: socket.socket) -> None:
        """Hold on to a connection until the call is over."""
        self.twins.append(twin)
        if self.is_late:
            shut_down(twin)

    def end(self) -> None:
        """Let go of everything."""
        self.is_over = True
        while self.twins:
            self.twins.pop().close()


def shut_down(twin: socket.socket) -> None:
    """End a connection; whoever reads from it finds its end."""
    with suppress(OSError):  # it is closed already
        twin.shutdown(socket.SHUT_RDWR)
