"""Bytes that come in: in stretches, each stored and encrypted as it arrives, so that a sender that
lost its connection goes on where it stopped (tus resumable upload, https://tus.io, version 1.0).

A stretch is at most 8 MiB: what a dying process loses. Two senders of one file cannot mix: where a
stretch begins must be where the file ends, and the database decides who was first.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.audit.service import Actor
from app.db.engine import Database
from app.errors import Conflict, DomainError, Forbidden, Gone, Invalid
from app.files import service, sight
from app.files.kinds import RULES, Kind
from app.files.models import FilePart, SessionFile
from app.files.service import UPLOAD_WITHIN
from app.files.states import State, Step
from app.sessions.models import CareSession
from app.sessions.states import OVER
from app.storage import service as storage
from app.storage.models import StoredFile
from app.storage.service import Storage, Written

PART_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 64 * 1024
# Reads up to so many bytes of what a sender sends; b"" at its end, or where it broke off.
Read = Callable[[int], bytes]


class Upload:
    """One sender's bytes for one file."""

    def __init__(
        self,
        database: Database,
        held: Storage,
        *,
        organisation_id: UUID,
        file_id: UUID,
        actor: Actor,
    ) -> None:
        self._database = database
        self._storage = held
        self._organisation_id = organisation_id
        self._file_id = file_id
        self._actor = actor

    def progress(self) -> tuple[int, int]:
        """Return how many bytes are there, and how many there will be.

        Raises:
            Gone: the file was deleted, the upload given up, or the sender's session is over.
            Forbidden: the sender was removed, or may not share such files any more.
        """
        with self._database.begin(self._organisation_id) as db:
            file = db.get(SessionFile, self._file_id)
            if file is None or file.state == State.DELETED:
                raise Gone("This upload was given up.", code="upload_gone")
            require_sender(db, file, self._actor)
        return file.received_bytes, file.size_bytes

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
            raise _elsewhere()
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
        with self._database.begin(self._organisation_id) as db:
            stored = storage.announce(db, organisation_id=self._organisation_id, now=now)
        written = self._storage.write(stored, _pieces(read, first, most))
        try:
            self._record(stored, written, start=start, now=now)
        except DomainError:
            with self._database.begin(self._organisation_id) as db:
                storage.destroy(db, stored.id, now=now)
            raise
        return written.size_bytes

    def _record(self, stored: StoredFile, written: Written, *, start: int, now: datetime) -> None:
        with self._database.begin(self._organisation_id) as db:
            require_sender(db, service.lock(db, self._file_id), self._actor)
            storage.record(db, stored.id, written)
            end = start + written.size_bytes
            file = _advance(db, self._file_id, start=start, end=end, now=now)
            part = FilePart(
                file_id=file.id,
                start=start,
                organisation_id=self._organisation_id,
                stored_id=stored.id,
            )
            db.add(part)
            if end == file.size_bytes:
                complete(db, file, self._actor, now=now)


def require_sender(db: Session, file: SessionFile, actor: Actor) -> None:
    """Judge a person of the session anew, with each stretch. The hospital's own programs were
    judged by their scopes, and finish what they began after the end.

    Raises:
        NotFound, Forbidden: the person was removed, or may not share such files any more.
        Gone: the session is over.
    """
    if actor.kind != "participant":
        return
    permissions = sight.permissions_now(db, file, actor)
    session = db.get_one(CareSession, file.session_id)
    if session.state in OVER:
        raise Gone(f"The session is {session.state}.", code=f"session_{session.state}")
    if RULES[Kind(file.kind)].shared_by not in permissions:
        raise Forbidden("Your part in this session does not allow it.", code="not_permitted")


def complete(db: Session, file: SessionFile, actor: Actor, *, now: datetime) -> None:
    """Let a whole file be checked."""
    service.step(db, file.id, Step.RECEIVE, due_at=now)
    service.tell(db, file, "file.uploaded", now)
    service.note(db, file, "file.uploaded", actor, now)


def parts_of(db: Session, file_id: UUID) -> list[StoredFile]:
    """Return the stretches of a file in their order."""
    query = (
        select(StoredFile)
        .join(FilePart, FilePart.stored_id == StoredFile.id)
        .where(FilePart.file_id == file_id)
        .order_by(FilePart.start)
    )
    return list(db.scalars(query))


def _advance(db: Session, file_id: UUID, *, start: int, end: int, now: datetime) -> SessionFile:
    file = db.scalars(
        update(SessionFile)
        .where(
            SessionFile.id == file_id,
            SessionFile.state == State.UPLOADING,
            SessionFile.received_bytes == start,
        )
        .values(received_bytes=end, due_at=now + UPLOAD_WITHIN)
        .returning(SessionFile)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if file is None:
        raise _elsewhere()
    return file


def _pieces(read: Read, first: bytes, most: int) -> Iterator[bytes]:
    yield first
    left = most - len(first)
    while left and (piece := read(min(PIECE_BYTES, left))):
        left -= len(piece)
        yield piece


def _elsewhere() -> Conflict:
    return Conflict(
        "The file does not end there; ask with HEAD where it does.", code="upload_offset"
    )


def _too_much() -> Invalid:
    return Invalid("There is more of this file than was announced.", code="upload_too_long")
