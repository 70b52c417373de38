"""A stored file as one that Python's libraries can seek in, without any of it on a disk."""

import io
from collections.abc import Callable, Iterator

BUFFER_BYTES = 1024 * 1024


class SeekableFile(io.RawIOBase):
    """Reads a range for each call; wrapped in a buffer that asks for a megabyte at a time.

    Args:
        read: returns the bytes from a position on, at most so many.
    """

    # Libraries ask for one; there is nothing by it to open.
    name = ""

    def __init__(self, read: Callable[[int, int], Iterator[bytes]], size: int) -> None:
        self._read = read
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as there is something."""
        wanted = min(len(buffer), max(0, self._size - self._at))
        filled = 0
        for piece in self._read(self._at, wanted) if wanted else ():
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
        self._at += filled
        return filled


def buffered(read: Callable[[int, int], Iterator[bytes]], size: int) -> io.BufferedReader:
    """Return such a file with its buffer."""
    return io.BufferedReader(SeekableFile(read, size), BUFFER_BYTES)
