"""Files of recordings: read, moved along their life, told of, and decided about."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import SERVICE, Actor
from app.errors import Conflict, NotFound, Stale
from app.events import service as events
from app.recording_files import states
from app.recording_files.models import RecordingFile
from app.recording_files.states import READY, State, Step
from app.recordings import follow
from app.recordings import states as recording_states
from app.recordings.models import Recording
from app.sessions import service as sessions

WITHHELD, FILE_MISSING = "withheld", "file_missing"
# Somebody looks after a file of which no more comes for so long.
GOES_ON_WITHIN = timedelta(minutes=15)

# What is not kept of a file that was deleted: who was seen in it, and what would tell whether it
# was a certain one.
NOTHING_LEFT: Mapping[str, Any] = {"seen": [], "sha256": b"", "due_at": None}


def of_recordings(
    db: Session, recording_ids: Collection[UUID]
) -> Mapping[UUID, list[RecordingFile]]:
    """Return the files of recordings, each's in the order they came."""
    if not recording_ids:
        return {}
    query = select(RecordingFile).where(RecordingFile.recording_id.in_(recording_ids))
    found: dict[UUID, list[RecordingFile]] = defaultdict(list)
    for file in db.scalars(query.order_by(RecordingFile.created_at, RecordingFile.id)):
        assert file.recording_id is not None
        found[file.recording_id].append(file)
    return found


def orphans(db: Session, *, limit: int) -> list[RecordingFile]:
    """Return files of no recording that we know and that are there, the newest first."""
    query = select(RecordingFile).where(
        RecordingFile.recording_id.is_(None), RecordingFile.state != State.DELETED
    )
    newest = query.order_by(RecordingFile.created_at.desc(), RecordingFile.id.desc())
    return list(db.scalars(newest.limit(limit)))


def lock(db: Session, file_id: UUID) -> tuple[RecordingFile, Recording | None]:
    """Return a file and its recording, whose session is locked until the transaction ends."""
    file = db.get_one(RecordingFile, file_id)
    recording = lock_recording(db, file.recording_id) if file.recording_id else None
    return db.get_one(RecordingFile, file_id, populate_existing=True), recording


def lock_recording(db: Session, recording_id: UUID) -> Recording:
    """Return a recording whose session is locked until the transaction ends."""
    found = db.get_one(Recording, recording_id)
    sessions.lock(db, organisation_id=found.organisation_id, session_id=found.session_id)
    return db.get_one(Recording, recording_id, populate_existing=True)


