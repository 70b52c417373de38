"""What lies in the store of a file, and what is left of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.files.models import FilePart, SessionFile
from app.files.states import State
from app.storage import service as storage
from app.storage.models import StoredFile


def of_file(db: Session, file: SessionFile, *, parts_only: bool = False) -> list[UUID]:
    """Return what was stored of a file, or only the parts it arrived in."""
    parts = db.scalars(select(FilePart.stored_id).where(FilePart.file_id == file.id))
    return [*parts, *filter(None, () if parts_only else (file.content_id, file.preview_id))]


def destroy(db: Session, file: SessionFile, *, now: datetime, parts_only: bool = False) -> None:
    """Destroy the keys of a file's parts and, unless told otherwise, of content and preview."""
    for stored_id in of_file(db, file, parts_only=parts_only):
        storage.destroy(db, stored_id, now=now)


def traces(db: Session, file: SessionFile) -> list[StoredFile]:
    """Return what is left of all that was stored of a deleted file.

    Raises:
        Conflict: it was not deleted.
    """
    if file.state != State.DELETED:
        raise Conflict(f"The file is {file.state}.", code="file_not_deleted", field="state")
    return storage.traces(db, of_file(db, file))
