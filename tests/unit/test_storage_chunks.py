"""The encryption of stored files: any part can be read, and nothing altered passes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Unavailable
from app.storage import chunks
from app.storage.chunks import CHUNK_BYTES, SEALED_BYTES, TOGETHER

NAME = "organisation/file"
PIECE_BYTES = TOGETHER * CHUNK_BYTES
# Around the borders of chunks and pieces, where mistakes are.
SIZES = [
    *(0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES - 7),
    *(PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + CHUNK_BYTES + 1),
]


def content_of(size: int) -> bytes:
    """Return bytes of which no two parts are alike."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


def sealed(key: bytes, content: bytes, *, name: str = NAME, piece: int = 10_000) -> bytes:
    """Return a whole stored file."""
    pieces = (content[at : at + piece] for at in range(0, len(content), piece))
    return b"".join(chunks.seal(key, name, pieces))


def opened(key: bytes, stored: bytes, size: int, *, name: str = NAME, start: int = 0,
           length: int | None = None) -> bytes:  # fmt: skip
    """Return what a reader gets of a stored file."""
    part = chunks.span(size, start=start, length=length)
    stream = (piece for piece in [stored[part.start : part.start + part.length]])
    return b"".join(chunks.unseal(key, name, size, part, stream))


@pytest.mark.parametrize("size", SIZES)
def test_what_was_stored_comes_back(size: int) -> None:
    """Whatever its length."""
    key, content = chunks.new_key(), content_of(size)
    stored = sealed(key, content)
    assert opened(key, stored, size) == content
    # A byte or two are found in any bytes made by chance.
    assert size < 64 or content[:64] not in stored


@settings(max_examples=100, deadline=None)
@given(
    size=st.sampled_from(SIZES),
    start=st.integers(0, 3 * CHUNK_BYTES) | st.integers(0, 3 * PIECE_BYTES),
    length=st.none() | st.integers(0, 3 * CHUNK_BYTES) | st.integers(0, 3 * PIECE_BYTES),
)
def test_any_part_can_be_read_alone(size: int, start: int, length: int | None) -> None:
    """As a slice of the whole, also behind its end."""
    key, content = bytes(32), content_of(size)
    end = None if length is None else start + length
    stored = sealed(key, content, piece=CHUNK_BYTES)
    assert opened(key, stored, size, start=start, length=length) == content[start:end]


SIZE = 3 * CHUNK_BYTES + 5
CONTENT = content_of(SIZE)
KEY = bytes(range(32))
STORED = sealed(KEY, CONTENT)
FIRST, SECOND = STORED[:SEALED_BYTES], STORED[SEALED_BYTES : 2 * SEALED_BYTES]
DAMAGES = {
    "a bit is flipped": STORED[:70_000] + bytes([STORED[70_000] ^ 1]) + STORED[70_001:],
    "cut off in a chunk": STORED[:-3],
    "cut off between chunks": STORED[: 3 * SEALED_BYTES],
    "empty": b"",
    "two chunks changed places": SECOND + FIRST + STORED[2 * SEALED_BYTES :],
    "a chunk is there twice": FIRST + FIRST + STORED[2 * SEALED_BYTES :],
    "the last chunk comes first": STORED[3 * SEALED_BYTES :] + STORED[: 3 * SEALED_BYTES],
}


@pytest.mark.parametrize("stored", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found(stored: bytes) -> None:
    """Nothing that was not written is handed out."""
    with pytest.raises(Unavailable, match="damaged"):
        opened(KEY, stored, SIZE)


@pytest.mark.parametrize("size", [3 * CHUNK_BYTES, CHUNK_BYTES, SIZE + CHUNK_BYTES, SIZE - 1])
def test_a_size_that_is_not_the_files_is_found(size: int) -> None:
    """Whoever can change the row cannot make a file seem shorter or longer."""
    with pytest.raises(Unavailable, match="damaged"):
        opened(KEY, STORED, size)


def test_a_file_is_bound_to_its_name_and_key() -> None:
    """One file laid in the place of another is found."""
    with pytest.raises(Unavailable):
        opened(KEY, STORED, SIZE, name="organisation/other")
    with pytest.raises(Unavailable):
        opened(chunks.new_key(), STORED, SIZE)


def test_what_is_good_before_the_damage_is_read_and_no_more() -> None:
    """A reader of an early part is not kept from it by damage behind."""
    assert opened(KEY, STORED[: 2 * SEALED_BYTES], SIZE, length=100_000) == CONTENT[:100_000]


def test_a_piece_with_damage_in_it_is_not_handed_out_at_all() -> None:
    """Those before it are: they were good."""
    content = content_of(2 * PIECE_BYTES)
    stored = bytearray(sealed(KEY, content, piece=CHUNK_BYTES))
    stored[TOGETHER * SEALED_BYTES + SEALED_BYTES] ^= 1
    part = chunks.span(len(content), start=0, length=None)
    pieces = chunks.unseal(KEY, NAME, len(content), part, (bytes(one) for one in [stored]))
    assert next(pieces) == content[:PIECE_BYTES]
    with pytest.raises(Unavailable):
        next(pieces)
