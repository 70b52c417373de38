"""Work on a file that has arrived, in steps that are recorded one by one: whoever goes on after a
worker died begins where it stopped. A claim is a lease, made longer while the work goes on.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.audit.service import SERVICE
from app.errors import Gone, Unavailable
from app.recording_files import findings, parts, service
from app.recording_files.models import RecordingFile
from app.recording_files.states import UNFINISHED, State, Step
from app.recordings import follow
from app.recordings.models import Recording
from app.recordings.states import LIVE, OVER
from app.recordings.states import State as RecordingState
from app.recordings.states import Step as RecordingStep
from app.storage import service as storage
from app.storage.service import Written

# A file that kills its workers is given up; one that waits for something else is not to blame.
MOST_TRIES = 8
RECORDING_UNKNOWN = "recording_unknown"
LIVE_STILL, NO_ROOM = "recording_live", "temporary_space_full"
# A stretch is not as it was stored. The recorder still has it: nothing was kept that it may forget.
LOST = frozenset({"stored_file_missing", "stored_file_damaged"})
OUTAGES = frozenset({"storage_unavailable", "master_key_missing", LIVE_STILL})
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 300.0
# How long until a file is looked at again whose recording is not over.
LIVE_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Made:
    """A stored file that was written and has no key in the database yet."""

    id: UUID
    written: Written


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file is made of. `media_type` is that of the file as it was recorded."""

    media_type: str
    duration_ms: int
    width: int
    height: int
    video_codec: str
    audio_codec: str | None


def due(db: Session, *, limit: int, now: datetime) -> list[UUID]:
    """Return files that wait for a worker."""
    query = select(RecordingFile.id).where(
        RecordingFile.due_at <= now, RecordingFile.state == State.PROCESSING
    )
    return list(db.scalars(query.order_by(RecordingFile.due_at).limit(limit)))


def claim(db: Session, file_id: UUID, *, lease_s: int, now: datetime) -> RecordingFile | None:
    """Take a file, unless somebody else has it."""
    counted = {"attempts": RecordingFile.attempts + 1, "tries": RecordingFile.tries + 1}
    return db.scalars(
        update(RecordingFile)
        .where(
            RecordingFile.id == file_id,
            RecordingFile.state == State.PROCESSING,
            RecordingFile.due_at <= now,
        )
        .values(due_at=now + timedelta(seconds=lease_s), **counted)
        .returning(RecordingFile)
        .execution_options(populate_existing=True, synchronize_session=False)
    ).one_or_none()


def prolong(
    db: Session, claimed: RecordingFile, *, lease_s: int, progress: int, now: datetime
) -> None:
    """Make a claim longer, and say how far the work is.

    Raises:
        Gone: somebody else has the file.
    """
    _update(db, claimed, due_at=now + timedelta(seconds=lease_s), progress=progress)


def is_hopeless(claimed: RecordingFile) -> bool:
    """Tell whether a file was tried often enough."""
    return claimed.tries > MOST_TRIES


def postpone(db: Session, claimed: RecordingFile, *, reason: str, now: datetime) -> None:
    """Say what the file waits for, and look again a little later. An outage is no try."""
    is_outage = reason in OUTAGES
    often = claimed.attempts if is_outage else claimed.tries
    wait_s = min(FIRST_WAIT_S * 2 ** min(often - 1, 10), LONGEST_WAIT_S)
    if reason == LIVE_STILL:
        wait_s = LIVE_WAIT_S
    tries = claimed.tries - is_outage
    _update(db, claimed, reason=reason, due_at=now + timedelta(seconds=wait_s), tries=tries)


def require_over(db: Session, recording_id: UUID) -> None:
    """See that a recording is over: before that nobody knows who was there while it lasted.

    Raises:
        Unavailable: it is not.
    """
    if db.get_one(Recording, recording_id).state in LIVE:
        raise Unavailable("The recording is not over.", code=LIVE_STILL)


def keep(db: Session, claimed: RecordingFile, content: Made, *, now: datetime) -> bool:
    """Note that a file is stored as the recorder has it. False: what came is not that, and is sent
    anew."""
    file, _ = service.lock(db, claimed.id)
    if content.written.sha256 == file.sha256:
        storage.record(db, content.id, content.written)
        _update(db, claimed, content_id=content.id, kept_at=now, reason=None)
        parts.destroy(db, file.id, now=now)
        return True
    storage.destroy(db, content.id, now=now)
    begin_anew(db, claimed, reason="hash_mismatch", now=now)
    return False


def begin_anew(db: Session, claimed: RecordingFile, *, reason: str, now: datetime) -> None:
    """Keep nothing of what came of a file, so that the recorder sends all of it once more; unless
    somebody else has the file."""
    file, recording = service.lock(db, claimed.id)
    mine, due_at = _mine(claimed), now + service.GOES_ON_WITHIN
    fresh = {"received_bytes": 0, "reason": reason, "due_at": due_at}
    if service.step(db, file.id, Step.RESTART, mine, **fresh):
        parts.destroy(db, file.id, now=now)
        service.note(db, file, recording, "recording.file_damaged", now=now)


def owner_of(db: Session, file: RecordingFile) -> Recording | None:
    """Return the recording in whose folder an orphan lies, if it has become known."""
    query = select(Recording).where(Recording.jitsi_session == file.folder)
    return db.scalars(query).first()


