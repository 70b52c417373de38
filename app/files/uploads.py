"""Files that people share as they come in, and their senders, judged anew with each stretch."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.audit.service import Actor
from app.db.engine import Database
from app.errors import Forbidden, Gone
from app.files import service, sight
from app.files.announcing import UPLOAD_WITHIN
from app.files.kinds import RULES, Kind
from app.files.models import FilePart, SessionFile
from app.files.states import State, Step
from app.sessions.models import CareSession
from app.sessions.states import OVER
from app.storage.arriving import Arrival, elsewhere
from app.storage.models import StoredFile
from app.storage.service import Storage


class Upload(Arrival):
    """One sender's bytes for one file of a session."""

    def __init__(
        self,
        database: Database,
        held: Storage,
        *,
        organisation_id: UUID,
        file_id: UUID,
        actor: Actor,
    ) -> None:
        super().__init__(database, held, organisation_id=organisation_id, file_id=file_id)
        self._owner_id = organisation_id
        self._actor = actor

    def progress(self) -> tuple[int, int]:
        """Return how many bytes are there, and how many there will be.

        Raises:
            Gone: the file was deleted, the upload given up, or the sender's session is over.
            Forbidden: the sender was removed, or may not share such files any more.
        """
        with self._database.begin(self._owner_id) as db:
            file = db.get(SessionFile, self._file_id)
            if file is None or file.state == State.DELETED:
                raise Gone("This upload was given up.", code="upload_gone")
            require_sender(db, file, self._actor)
        return file.received_bytes, file.size_bytes

    def take(self, db: Session, stored_id: UUID, *, start: int, end: int, now: datetime) -> None:
        """Note a stretch; the last one lets the file be checked."""
        require_sender(db, service.lock(db, self._file_id), self._actor)
        file = _advance(db, self._file_id, start=start, end=end, now=now)
        part = FilePart(
            file_id=file.id, start=start, organisation_id=self._owner_id, stored_id=stored_id
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
        raise elsewhere()
    return file
