"""Going through rows a batch at a time."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Place = TypeVar("Place")


def batches(
    read: Callable[[Place | None], Sequence[Place]], *, size: int, is_stopped: Callable[[], bool]
) -> Iterator[Sequence[Place]]:
    """Give one batch after the other, until one is not full or the process is to end.

    Args:
        read: returns at most `size` rows behind the last of the batch before (None: from the
            start), in an order that stays; so what cannot be dealt with is passed over.
    """
    after, is_more = None, True
    while is_more and not is_stopped():
        found = read(after)
        yield found
        is_more = len(found) == size
        after = found[-1] if found else None