def step(db: Session, file_id: UUID, way: Step, *conditions: Any, **values: Any) -> bool:
    """Take a file along its life if it stands where that is possible; tell whether it did."""
    changed = db.scalars(
        update(RecordingFile)
        .where(
            RecordingFile.id == file_id,
            RecordingFile.state.in_(states.sources_of(way)),
            *conditions,
        )
        .values(state=states.target_of(way), **values)
        .returning(RecordingFile)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return changed.one_or_none() is not None


def tell(
    db: Session,
    file: RecordingFile,
    recording: Recording | None,
    type_: str,
    *,
    actor: Actor = SERVICE,
    now: datetime,
    **detail: Any,
) -> None:
    """Write the event and the audit entry of something that happened to a file, which makes another
    version of its recording. Of an orphan only the audit log hears: it has no session."""
    if recording is not None:
        recording.version += 1
        db.flush()
        data = {"recording_id": str(recording.id), **_known(file)}
        events.append(db, type_, session_id=recording.session_id, data=data, now=now)
    note(db, file, recording, type_, actor=actor, now=now, **detail)


def note(
    db: Session,
    file: RecordingFile,
    recording: Recording | None,
    action: str,
    *,
    actor: Actor = SERVICE,
    now: datetime,
    **detail: Any,
) -> None:
    """Write the audit entry alone."""
    audit.record(
        db,
        action=action,
        actor=actor,
        now=now,
        organisation_id=file.organisation_id,
        session_id=recording.session_id if recording else None,
        detail={
            "recording_id": str(recording.id) if recording else None,
            **_known(file),
            **detail,
        },
    )


def _known(file: RecordingFile) -> dict[str, Any]:
    return {"recording_file_id": str(file.id), "reason": file.reason}


def find(db: Session, recording: Recording, *, actor: Actor, now: datetime) -> None:
    """Say of a recording whose file was missing that one comes. The session is locked."""
    if recording.state == recording_states.State.FAILED:
        follow.take(db, recording, recording_states.Step.FIND, actor=actor, now=now)
    elif recording.reason == FILE_MISSING:
        recording.reason, recording.version = None, recording.version + 1
        db.flush()


def retry(db: Session, *, recording_id: UUID, actor: Actor, now: datetime) -> list[RecordingFile]:
    """Have what failed of a recording worked on again, with all its tries; return the files that
    are worked on now. A second time, while they are, changes nothing.

    Raises:
        NotFound: there is no such recording.
        Conflict: nothing of it failed.
    """
    if db.get(Recording, recording_id) is None:
        raise NotFound("There is no such recording.", code="recording_not_found")
    recording = lock_recording(db, recording_id)
    files = of_recordings(db, [recording_id]).get(recording_id, [])
    why = {file.id: file.reason for file in files}
    anew = {"reason": None, "due_at": now, "tries": 0}
    again = [file for file in files if step(db, file.id, Step.RETRY, **anew)]
    for file in again:
        note(db, file, recording, "recording.file_retried", actor=actor, now=now, why=why[file.id])
    if again:
        find(db, recording, actor=actor, now=now)
    under_way = [file for file in files if file.state == State.PROCESSING]
    if not under_way:
        raise Conflict("No file of this recording failed.", code="recording_nothing_failed")
    return under_way


def keep(db: Session, recording: Recording, *, now: datetime) -> None:
    """Say of a recording that is over that there is something to see of it, or that all of it is
    withheld. The session is locked."""
    files = of_recordings(db, [recording.id])[recording.id]
    ready = [file for file in files if file.state in READY]
    if not ready:
        return
    reason = None if any(file.state == State.AVAILABLE for file in ready) else WITHHELD
    if recording.state == recording_states.State.PROCESSING:
        way = recording_states.Step.KEEP
        follow.take(db, recording, way, actor=SERVICE, now=now, reason=reason)
    elif recording.state == recording_states.State.AVAILABLE and recording.reason != reason:
        recording.reason, recording.version = reason, recording.version + 1
        db.flush()


def may_show_people() -> ColumnElement[bool]:
    """Tell of recordings whether somebody may be seen in them: also of one that failed, if there is
    a file of it or one may come yet."""
    has_file = exists().where(RecordingFile.recording_id == Recording.id)
    is_failed = Recording.state == recording_states.State.FAILED
    return Recording.state.in_(recording_states.WITH_CONTENT) | (
        is_failed & (Recording.started_at.is_not(None) | has_file)
    )


def withhold_all(
    db: Session,
    recording_ids: Collection[UUID],
    *,
    code: str,
    is_news: bool,
    now: datetime,
) -> None:
    """Let nobody see files of recordings until a person has decided, and note of those that are
    withheld what else there is to decide. The session is locked, so what is seen now was released
    or became available before: no clock is asked.

    Args:
        is_news: whether it was found just now. Of what was found before, a file that is seen and
            has the finding was released by somebody who knew, and stays so.
    """
    for recording_id, files in of_recordings(db, recording_ids).items():
        recording = db.get_one(Recording, recording_id)
        for file in (one for one in files if one.state in READY):
            if code not in file.findings or (is_news and file.state == State.AVAILABLE):
                found = list(dict.fromkeys([*file.findings, code]))
                step(db, file.id, Step.WITHHOLD, reason=code, findings=found)
                type_ = "recording.file_withheld"
                tell(db, file, recording, type_, now=now, findings=found)
        keep(db, recording, now=now)


def release(
    db: Session,
    *,
    organisation_id: UUID,
    recording_id: UUID,
    file_id: UUID,
    version: int | None,
    why: str,
    actor: Actor,
    now: datetime,
) -> Recording:
    """Let a withheld file be seen, because somebody answers for it.

    Args:
        version: of the recording as they read it, which says what they knew.
        why: their reason, for the audit log alone.

    Raises:
        NotFound: no such recording, or no such file of it.
        Conflict: the file is not withheld; or somebody took their consent back, and there is no
            `version`.
        Stale: the recording, or one of its files, changed since it was read.
    """
    found = db.get(Recording, recording_id)
    file = db.get(RecordingFile, file_id)
    if found is None or found.organisation_id != organisation_id:
        raise NotFound("There is no such recording.", code="recording_not_found")
    if file is None or file.recording_id != recording_id:
        raise NotFound("There is no such file of this recording.", code="recording_file_not_found")
    file, recording = lock(db, file_id)
    assert recording is not None
    if file.state != State.WITHHELD:
        raise Conflict(f"The file is {file.state}.", code="recording_file_not_withheld")
    _require_known(recording, version)
    step(db, file.id, Step.RELEASE, reason=None, ready_at=now)
    type_ = "recording.file_released"
    tell(db, file, recording, type_, actor=actor, now=now, why=why, findings=file.findings)
    keep(db, recording, now=now)
    return recording


def _require_known(recording: Recording, version: int | None) -> None:
    """See that whoever decides knows what there is to decide. Only a withdrawal changes that while
    a file is withheld; so without one nobody has to say what they read."""
    if version is None and recording.withdrawn_at is not None:
        raise Conflict(
            "Somebody took their consent back; read the recording, and send its ETag in If-Match.",
            code="recording_withdrawn",
        )
    if version is not None and version != recording.version:
        raise Stale(
            "The recording changed since you read it; read it again.", code="version_outdated"
        )
