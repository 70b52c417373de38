"""A TCP proxy that can be cut: the network between two programs, at the tests' mercy."""

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# What may be the matter with whoever is at the other end.
FAULTS = ("stopped", "garbage", "slow")
GARBAGE = b"\x00\xff this is no protocol you know\r\n\r\n"


class Proxy:
    """Forwards each connection to `target_port` on loopback, until told otherwise."""

    def __init__(self) -> None:
        self.target_port = 0
        self._fault = ""
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> int:
        """Break every connection with a TCP reset, as a router that lost its table does."""
        with self._lock:
            broken, self._open = self._open, set()
        for connection in broken:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        return len(broken)

    def refuse(self) -> None:
        """Break every connection and refuse new ones."""
        # A close alone would leave the thread that waits in accept one more connection to take.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def allow(self) -> None:
        """Take connections again."""
        self._listener = self._listen(self.port)
        threading.Thread(target=self._accept, daemon=True).start()

    def fail(self, fault: str) -> None:
        """Have one of `FAULTS` from now on; a slow one says nothing, however long one waits."""
        self._fault = fault
        self.refuse() if fault == "stopped" else self.reset()

    def heal(self) -> None:
        """Forward again."""
        if self._fault == "stopped":
            self.allow()
        self._fault = ""
        self.reset()

    def __enter__(self) -> Self:
        """Nothing to start: it listens since it was made."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.refuse()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        return listener

    def _accept(self) -> None:
        listener = self._listener
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                self._answer(near) if self._fault else self._forward(near)

    def _answer(self, near: socket.socket) -> None:
        with self._lock:
            self._open.add(near)
        if self._fault == "garbage":
            with contextlib.suppress(OSError):
                near.sendall(GARBAGE)
                near.shutdown(socket.SHUT_WR)

    def _forward(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.target_port), timeout=5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        with self._lock:
            self._open |= {near, far}
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
