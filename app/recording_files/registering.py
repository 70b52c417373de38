"""A recorder says what it has: which file, how large, with which checksum, of which recording.

The same call asks how far the file came, so a recorder that lost anything only calls again. What it
says is believed as far as it agrees with what the room told us.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import RECORDER
from app.errors import Conflict, DomainError, Invalid
from app.ids import new_id
from app.recording_files import metadata, parts, service, tickets
from app.recording_files.models import RecordingFile
from app.recording_files.states import UNFINISHED, State, Step
from app.recordings.models import Recording
from app.recordings.states import OVER
from app.rooms.models import RoomEvent
from app.services import Services
from app.settings import Settings

UPLOADS = "/internal/recorder/uploads"
MOST_BYTES = 32 * 1024**3


@dataclass(frozen=True, slots=True)
class Told:
    """What a recorder says of a file. `metadata`: Jibri's, as it lay beside it, or nothing."""

    folder: str
    name: str
    size_bytes: int
    sha256: bytes
    is_partial: bool
    metadata: bytes


def register(services: Services, told: Told, *, call_id: str, now: datetime) -> RecordingFile:
    """Return the row of a file: made with the first call about it, found by later ones.

    Raises:
        Invalid: it is too large, or the call has no number.
        Conflict: this very call was made before; the file is told to be of one recording and lies
            in the folder of another; or another file was taken in under its name. Each is audited.
    """
    try:
        with services.database.begin() as db:
            _require_first(db, call_id, now=now)
            return _registered(db, told, now=now)
    except DomainError as error:
        with services.database.begin() as db:
            audit.record(
                db,
                action="recording.file_refused",
                actor=RECORDER,
                now=now,
                organisation_id=None,
                refused=True,
                detail={
                    "code": error.code,
                    "folder": told.folder,
                    "recording_id": _named_in(told),
                },
            )
        raise


def answer(file: RecordingFile, settings: Settings, *, now: datetime) -> dict[str, Any]:
    """Return what a recorder is told of its file: `arriving` from `offset` on, `arrived` but not
    stored yet, `kept`, so that it need not keep it itself (nor one that was deleted here), or
    `refused` for good, and why."""
    code = upload = ""
    state = "arriving" if file.state == State.ARRIVING else "arrived"
    if file.kept_at is not None or file.state == State.DELETED:
        state = "kept"
    elif file.state == State.FAILED:
        state, code = "refused", file.reason or ""
    if state == "arriving":
        ticket = tickets.issue(file, secret=settings.api_token_secret[0], now=now)
        upload = f"{UPLOADS}/{ticket}"
    return {"state": state, "offset": file.received_bytes, "upload": upload, "code": code}


def _named_in(told: Told) -> str | None:
    named = metadata.read(told.metadata).recording_id
    return str(named) if named else None


def _registered(db: Session, told: Told, *, now: datetime) -> RecordingFile:
    if told.size_bytes > MOST_BYTES:
        raise Invalid(
            f"A file has at most {MOST_BYTES} bytes.",
            code="recording_too_large",
            field="size_bytes",
        )
    noted = metadata.read(told.metadata)
    recording = _recording_of(db, told, noted)
    file = _made(db, told, noted, recording, now)
    if file is None:
        file = _known(db, told, noted, now=now)
        if recording and file.recording_id is None and file.state != State.DELETED:
            _recognised(file, noted, recording)
        # It may have been given up.
        if recording and file.recording_id == recording.id and file.state in UNFINISHED:
            service.find(db, recording, actor=RECORDER, now=now)
        return file
    if recording is not None and recording.state in OVER:
        return _unwanted(db, file, recording, now)
    if recording is not None:
        service.find(db, recording, actor=RECORDER, now=now)
    service.tell(db, file, recording, "recording.file_registered", actor=RECORDER, now=now)
    return _whole(db, file, now=now)


def _require_first(db: Session, call_id: str, *, now: datetime) -> None:
    """Take in a call once: its answer lets whoever has it send bytes."""
    try:
        number = UUID(call_id)
    except ValueError as error:
        raise Invalid("Number your calls by UUIDs.", code="invalid_request") from error
    seen = insert(RoomEvent).values(id=number, received_at=now).on_conflict_do_nothing()
    if db.scalars(seen.returning(RoomEvent.id)).one_or_none() is None:
        raise Conflict("This call was made before.", code="recorder_call_repeated")


