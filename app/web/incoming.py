"""Bytes of a request as they come in, from a sender who may be slow, or stall for ever.

The web server's read returns when all that was asked for is there, however long that takes. So a
thread of its own reads, in small pieces, and whoever stores them waits for each only so long.
"""

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Queue
from threading import Thread
from time import monotonic

from werkzeug.exceptions import ClientDisconnected

PIECE_BYTES = 16 * 1024
# A sender of less than a piece in so long has stalled: 4 KiB/s.
PIECE_WITHIN_S = 4.0
# Pieces that were read and are not stored yet.
AHEAD = 16
# How long an answer waits for what the sender has on the way, so that it can read it.
DRAINED_WITHIN_S = 1.0


class Incoming:
    """The body of one request.

    Args:
        read: reads so many bytes, and fewer only at the end.
        within_s: how long the sender may bring bytes; others wait for the place.
        least_bytes_per_s: what has come gives more time, as much as it takes at this rate.
        piece_within_s: how long a piece may take.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        *,
        within_s: float,
        least_bytes_per_s: float | None = None,
        piece_within_s: float = PIECE_WITHIN_S,
    ) -> None:
        self._source = read
        self._until = monotonic() + within_s
        self._s_per_byte = 1 / least_bytes_per_s if least_bytes_per_s else 0.0
        self._piece_within_s = piece_within_s
        self._pieces: Queue[bytes] = Queue(AHEAD)
        self._held = b""
        self._reader: Thread | None = None
        # The sender's last byte was seen, or that its connection broke.
        self.has_ended = False
        # The sender stalled, or had its time.
        self.was_too_slow = False
        self._is_stopped = False

    def read(self, most: int) -> bytes:
        """Return the next bytes; none at the end, where the connection broke, and from a sender
        who has stalled or had its time."""
        if self._reader is None:
            self._reader = Thread(target=self._fill, name="incoming", daemon=True)
            self._reader.start()
        if not self._held:
            self._held = self._next()
        piece, self._held = self._held[:most], self._held[most:]
        return piece

    def end(self) -> bool:
        """Take nothing more; tell whether the sender has ended. From one who was not stopped what
        still comes is thrown away for a moment: who is sending may not read an answer."""
        until = monotonic() + DRAINED_WITHIN_S
        while self._reader and not self.has_ended and (left_s := until - monotonic()) > 0:
            self.has_ended = self._take(left_s) == b""
        self._is_stopped = True
        with suppress(Empty):  # its thread may wait to hand one over
            self._pieces.get_nowait()
        return self._reader is None or self.has_ended

    def _next(self) -> bytes:
        if self.has_ended or self._is_stopped:
            return b""
        left_s = self._until - monotonic()
        piece = self._take(min(self._piece_within_s, left_s)) if left_s > 0 else None
        self.has_ended = piece == b""
        self.was_too_slow = self._is_stopped = piece is None
        self._until += len(piece or b"") * self._s_per_byte
        return piece or b""

    def _take(self, within_s: float) -> bytes | None:
        try:
            return self._pieces.get(timeout=within_s)
        except Empty:
            return None

    def _fill(self) -> None:
        while not self._is_stopped:
            try:
                piece = self._source(PIECE_BYTES)
            except (ClientDisconnected, OSError):
                piece = b""
            self._pieces.put(piece)
            if not piece:
                return
