"""Waiting for other people's services never takes the last threads of a process."""

from contextlib import ExitStack

import pytest

from app.bulkhead import Bulkhead
from app.errors import Unavailable


@pytest.mark.parametrize(("threads", "places"), [(1, 1), (6, 2), (10, 3)])
def test_a_third_of_the_threads_may_wait(threads: int, places: int) -> None:
    """The next is refused when those are slow, until one comes back, whatever became of it."""
    bulkhead = Bulkhead(threads)
    with ExitStack() as waiting:
        for _ in range(places):
            waiting.enter_context(bulkhead.place())
        with pytest.raises(Unavailable), bulkhead.place():
            pass
    with pytest.raises(ValueError, match="theirs"), bulkhead.place():
        raise ValueError("theirs")
    with ExitStack() as again:
        for _ in range(places):
            again.enter_context(bulkhead.place())