def _recording_of(db: Session, told: Told, noted: metadata.Noted) -> Recording | None:
    """Return whose file it is, its session locked: by what Prosody gave the recorder to write down,
    and by Jitsi's name of the recording, which the folder has and which the focus told us."""
    by_id = db.get(Recording, noted.recording_id) if noted.recording_id else None
    by_folder = db.scalars(select(Recording).where(Recording.jitsi_session == told.folder)).first()
    is_elsewhere = by_id and by_id.jitsi_session and _folder(by_id.jitsi_session) != told.folder
    if is_elsewhere or (by_id and by_folder and by_id.id != by_folder.id):
        raise Conflict("The file lies in another recording's folder.", code="recording_mismatch")
    found = by_id or by_folder
    return service.lock_recording(db, found.id) if found else None


def _folder(jitsi_session: str) -> str:
    """Return what Jibri calls the folder of a recording."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", jitsi_session)


def _made(
    db: Session,
    told: Told,
    noted: metadata.Noted,
    recording: Recording | None,
    now: datetime,
) -> RecordingFile | None:
    """Make the row of a file, unless there is one."""
    values = {
        "id": new_id(),
        "organisation_id": recording.organisation_id if recording else None,
        "recording_id": recording.id if recording else None,
        "folder": told.folder,
        "name": told.name,
        "state": State.ARRIVING,
        "due_at": now + service.GOES_ON_WITHIN,
        "created_at": now,
        **_as_told(told, noted),
    }
    made = insert(RecordingFile).values(**values).on_conflict_do_nothing()
    return db.scalars(made.returning(RecordingFile)).one_or_none()


def _as_told(told: Told, noted: metadata.Noted) -> dict[str, Any]:
    return {
        "size_bytes": told.size_bytes,
        "sha256": told.sha256,
        "is_partial": told.is_partial,
        "findings": list(noted.findings),
        "seen": list(noted.seen),
    }


def _known(db: Session, told: Told, noted: metadata.Noted, *, now: datetime) -> RecordingFile:
    """Go on with a file, or begin it anew if the recorder's has changed since and none of it is
    kept."""
    by_name = (RecordingFile.folder == told.folder, RecordingFile.name == told.name)
    file = db.scalars(select(RecordingFile).where(*by_name).with_for_update()).one()
    is_same = (file.size_bytes, file.sha256) == (told.size_bytes, told.sha256)
    if is_same:
        # It was looked at before its recorder had ended; nothing came after that.
        file.is_partial = file.is_partial and told.is_partial
    if is_same or file.state == State.DELETED:
        return file
    if file.state != State.ARRIVING:
        raise Conflict("Another file was taken in under this name.", code="recording_file_differs")
    parts.destroy(db, file.id, now=now)
    file.received_bytes, file.due_at = 0, now + service.GOES_ON_WITHIN
    for name, value in _as_told(told, noted).items():
        setattr(file, name, value)
    db.flush()
    return _whole(db, file, now=now)


def _recognised(file: RecordingFile, noted: metadata.Noted, recording: Recording) -> None:
    """Note whose an orphan is; a worker takes it over. Its metadata may be there only now."""
    recording.jitsi_session = recording.jitsi_session or file.folder
    file.findings, file.seen = list(noted.findings), list(noted.seen)


def _unwanted(
    db: Session, file: RecordingFile, recording: Recording, now: datetime
) -> RecordingFile:
    """Take in nothing of a recording that was deleted; its recorder need not keep it either."""
    service.step(db, file.id, Step.DELETE, **service.NOTHING_LEFT, reason=recording.state)
    service.note(db, file, recording, "recording.file_deleted", actor=RECORDER, now=now)
    return file


def _whole(db: Session, file: RecordingFile, *, now: datetime) -> RecordingFile:
    """Of an empty file nothing has to come."""
    if file.size_bytes == 0:
        service.step(db, file.id, Step.RECEIVE, due_at=now)
    return file
