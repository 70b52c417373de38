"""The relay's look at recordings that are over: is there a file, does it come, and whose is it?"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.audit.service import SERVICE
from app.observability import place_of
from app.recording_files import service
from app.recording_files.models import RecordingFile
from app.recording_files.processing import RECORDING_UNKNOWN
from app.recording_files.service import FILE_MISSING
from app.recording_files.states import READY, State
from app.recording_files.states import Step as FileStep
from app.recordings import follow
from app.recordings.models import Recording
from app.recordings.states import State as RecordingState
from app.recordings.states import Step
from app.services import Services

log = structlog.get_logger()

# A recorder hands over at once, and its own sweep looks every minute.
COMES_WITHIN = timedelta(minutes=15)
# A machine that was switched off for the weekend still has its files.
GIVEN_UP_AFTER = timedelta(days=7)
BATCH = 100


def sweep(services: Services, *, now: datetime) -> int:
    """Look at recordings that wait for a file; return how many there were. Each is a transaction
    of its own that holds its session's row, so any number of relays may sweep."""
    with services.database.begin() as db:
        waiting = _waiting(db, now)
    for recording_id in waiting:
        try:
            with services.database.begin() as db:
                _look(db, service.lock_recording(db, recording_id), now)
        except Exception as error:  # noqa: BLE001 - one odd recording must not keep the others
            kind, place = type(error).__name__, place_of(error)
            log.warning("file_sweep_failed", recording=str(recording_id), kind=kind, place=place)
    return len(waiting)


def recognise(services: Services, *, now: datetime) -> int:
    """Have a worker look again at orphans in whose folder lies a recording that has become known;
    return how many. The room may say later than the recorder what the folder is called."""
    known = exists().where(Recording.jitsi_session == RecordingFile.folder)
    query = select(RecordingFile.id).where(
        RecordingFile.recording_id.is_(None),
        RecordingFile.state == State.ORPHANED,
        # One on which work failed would fail for ever.
        RecordingFile.reason == RECORDING_UNKNOWN,
        known,
    )
    with services.database.begin() as db:
        found = db.scalars(query.limit(BATCH)).all()
        anew = {"reason": None, "due_at": now, "tries": 0}
        return sum(service.step(db, one, FileStep.RECOGNISE, **anew) for one in found)


def _waiting(db: Session, now: datetime) -> Sequence[UUID]:
    """Return what is over for a while: once if no file comes, and again when it is given up."""
    is_told = Recording.reason.is_not_distinct_from(FILE_MISSING)
    query = select(Recording.id).where(
        Recording.state == RecordingState.PROCESSING,
        Recording.changed_at <= now - COMES_WITHIN,
        ~is_told | (Recording.changed_at <= now - GIVEN_UP_AFTER),
    )
    return db.scalars(query.order_by(Recording.changed_at).limit(BATCH)).all()


def _look(db: Session, recording: Recording, now: datetime) -> None:
    if recording.state != RecordingState.PROCESSING:
        return
    files = service.of_recordings(db, [recording.id]).get(recording.id, [])
    if any(_is_under_way(file, now) for file in files):
        return
    failed = [file for file in files if file.state == State.FAILED]
    if any(file.state in READY for file in files):
        service.keep(db, recording, now=now)
    elif failed and len(failed) == len(files):
        follow.take(db, recording, Step.FAIL, actor=SERVICE, now=now, reason=failed[-1].reason)
    elif now - recording.changed_at > GIVEN_UP_AFTER:
        follow.take(db, recording, Step.FAIL, actor=SERVICE, now=now, reason=FILE_MISSING)
    elif recording.reason != FILE_MISSING:
        recording.reason, recording.version = FILE_MISSING, recording.version + 1
        db.flush()
        follow.tell(db, recording, "recording.file_missing", actor=SERVICE, now=now)


def _is_under_way(file: RecordingFile, now: datetime) -> bool:
    """Tell whether a file still comes, or is worked on."""
    is_late = file.due_at is not None and file.due_at <= now
    return file.state == State.PROCESSING or (file.state == State.ARRIVING and not is_late)