def take_over(
    db: Session, claimed: RecordingFile, recording_id: UUID, content: Made, *, now: datetime
) -> RecordingFile:
    """Give an orphan to its recording, with a copy that is its organisation's. Nobody can read any
    more the one that was nobody's.

    Raises:
        Gone: somebody else has the file, or it or its recording was deleted.
    """
    recording = service.lock_recording(db, recording_id)
    if recording.state in OVER:
        raise Gone("The recording was deleted.", code="recording_deleted")
    file = db.get_one(RecordingFile, claimed.id, populate_existing=True)
    assert file.content_id is not None
    storage.destroy(db, file.content_id, now=now)
    storage.record(db, content.id, content.written)
    whose = {"organisation_id": recording.organisation_id, "recording_id": recording.id}
    _update(db, claimed, content_id=content.id, **whose)
    db.refresh(file)
    service.find(db, recording, actor=SERVICE, now=now)
    service.tell(db, file, recording, "recording.file_registered", now=now, was=State.ORPHANED)
    return file


def forget(db: Session, claimed: RecordingFile, recording: Recording, *, now: datetime) -> None:
    """Destroy an orphan whose recording has become known and was deleted."""
    file = db.get_one(RecordingFile, claimed.id, populate_existing=True)
    values = {**service.NOTHING_LEFT, "reason": recording.state}
    if service.step(db, file.id, Step.DELETE, _mine(claimed), **values):
        assert file.content_id is not None
        storage.destroy(db, file.content_id, now=now)
        service.note(db, file, recording, "recording.file_deleted", now=now)


def set_aside(db: Session, claimed: RecordingFile, *, now: datetime) -> None:
    """Keep a file of no recording that we know where nobody sees it."""
    file = db.get_one(RecordingFile, claimed.id)
    _set_aside(db, claimed, file, reason=RECORDING_UNKNOWN, now=now)


def finish(
    db: Session,
    claimed: RecordingFile,
    facts: Facts,
    *,
    playable: Made | None,
    poster: Made | None,
    now: datetime,
) -> None:
    """Let a file be seen, or withhold it if somebody in it may not have agreed.

    Raises:
        Gone: somebody else has the file.
    """
    file, recording = service.lock(db, claimed.id)
    assert recording is not None
    for one in (playable, poster):
        if one is not None:
            storage.record(db, one.id, one.written)
    found = findings.of_file(db, file, recording, duration_ms=facts.duration_ms)
    against = next((code for code in found if code in findings.WITHHOLDING), None)
    values: dict[str, Any] = {
        **{name: getattr(facts, name) for name in facts.__slots__},
        "playable_id": playable.id if playable else None,
        "poster_id": poster.id if poster else None,
        "findings": found,
        "reason": against,
        "progress": 100,
        "due_at": None,
        "ready_at": now,
    }
    way = Step.WITHHOLD if against else Step.PASS
    if not service.step(db, file.id, way, _mine(claimed), **values):
        raise _taken()
    type_ = "recording.file_withheld" if against else "recording.file_available"
    service.tell(db, file, recording, type_, now=now, findings=found)
    service.keep(db, recording, now=now)


def fail(db: Session, claimed: RecordingFile, *, code: str, now: datetime) -> None:
    """Say that nothing can be made of a file; what was kept of it stays. With the last file that
    might have been something the recording fails. One of no recording is set aside."""
    file, recording = service.lock(db, claimed.id)
    if recording is None:
        _set_aside(db, claimed, file, reason=code, now=now)
        return
    if not service.step(db, file.id, Step.FAIL, _mine(claimed), reason=code, due_at=None):
        return
    service.tell(db, file, recording, "recording.file_failed", now=now)
    if recording.state == RecordingState.PROCESSING:
        _fail_recording(db, recording, code, now)


def give_up(db: Session, claimed: RecordingFile, *, now: datetime) -> None:
    """Say that work on a file was begun often enough."""
    if claimed.reason == NO_ROOM:
        fail(db, claimed, code=NO_ROOM, now=now)
    else:
        fail(db, claimed, code="processing_failed", now=now)


def _set_aside(
    db: Session, claimed: RecordingFile, file: RecordingFile, *, reason: str, now: datetime
) -> None:
    values = {"reason": reason, "due_at": None, "ready_at": now}
    if service.step(db, file.id, Step.SET_ASIDE, _mine(claimed), **values):
        service.note(db, file, None, "recording.file_orphaned", now=now)


def _fail_recording(db: Session, recording: Recording, code: str, now: datetime) -> None:
    files = service.of_recordings(db, [recording.id])[recording.id]
    if all(file.state == State.FAILED for file in files):
        follow.take(db, recording, RecordingStep.FAIL, actor=SERVICE, now=now, reason=code)
    elif not any(file.state in UNFINISHED for file in files):
        service.keep(db, recording, now=now)


def _mine(claimed: RecordingFile) -> Any:
    return RecordingFile.attempts == claimed.attempts


def _update(db: Session, claimed: RecordingFile, **values: Any) -> None:
    changed = db.scalars(
        update(RecordingFile)
        .where(
            RecordingFile.id == claimed.id,
            RecordingFile.state == State.PROCESSING,
            _mine(claimed),
        )
        .values(**values)
        .returning(RecordingFile.id)
        .execution_options(synchronize_session=False)
    )
    if changed.one_or_none() is None:
        raise _taken()


def _taken() -> Gone:
    return Gone("Somebody else works on this file.", code="recording_file_taken")
