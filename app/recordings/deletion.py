"""The end of a recording: its files' keys are destroyed, and everything that led to them with it.

From the commit on nobody can read it, whoever has a copy of the store. A worker erases the bytes
after that (`app.storage.sweep`), and says when in the same row, which `proof` hands out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit.service import SERVICE, Actor
from app.errors import Conflict
from app.holds import service as holds
from app.playback import service as playback
from app.recording_files import service as recording_files
from app.recording_files.models import RecordingFile, RecordingPart
from app.recording_files.states import State as FileState
from app.recording_files.states import Step as FileStep
from app.recordings import follow, service
from app.recordings.models import Recording
from app.recordings.states import LIVE, OVER, Step
from app.storage import service as storage
from app.storage.models import StoredFile

RETENTION = "retention"


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that a recording is gone: of each file that was stored of it, when its key was
    destroyed and when its bytes were erased."""

    recording: Recording
    stored_files: Sequence[StoredFile]


def delete(
    db: Session, *, organisation_id: UUID, recording_id: UUID, actor: Actor, now: datetime
) -> Recording:
    """Destroy a recording because somebody asks for it. A second time changes nothing.

    Raises:
        NotFound: no such recording.
        Conflict: it is not over yet, or there is a legal hold on the session.
    """
    service.get(db, organisation_id=organisation_id, recording_id=recording_id)
    recording = recording_files.lock_recording(db, recording_id)
    if recording.state in OVER:
        return recording
    if recording.state in LIVE:
        raise Conflict("It is being recorded; stop it first.", code="recording_live")
    holds.require_free(db, recording.session_id)
    _end(db, recording, Step.DELETE, reason=None, actor=actor, now=now)
    return recording


def expire(db: Session, recording_id: UUID, *, now: datetime) -> bool:
    """Destroy a recording whose time is over, unless somebody did, or the session is held now."""
    recording = recording_files.lock_recording(db, recording_id)
    if recording.state in OVER or holds.is_held(db, recording.session_id):
        return False
    _end(db, recording, Step.EXPIRE, reason=RETENTION, actor=SERVICE, now=now)
    return True


def end_orphan(db: Session, file_id: UUID, *, now: datetime) -> bool:
    """Destroy what a recorder left of a recording that nobody knows, unless somebody did. Its row
    stays: a recorder that comes with it again is not asked for it."""
    file = db.get_one(RecordingFile, file_id, with_for_update=True, populate_existing=True)
    if file.recording_id is not None or file.state == FileState.DELETED:
        return False
    _destroy(db, file, reason=RETENTION, now=now)
    recording_files.note(db, file, None, "recording.file_deleted", now=now)
    return True


def proof(db: Session, *, organisation_id: UUID, recording_id: UUID) -> Proof:
    """Return what shows that a recording is gone.

    Raises:
        NotFound: no such recording.
        Conflict: it was not deleted.
    """
    recording = service.get(db, organisation_id=organisation_id, recording_id=recording_id)
    if recording.state not in OVER:
        raise Conflict(f"The recording is {recording.state}.", code="recording_not_deleted")
    stored = [one for file in _files(db, recording) for one in _stored(db, file)]
    return Proof(recording, storage.traces(db, stored))


def _end(
    db: Session,
    recording: Recording,
    step: Step,
    *,
    reason: str | None,
    actor: Actor,
    now: datetime,
) -> None:
    for file in _files(db, recording):
        _destroy(db, file, reason=reason, now=now)
    playback.revoke_all(db, recording.id, now=now)
    by = {"deleted_at": now, "deleted_by_kind": actor.kind, "deleted_by": actor.id}
    follow.take(db, recording, step, actor=actor, now=now, reason=reason, **by)


def _destroy(db: Session, file: RecordingFile, *, reason: str | None, now: datetime) -> None:
    # First: it locks the row, and whoever notes one more stretch of a file does so by that row.
    recording_files.step(
        db, file.id, FileStep.DELETE, **recording_files.NOTHING_LEFT, reason=reason
    )
    for stored_id in _stored(db, file):
        storage.destroy(db, stored_id, now=now)


def _files(db: Session, recording: Recording) -> Sequence[RecordingFile]:
    return recording_files.of_recordings(db, [recording.id]).get(recording.id, [])


def _stored(db: Session, file: RecordingFile) -> list[UUID]:
    parts = select(RecordingPart.stored_id).where(RecordingPart.file_id == file.id)
    made = (file.content_id, file.playable_id, file.poster_id)
    return [*db.scalars(parts), *(one for one in made if one is not None)]
