"""One sender at a time brings bytes of a file. Should nobody be there to say who was first, two
cannot mix all the same: where a stretch begins must be where the file ends (see `uploads`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from app.errors import Locked
from app.ports import GoOn, Turns
from app.storage.arriving import Read

COME_BACK_S = 2


@contextmanager
def sending(turns: Turns, file_id: UUID, read: Read) -> Iterator[Read]:
    """Hold the turn of a file while the block takes its bytes with what this gives.

    Raises:
        Locked: somebody else sends bytes of this file just now.
    """
    with turns.turn(f"upload:{file_id}") as go_on:
        if go_on is None:
            raise Locked(
                "Bytes of this file are on their way already; go on when they have come.",
                code="upload_busy",
                retry_after_s=COME_BACK_S,
            )
        yield _telling(read, go_on)


def _telling(read: Read, go_on: GoOn) -> Read:
    """Have each piece say that its sender is still at it."""

    def reading(most: int) -> bytes:
        piece = read(most)
        go_on()
        return piece

    return reading
