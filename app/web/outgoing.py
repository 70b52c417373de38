"""Bytes of files as they go out, to a reader who may be slow, or may not have them any more.

A reader has a thread for as long as the answer lasts. So whoever takes less than so much is let go,
and goes on by range; and every second it is looked at again whether they may.
"""

from collections.abc import Callable
from contextlib import closing
from time import monotonic

from app.ports import Pieces
from app.web.slow_readers import JUDGED_EVERY_S, LEAST_BYTES_PER_S, Reader

# How long somebody may go on after they may not any more. Not so many bytes: a look takes as long
# as a fast reader takes for megabytes.
LOOKED_EVERY_S = 1.0


def watched(
    pieces: Pieces, look_again: Callable[[], object], *, every_s: float = LOOKED_EVERY_S
) -> Pieces:
    """Yield the pieces for as long as they may be read.

    Raises:
        Whatever `look_again` raises for a reader who may not go on.
    """
    looked_at = monotonic()
    with closing(pieces):
        for piece in pieces:
            if monotonic() - looked_at >= every_s:
                look_again()
                looked_at = monotonic()
            yield piece


def paced(pieces: Pieces, reader: Reader, *, judged_every_s: float = JUDGED_EVERY_S) -> Pieces:
    """Yield the pieces until their reader has proved too slow; what the store takes for them is not
    the reader's time. For who does not come for the next piece at all see `slow_readers`.

    Raises:
        TimeoutError: the reader is too slow. The server breaks the connection off.
    """
    waited_s, taken = 0.0, 0
    with closing(pieces):
        for piece in pieces:
            reader.waits_since = given_at = monotonic()
            yield piece
            reader.waits_since = None
            waited_s += monotonic() - given_at
            taken += len(piece)
            if waited_s >= judged_every_s:
                if taken < LEAST_BYTES_PER_S * waited_s:
                    raise TimeoutError("The reader of a file is too slow.")
                waited_s, taken = 0.0, 0
