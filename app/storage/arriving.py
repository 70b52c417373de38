"""Bytes that come in: in stretches, each stored and encrypted as it arrives, so that a sender that
lost its connection goes on where it stopped (tus resumable upload, https://tus.io, version 1.0).

A stretch is at most 8 MiB: what a dying process loses. Two senders of one file cannot mix: where a
stretch begins must be where the file ends, and the database decides who was first.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app.db.engine import EVERY_ORGANISATION, Database
from app.errors import Conflict, DomainError, Invalid
from app.storage import service as storage
from app.storage.models import StoredFile
from app.storage.service import Storage, Written

PART_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 64 * 1024
# Reads up to so many bytes of what a sender sends; b"" at its end, or where it broke off.
Read = Callable[[int], bytes]


class Arrival(ABC):
    """One sender's bytes for one file. What the file is, and who may send it, a subclass says."""

    def __init__(
        self, database: Database, held: Storage, *, organisation_id: UUID | None, file_id: UUID
    ) -> None:
        self._database = database
        self._storage = held
        self._organisation_id = organisation_id
        self._file_id = file_id

    @abstractmethod
    def progress(self) -> tuple[int, int]:
        """Return how many bytes are there, and how many there will be.

        Raises:
            Gone, Forbidden: there is nothing to send any more, or this sender may not.
        """

    @abstractmethod
    def take(self, db: Session, stored_id: UUID, *, start: int, end: int, now: datetime) -> None:
        """Note a stretch that was stored, if the file still ends where it starts.

        Raises:
            Conflict: it ends elsewhere. Gone, Forbidden: see `progress`.
        """

    def append(self, read: Read, *, offset: int, length: int | None, now: datetime) -> int:
        """Take what a sender sends from `offset` on and return where the file ends now. A sender
        that breaks off has sent what came before.

        Args:
            length: how many bytes the sender says will come, if it does.

        Raises:
            Conflict: the file ends elsewhere, or is complete; ask where, and go on from there.
            Invalid: there is more than was announced.
            Gone, Forbidden: see `progress`.
        """
        received, size = self.progress()
        if offset != received or (received == size and length):
            raise elsewhere()
        if length is not None and offset + length > size:
            raise _too_much()
        while received < size:
            added = self._part(read, start=received, most=min(PART_BYTES, size - received), now=now)
            received += added
            if added == 0:
                break
        if received == size and offset < size and read(1):
            raise _too_much()
        return received

    def _part(self, read: Read, *, start: int, most: int, now: datetime) -> int:
        """Store one stretch, with no transaction open meanwhile; return its length."""
        first = read(min(PIECE_BYTES, most))
        if not first:
            return 0
        scope = self._organisation_id or EVERY_ORGANISATION
        with self._database.begin(scope) as db:
            stored = storage.announce(db, organisation_id=self._organisation_id, now=now)
        written = self._storage.write(stored, _pieces(read, first, most))
        try:
            self._record(stored, written, start=start, now=now)
        except DomainError:
            with self._database.begin(scope) as db:
                storage.destroy(db, stored.id, now=now)
            raise
        return written.size_bytes

    def _record(self, stored: StoredFile, written: Written, *, start: int, now: datetime) -> None:
        with self._database.begin(self._organisation_id or EVERY_ORGANISATION) as db:
            storage.record(db, stored.id, written)
            self.take(db, stored.id, start=start, end=start + written.size_bytes, now=now)


def elsewhere() -> Conflict:
    """Say that these bytes do not belong where the file ends."""
    return Conflict(
        "The file does not end there; ask with HEAD where it does.", code="upload_offset"
    )


def _pieces(read: Read, first: bytes, most: int) -> Iterator[bytes]:
    yield first
    left = most - len(first)
    while left and (piece := read(min(PIECE_BYTES, left))):
        left -= len(piece)
        yield piece


def _too_much() -> Invalid:
    return Invalid("There is more of this file than was announced.", code="upload_too_long")
