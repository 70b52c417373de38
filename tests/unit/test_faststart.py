"""The index of an MP4 comes to the front, where everything is as it should be."""

import struct

import pytest

from app.ports import Pieces
from app.recording_files.media import faststart
from app.recording_files.media.faststart import OddMp4


def box(kind: bytes, *content: bytes) -> bytes:
    """Return a box of an MP4."""
    whole = b"".join(content)
    return struct.pack(">I4s", 8 + len(whole), kind) + whole


def offsets(kind: bytes, form: str, *places: int) -> bytes:
    """Return an index that is nothing but the places of chunks."""
    table = box(
        kind, struct.pack(">II", 0, len(places)), struct.pack(f">{len(places)}{form}", *places)
    )
    return box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", table)))))


def moved(content: bytes) -> bytes:
    """Return a file with its index moved."""

    def read(start: int, length: int) -> Pieces:
        yield content[start : start + length]

    return b"".join(faststart.moved(read, faststart.boxes_of(read, len(content))))


class TestIndex:
    """The index is moved only where everything is as it should be."""

    @pytest.mark.parametrize(("kind", "form"), [(b"stco", "I"), (b"co64", "Q")])
    def test_places_move_on_by_the_size_of_the_index(self, kind: bytes, form: str) -> None:
        """And what lay behind it stays where it was."""
        first, film, rest = box(b"ftyp"), box(b"mdat", b"film"), box(b"mdat", b"more")
        index = offsets(kind, form, 16, 20 + len(offsets(kind, form, 0, 0)) + 8)
        correct = offsets(kind, form, 16 + len(index), 20 + len(index) + 8)
        assert moved(first + film + index + rest) == first + correct + film + rest

    @pytest.mark.parametrize("length", [0, 1])
    def test_lengths_as_large_files_have_them(self, length: int) -> None:
        """Up to the end, or in 64 bits."""
        first, index = box(b"ftyp"), offsets(b"co64", "Q", 16)
        wide = struct.pack(">I4sQ", 1, b"mdat", 20) + b"film"
        index = index if length else struct.pack(">I", 0) + index[4:]
        whole = moved(first + wide + index)
        assert whole.endswith(wide)
        assert struct.pack(">Q", 16 + len(index)) in whole

    def test_places_that_do_not_fit_any_more(self) -> None:
        """Beyond four gigabytes: then the file stays as it is."""
        held = bytearray(offsets(b"stco", "I", 2**32 - 5))
        with pytest.raises(OddMp4):
            faststart.shift(held, 0, len(held), before=2**33, by=len(held))

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"1234567",
            box(b"ftyp") + box(b"moov") + box(b"moof") + box(b"mdat"),
            b"\x00\x00\x00\x07ftyp",
            box(b"ftyp") + b"\x7f\xff\xff\xffmdat",
            box(b"mdat") + box(b"moov"),
            box(b"ftyp") + box(b"mdat"),
            box(b"ftyp") + box(b"moov", b"\x00\x00\x00\x09stco"),
            box(b"ftyp") + box(b"moov", box(b"cmov")),
            box(b"ftyp") + box(b"moov", box(b"stco", b"\x00\x00\x00\x00\x7f\xff\xff\xff")),
            box(b"ftyp") + box(b"moov", box(b"stco", b"\x00\x00")),
        ],
    )
    def test_an_odd_layout(self, content: bytes) -> None:
        with pytest.raises(OddMp4):
            moved(content)
