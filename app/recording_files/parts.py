"""The stretches a recorder's file arrives in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.audit.service import RECORDER
from app.errors import Gone
from app.recording_files import service
from app.recording_files.models import RecordingFile, RecordingPart
from app.recording_files.states import State, Step
from app.recordings.models import Recording
from app.storage import service as storage
from app.storage.arriving import Arrival, elsewhere
from app.storage.models import StoredFile


class RecordedBytes(Arrival):
    """A recorder's bytes for one file. Whoever has its ticket may send them."""

    def progress(self) -> tuple[int, int]:
        """Return how many bytes are there, and how many there will be.

        Raises:
            Gone: nothing more is wanted.
        """
        with self._database.begin() as db:
            file = db.get(RecordingFile, self._file_id)
        if file is None or file.state != State.ARRIVING:
            raise Gone("All of this file is here.", code="upload_gone")
        return file.received_bytes, file.size_bytes

    def take(self, db: Session, stored_id: UUID, *, start: int, end: int, now: datetime) -> None:
        """Note a stretch; with the last one a worker begins."""
        file = _advance(db, self._file_id, start=start, end=end, now=now)
        place = {"file_id": file.id, "start": start}
        part = insert(RecordingPart).values(
            **place, organisation_id=file.organisation_id, stored_id=stored_id
        )
        # A file that is sent anew has had a stretch there, which is destroyed.
        db.execute(
            part.on_conflict_do_update(
                index_elements=["file_id", "start"], set_={"stored_id": stored_id}
            )
        )
        if end == file.size_bytes:
            service.step(db, file.id, Step.RECEIVE, due_at=now)
            recording = db.get(Recording, file.recording_id) if file.recording_id else None
            service.note(db, file, recording, "recording.file_received", actor=RECORDER, now=now)


def of_file(db: Session, file_id: UUID) -> list[StoredFile]:
    """Return the stretches of a file that are there, in their order."""
    query = (
        select(StoredFile)
        .join(RecordingPart, RecordingPart.stored_id == StoredFile.id)
        .where(RecordingPart.file_id == file_id, StoredFile.destroyed_at.is_(None))
        .order_by(RecordingPart.start)
    )
    return list(db.scalars(query))


def destroy(db: Session, file_id: UUID, *, now: datetime) -> None:
    """Destroy the keys of all stretches of a file."""
    for part in of_file(db, file_id):
        storage.destroy(db, part.id, now=now)


def _advance(db: Session, file_id: UUID, *, start: int, end: int, now: datetime) -> RecordingFile:
    file = db.scalars(
        update(RecordingFile)
        .where(
            RecordingFile.id == file_id,
            RecordingFile.state == State.ARRIVING,
            RecordingFile.received_bytes == start,
        )
        .values(received_bytes=end, due_at=now + service.GOES_ON_WITHIN)
        .returning(RecordingFile)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if file is None:
        raise elsewhere()
    return file
