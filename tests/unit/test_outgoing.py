"""Bytes that go out: to who may have them still, and takes them."""

import pytest

from app.errors import Gone
from app.ports import Pieces
from app.web.outgoing import paced, watched
from app.web.slow_readers import Reader

PIECE = b"x" * (1024 * 1024)
LONG_S = 3600.0
READER = Reader(("127.0.0.1", 1))


class Source:
    """Gives so many pieces and knows whether it was closed."""

    def __init__(self, pieces: int, size: int = len(PIECE)) -> None:
        self._left = pieces
        self._piece = b"x" * size
        self.is_closed = False

    def read(self) -> Pieces:
        """Yield them."""
        try:
            while self._left:
                self._left -= 1
                yield self._piece
        finally:
            self.is_closed = True


@pytest.mark.parametrize(("every_s", "looks"), [(0.0, 20), (LONG_S, 0)])
def test_who_may_read_gets_all(every_s: float, looks: int) -> None:
    """It is looked again so often, however much passes."""
    looked: list[int] = []
    source = Source(20)
    got = b"".join(watched(source.read(), lambda: looked.append(1), every_s=every_s))
    assert len(got) == 20 * len(PIECE)
    assert len(looked) == looks
    assert source.is_closed


def test_who_may_not_read_any_more_gets_no_more() -> None:
    """A deleted file ends with the next look."""
    is_deleted = False

    def look_again() -> None:
        if is_deleted:
            raise Gone("This file was deleted.", code="file_deleted")

    source = Source(20)
    reading = watched(source.read(), look_again, every_s=0.0)
    next(reading)
    is_deleted = True
    with pytest.raises(Gone):
        next(reading)
    assert source.is_closed


def test_a_slow_reader_is_let_go() -> None:
    """Who takes nothing where it should be thousands of bytes."""
    source = Source(2, size=0)
    reading = paced(source.read(), READER, judged_every_s=0.0)
    next(reading)
    with pytest.raises(TimeoutError):
        next(reading)
    assert source.is_closed


def test_a_fast_reader_is_not() -> None:
    """Judged after each piece."""
    source = Source(20)
    assert len(list(paced(source.read(), READER, judged_every_s=0.0))) == 20
