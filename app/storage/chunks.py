"""How a stored file is encrypted: AES-256-GCM over chunks of 64 KiB, each bound to its place.

The nonce is the chunk's number and whether it is the last one (the STREAM construction of Hoang,
Reyhanitabar, Rogaway and Vizár, 2015), and the file's key in the store is authenticated with each.
So a chunk that is altered, missing, at another place or of another file is found, and any part of
a file can be read without the rest. A data key encrypts one stream once, so no nonce comes twice.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import Unavailable
from app.ports import Pieces

CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
SEALED_BYTES = CHUNK_BYTES + TAG_BYTES
# Chunks that are handed on as one piece. A piece goes from the thread that opens it through one of
# the server's to the reader, and in 64 KiB the ways between them cost up to a fifth of a download.
TOGETHER = 8
FORMAT = b"teleconsult-file-1:"
Chunk = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Span:
    """Which sealed bytes hold the plain bytes that are wanted. `skip`: how many of the first chunk
    come before them."""

    first: int
    last: int
    skip: int
    wanted: int

    @property
    def start(self) -> int:
        """Where the sealed bytes begin."""
        return self.first * SEALED_BYTES

    @property
    def length(self) -> int:
        """How many sealed bytes to read at most."""
        return (self.last - self.first + 1) * SEALED_BYTES


def new_key() -> bytes:
    """Return a data key for one file."""
    return AESGCM.generate_key(bit_length=256)


def seal(data_key: bytes, name: str, content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the sealed chunks of a stream; an empty stream has one, too."""
    cipher, bound = AESGCM(data_key), FORMAT + name.encode()
    number, chunks = 0, resized(content, CHUNK_BYTES)
    current = next(chunks, b"")
    for following in chunks:
        yield cipher.encrypt(_nonce(number, is_last=False), current, bound)
        number, current = number + 1, following
    yield cipher.encrypt(_nonce(number, is_last=True), current, bound)


def span(size: int, *, start: int, length: int | None) -> Span:
    """Return where `length` plain bytes from `start` on lie in a file of `size` plain bytes."""
    end = size if length is None else min(size, start + length)
    start = min(start, end)
    last_of_file = max(0, size - 1) // CHUNK_BYTES
    first = min(start // CHUNK_BYTES, last_of_file)
    last = min(max(start, end - 1) // CHUNK_BYTES, last_of_file)
    return Span(first, last, start - first * CHUNK_BYTES, end - start)


def unseal(data_key: bytes, name: str, size: int, part: Span, sealed: Pieces) -> Pieces:
    """Yield the plain bytes of a part, 512 KiB at a time. What cannot be trusted is never yielded;
    `sealed` is closed.

    Raises:
        Unavailable: a chunk is altered, missing, or not of this place or file.
    """
    opener = _Opener(AESGCM(data_key), FORMAT + name.encode(), size)
    skip, left = part.skip, part.wanted
    with closing(sealed):
        pieces = resized(sealed, SEALED_BYTES)
        for first in range(part.first, part.last + 1, TOGETHER):
            plain = opener.opened(first, min(part.last, first + TOGETHER - 1), pieces)
            wanted = bytes(memoryview(plain)[skip : skip + left])  # WSGI takes bytes only
            yield wanted
            skip, left = 0, left - len(wanted)


@dataclass(frozen=True, slots=True)
class _Opener:
    """Opens the chunks of one file of `size` plain bytes."""

    cipher: AESGCM
    bound: bytes
    size: int

    def opened(self, first: int, last: int, sealed: Iterator[Chunk]) -> bytearray:
        """Return the plain bytes of chunks number `first` to `last`, which `sealed` yields next."""
        last_of_file = max(0, self.size - 1) // CHUNK_BYTES
        plain = bytearray(min((last + 1) * CHUNK_BYTES, self.size) - first * CHUNK_BYTES)
        for number in range(first, last + 1):
            start = (number - first) * CHUNK_BYTES
            nonce = _nonce(number, is_last=number == last_of_file)
            place = memoryview(plain)[start : start + CHUNK_BYTES]
            try:
                self.cipher.decrypt_into(nonce, next(sealed, b""), self.bound, place)
            except (InvalidTag, ValueError) as error:  # ValueError: it is longer or shorter
                raise _damaged() from error
        return plain


def resized(content: Iterable[bytes], size: int) -> Iterator[Chunk]:
    """Yield the same bytes in pieces of `size`; only the last may be smaller. What lies whole in
    one piece is not copied."""
    held = bytearray()
    for piece in content:
        view = memoryview(piece)
        if held:
            missing = size - len(held)
            held += view[:missing]
            view = view[missing:]
            if len(held) < size:
                continue
            yield held
        whole = len(view) - len(view) % size
        for start in range(0, whole, size):
            yield view[start : start + size]
        held = bytearray(view[whole:])
    if held:
        yield held


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _damaged() -> Unavailable:
    return Unavailable("The stored file is damaged.", code="stored_file_damaged")
