"""Files of recordings as rows, for tests that are about what comes after a recorder."""

from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.clock import utc_now
from app.ids import new_id
from app.recording_files.models import RecordingFile, RecordingPart
from app.recordings.models import Recording
from app.services import Services
from app.storage import service as storage


def left(db: Session, recording_id: str, **values: Any) -> RecordingFile:
    """Note a file that a recorder left of a recording."""
    recording = db.get_one(Recording, UUID(recording_id))
    file_id = new_id()
    known = {"state": "arriving", "is_partial": False, "size_bytes": 9, "sha256": sha256().digest()}
    made = RecordingFile(
        id=file_id,
        organisation_id=recording.organisation_id,
        recording_id=recording.id,
        folder=str(file_id),
        name="room_2026-06-18-09-00-00.mp4",
        created_at=utc_now(),
        **{**known, **values},
    )
    db.add(made)
    db.flush()
    return made


def put(services: Services, recording_id: str, **values: Any) -> RecordingFile:
    """The same in a transaction of its own."""
    with services.database.begin() as db:
        return left(db, recording_id, **values)


def arrives(db: Session, file: RecordingFile) -> None:
    """Note a stretch of a file that arrives."""
    stored = storage.announce(db, organisation_id=file.organisation_id, now=utc_now())
    owner = {"file_id": file.id, "organisation_id": file.organisation_id}
    db.add(RecordingPart(**owner, start=0, stored_id=stored.id))


def keep(services: Services, recording_id: str, content: bytes, **values: Any) -> RecordingFile:
    """Store a file of a recording that can be seen."""
    with services.database.begin() as db:
        owner = db.get_one(Recording, UUID(recording_id)).organisation_id
        stored = storage.announce(db, organisation_id=owner, now=utc_now())
    written = services.storage.write(stored, [content])
    with services.database.begin() as db:
        storage.record(db, stored.id, written)
        facts = {"media_type": "video/mp4", "size_bytes": len(content), "content_id": stored.id}
        known = {"state": "available", "received_bytes": len(content), "sha256": written.sha256}
        return left(db, recording_id, **{**known, **facts, "ready_at": utc_now(), **values})
