"""Checking a file that has arrived: claim it, look at it with no transaction open, record.

Looked for malware first, as it came; only what passes that is decoded. The content is written anew
and encrypted with another key, so what people get was made after the verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.audit.service import SERVICE
from app.files import names, service, stored
from app.files.inspection.found import Found
from app.files.kinds import ENDINGS
from app.files.models import SessionFile
from app.files.states import State, Step
from app.files.uploads import parts_of
from app.holds import service as holds
from app.storage.models import StoredFile

# How fast the slowest machine may be before another worker believes that this one has died.
SLOWEST_BYTES_PER_S = 2 * 1024 * 1024
ONE_SECOND = timedelta(seconds=1)
# More than the scanner may take for its verdict (4 minutes) and the decoders for theirs (2).
LEASE = timedelta(minutes=7)
# A file whose check never ends is given up; one that waits for these is not to blame.
MOST_TRIES = 5
OUTAGES = frozenset({"scanner_unavailable", "storage_unavailable", "master_key_missing"})
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 60.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A file to check, and the stretches it arrived in."""

    file: SessionFile
    parts: Sequence[StoredFile]


def due(db: Session, *, limit: int, now: datetime) -> list[UUID]:
    """Return files that wait to be checked."""
    query = select(SessionFile.id).where(
        SessionFile.due_at <= now, SessionFile.state == State.SCANNING
    )
    return list(db.scalars(query.order_by(SessionFile.due_at).limit(limit)))


def claim(db: Session, file_id: UUID, *, lease: timedelta = LEASE, now: datetime) -> Claimed | None:
    """Take a file, unless somebody else has it."""
    file = db.scalars(
        update(SessionFile)
        .where(
            SessionFile.id == file_id,
            SessionFile.state == State.SCANNING,
            SessionFile.due_at <= now,
        )
        .values(
            due_at=now + lease + ONE_SECOND * (SessionFile.size_bytes / SLOWEST_BYTES_PER_S),
            attempts=SessionFile.attempts + 1,
            tries=SessionFile.tries + 1,
        )
        .returning(SessionFile)
        .execution_options(populate_existing=True, synchronize_session=False)
    ).one_or_none()
    return Claimed(file, parts_of(db, file_id)) if file is not None else None


def is_hopeless(claimed: Claimed) -> bool:
    """Tell whether a file was tried often enough."""
    return claimed.file.tries > MOST_TRIES


def postpone(db: Session, claimed: Claimed, *, reason: str, now: datetime) -> None:
    """Say what the file waits for, and look again a little later. An outage is no try."""
    is_outage = reason in OUTAGES
    often = claimed.file.attempts if is_outage else claimed.file.tries
    wait_s = min(FIRST_WAIT_S * 2 ** min(often - 1, 10), LONGEST_WAIT_S)
    db.execute(
        update(SessionFile)
        .where(
            SessionFile.id == claimed.file.id,
            SessionFile.state == State.SCANNING,
            SessionFile.attempts == claimed.file.attempts,
        )
        .values(
            reason=reason,
            due_at=now + timedelta(seconds=wait_s),
            tries=claimed.file.tries - is_outage,
        )
    )


def accept(
    db: Session,
    claimed: Claimed,
    found: Found,
    *,
    content_id: UUID,
    preview_id: UUID | None,
    now: datetime,
) -> bool:
    """Let people have the file; False: somebody deleted it, or finished it first."""
    file = service.lock(db, claimed.file.id)
    done = service.step(
        db,
        file.id,
        Step.PASS,
        SessionFile.attempts == claimed.file.attempts,
        content_id=content_id,
        preview_id=preview_id,
        media_type=found.media_type,
        name=names.with_ending(file.name, ENDINGS[found.media_type]),
        reason=None,
        available_at=now,
        due_at=None,
    )
    if done:
        stored.destroy(db, file, parts_only=True, now=now)
        service.tell(db, file, "file.available", now)
        service.note(db, file, "file.available", SERVICE, now, media_type=found.media_type)
    return done


def refuse(db: Session, claimed: Claimed, *, code: str, now: datetime) -> bool:
    """Keep nothing of a file that is not what it should be, but why; False: see `accept`."""
    file = service.lock(db, claimed.file.id)
    done = service.step(db, file.id, Step.REFUSE, reason=code, due_at=None)
    if done:
        stored.destroy(db, file, now=now)
        service.tell(db, file, "file.refused", now, code=code)
        service.note(db, file, "file.refused", SERVICE, now, code=code)
    return done


def quarantine(db: Session, claimed: Claimed, *, finding: str, now: datetime) -> bool:
    """Keep a file with malware where nobody can get it: encrypted, until it is deleted. False: see
    `accept`."""
    file = service.lock(db, claimed.file.id)
    values = {"finding": finding, "reason": "file_infected", "due_at": None}
    done = service.step(db, file.id, Step.QUARANTINE, **values)
    if done:
        service.tell(db, file, "file.quarantined", now)
        service.note(db, file, "file.quarantined", SERVICE, now, finding=finding)
    return done


def give_up(db: Session, *, limit: int, now: datetime) -> int:
    """Delete uploads that nobody went on with for a day; return how many."""
    query = select(SessionFile.id).where(
        SessionFile.due_at <= now, SessionFile.state == State.UPLOADING
    )
    given_up = 0
    for file_id in db.scalars(query.order_by(SessionFile.due_at).limit(limit)).all():
        file = service.lock(db, file_id)
        # Its last byte may have come while others were given up.
        is_due = file.due_at is not None and file.due_at <= now
        if file.state == State.UPLOADING and is_due and not holds.is_held(db, file.session_id):
            place = {"organisation_id": file.organisation_id, "session_id": file.session_id}
            service.delete(db, **place, file_id=file.id, actor=SERVICE, now=now)
            given_up += 1
    return given_up
