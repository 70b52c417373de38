"""Puts the index of an MP4 before its content, so that a player begins at once.

Jibri's ffmpeg writes the index (`moov`) last, when it knows it. ffmpeg moves it by writing the
whole file a second time to a disk; here it is moved as the file goes from store to store. Only the
index is in memory. Source: ISO/IEC 14496-12, 4.2 (boxes), 8.7.5 (chunk offsets).
"""

import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from app.recording_files.media.serving import Read

# Ten hours of video and sound take about as much.
MOST_INDEX_BYTES = 32 * 1024 * 1024
MOST_BOXES = 10_000
HEADER_BYTES = 8
# Boxes on the way from the index to the chunk offsets; these hold only boxes.
ON_THE_WAY = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
OFFSETS = {b"stco": ">I", b"co64": ">Q"}


@dataclass(frozen=True, slots=True)
class Box:
    """Where a part of a file is, and what it is."""

    kind: bytes
    start: int
    size: int

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.start + self.size


class OddMp4(Exception):
    """It is not laid out so that its index could be moved; a player may like it all the same."""


def boxes_of(read: Read, size: int) -> list[Box]:
    """Return the boxes of a file, outermost only.

    Raises:
        OddMp4: they do not fill it, or it has no index, no content, or is in fragments: then some
            players neither know how long it is nor seek in it.
    """
    found: list[Box] = []
    at = 0
    while at < size and len(found) < MOST_BOXES:
        header = b"".join(_read(read, at, min(16, size - at)))
        length, kind, _ = _header(header, size - at)
        found.append(Box(kind, at, length))
        at += length
    kinds = {box.kind for box in found}
    if at != size or not kinds >= {b"moov", b"mdat"} or b"moof" in kinds:
        raise OddMp4
    return found


def is_fast(boxes: list[Box]) -> bool:
    """Tell whether the index comes before the content."""
    kinds = [box.kind for box in boxes]
    return kinds.index(b"moov") < kinds.index(b"mdat")


def moved(read: Read, boxes: list[Box]) -> Iterator[bytes]:
    """Return the file with its index after the first box.

    Raises:
        OddMp4: see there.
    """
    index = next(box for box in boxes if box.kind == b"moov")
    if boxes[0].kind != b"ftyp" or index.size > MOST_INDEX_BYTES:
        raise OddMp4
    held = bytearray(b"".join(_read(read, index.start, index.size)))
    if len(held) != index.size:
        raise OddMp4
    shift(held, 0, len(held), before=index.start, by=index.size)
    return _pieces(read, boxes, index, bytes(held))


def _pieces(read: Read, boxes: list[Box], index: Box, held: bytes) -> Iterator[bytes]:
    first, *others = boxes
    yield from _read(read, first.start, first.size)
    yield held
    for box in others:
        if box is not index:
            yield from _read(read, box.start, box.size)


def shift(held: bytearray, start: int, end: int, *, before: int, by: int) -> None:
    """Correct the chunk offsets in a part of the index: what lay before it moves on by its size.

    Raises:
        OddMp4: it is not what it should be, or an offset has no room for the new number.
    """
    while start < end:
        length, kind, header = _header(bytes(held[start : start + 16]), end - start)
        if kind in ON_THE_WAY:
            shift(held, start + header, start + length, before=before, by=by)
        elif kind in OFFSETS:
            _correct(held, start + header, start + length, OFFSETS[kind], before=before, by=by)
        elif kind == b"cmov":  # an index that is compressed
            raise OddMp4
        start += length


def _correct(held: bytearray, start: int, end: int, form: str, *, before: int, by: int) -> None:
    width = struct.calcsize(form)
    if start + 8 > end:
        raise OddMp4
    (count,) = struct.unpack_from(">I", held, start + 4)
    if start + 8 + count * width > end:
        raise OddMp4
    for at in range(start + 8, start + 8 + count * width, width):
        (offset,) = struct.unpack_from(form, held, at)
        if offset < before:
            try:
                struct.pack_into(form, held, at, offset + by)
            except struct.error as error:  # beyond four gigabytes
                raise OddMp4 from error


def _header(header: bytes, left: int) -> tuple[int, bytes, int]:
    """Return length and kind of a box, and how long its own header is."""
    if len(header) < HEADER_BYTES:
        raise OddMp4
    length, kind = struct.unpack_from(">I4s", header)
    own = HEADER_BYTES
    if length == 1 and len(header) >= 16:
        (length,) = struct.unpack_from(">Q", header, 8)
        own = 16
    elif length == 0:
        length = left
    if not own <= length <= left:
        raise OddMp4
    return length, kind, own


def _read(read: Read, start: int, length: int) -> Iterator[bytes]:
    with closing(read(start, length)) as pieces:
        yield from pieces
