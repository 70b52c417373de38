"""Files at rest: each encrypted with a key of its own, which the master keys wrap.

The order is: `announce` in a transaction, `write` with none open, `record` in another. Reading
needs the row alone. `destroy` is final the moment it commits; the sweep erases what is left.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from app.encryption import Vault
from app.errors import Gone
from app.ids import new_id
from app.ports import FileStore, Pieces
from app.storage import chunks
from app.storage.models import StoredFile

# Nobody writes one file for longer; what was announced before and never recorded is a dead
# process's.
WRITTEN_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Written:
    """What there is to record of a file that was written. `sha256` is of the plain content."""

    size_bytes: int
    sha256: bytes
    wrapped_key: bytes


@dataclass(frozen=True, slots=True)
class Storage:
    """The store and the keys to it; safe to share between threads."""

    store: FileStore
    vault: Vault

    def write(self, stored: StoredFile, content: Iterable[bytes]) -> Written:
        """Encrypt a stream of any length into the store; a chunk at a time is in memory.

        Raises:
            Unavailable: the store does not take it now. Whatever `content` raises goes through.
        """
        data_key, meter = chunks.new_key(), _Meter(content)
        self.store.put(stored.key, chunks.seal(data_key, stored.key, meter))
        return Written(meter.size_bytes, meter.digest.digest(), self.vault.encrypt(data_key))

    def read(self, stored: StoredFile, *, start: int = 0, length: int | None = None) -> Pieces:
        """Yield the content, or `length` bytes of it from `start` on, piece by piece. Whoever
        stops early closes it.

        Raises:
            Gone: it was destroyed, or never written.
            NotFound: the store has lost it.
            Unavailable: the store does not answer, or what it has was altered.
        """
        if stored.wrapped_key is None or stored.size_bytes is None:
            raise Gone("This file was deleted.", code="file_deleted")
        data_key = self.vault.decrypt(stored.wrapped_key)
        part = chunks.span(stored.size_bytes, start=start, length=length)
        sealed = self.store.open(stored.key, start=part.start, length=part.length)
        return chunks.unseal(data_key, stored.key, stored.size_bytes, part, sealed)

    def read_all(self, parts: Iterable[StoredFile]) -> Iterator[bytes]:
        """Yield the contents of several files, one after the other: see `read`."""
        for part in parts:
            with closing(self.read(part)) as pieces:
                yield from pieces


class _Meter:
    """Passes a stream on and knows afterwards what it was."""

    def __init__(self, content: Iterable[bytes]) -> None:
        self._content = content
        self.size_bytes = 0
        self.digest = sha256()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._content:
            self.size_bytes += len(piece)
            self.digest.update(piece)
            yield piece


def announce(db: Session, *, organisation_id: UUID | None, now: datetime) -> StoredFile:
    """Make the row of a file that is going to be written."""
    stored = StoredFile(id=new_id(), organisation_id=organisation_id, created_at=now)
    db.add(stored)
    db.flush()  # rows that refer to it may come next, and no relationship tells their order
    return stored


def record(db: Session, stored_id: UUID, written: Written) -> None:
    """Note what was written; from now on it can be read.

    Raises:
        Gone: it was destroyed meanwhile, or took longer than a day.
    """
    changed = db.scalars(
        update(StoredFile)
        .where(
            StoredFile.id == stored_id,
            StoredFile.destroyed_at.is_(None),
            StoredFile.erased_at.is_(None),
        )
        .values(
            size_bytes=written.size_bytes,
            sha256=written.sha256,
            wrapped_key=written.wrapped_key,
        )
        .returning(StoredFile.id)
    )
    if changed.one_or_none() is None:
        raise Gone("This file was deleted.", code="file_deleted")


def destroy(db: Session, stored_id: UUID, *, now: datetime) -> None:
    """Forget a file's key, so that nobody can read it any more, and what would tell whether it was
    a certain one; a second time changes nothing."""
    db.execute(
        update(StoredFile)
        .where(StoredFile.id == stored_id, StoredFile.destroyed_at.is_(None))
        .values(wrapped_key=None, size_bytes=None, sha256=None, destroyed_at=now)
    )


def traces(db: Session, stored_ids: Collection[UUID]) -> list[StoredFile]:
    """Return what is known of files that were to be destroyed: when their keys were, and since when
    their bytes are gone from the store, too. One whose key is there is not hidden."""
    query = select(StoredFile).where(StoredFile.id.in_(stored_ids))
    return list(db.scalars(query.order_by(StoredFile.id)))


def to_erase(
    db: Session, *, after: StoredFile | None = None, limit: int, now: datetime
) -> list[StoredFile]:
    """Return files whose key is gone, and those that somebody began to write and never ended; the
    oldest first, behind `after`, so that what cannot be erased is passed over."""
    died = StoredFile.created_at < now - WRITTEN_WITHIN
    order = (StoredFile.created_at, StoredFile.id)
    query = select(StoredFile).where(
        StoredFile.wrapped_key.is_(None),
        StoredFile.erased_at.is_(None),
        StoredFile.destroyed_at.is_not(None) | died,
    )
    if after is not None:
        query = query.where(tuple_(*order) > tuple_(after.created_at, after.id))
    return list(db.scalars(query.order_by(*order).limit(limit)))


def record_erased(db: Session, stored_id: UUID, *, now: datetime) -> None:
    """Note that nothing is left in the store."""
    db.execute(
        update(StoredFile)
        .where(StoredFile.id == stored_id, StoredFile.wrapped_key.is_(None))
        .values(erased_at=now)
    )


def rewrap(db: Session, vault: Vault) -> int:
    """Encrypt all files' keys with the first master key; return how many. No file is touched.

    Raises:
        Unavailable: one was made with a key that is no longer among MASTER_KEYS.
    """
    held = select(StoredFile).where(StoredFile.wrapped_key.is_not(None)).with_for_update()
    number = 0
    for stored in db.scalars(held.execution_options(yield_per=1000)):
        assert stored.wrapped_key is not None
        stored.wrapped_key = vault.rotate(stored.wrapped_key)
        number += 1
        if number % 1000 == 0:
            db.flush()
    return number
