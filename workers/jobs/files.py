"""Checks one file: claim, look with no transaction open, record."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from uuid import UUID

import structlog

from app.clock import utc_now
from app.errors import Conflict, Gone, Invalid, NotFound, Unavailable
from app.files import checking, in_room
from app.files.checking import Claimed
from app.files.inspection.apart import Read, inspect_apart
from app.files.inspection.found import Found
from app.files.kinds import Kind
from app.files.models import SessionFile
from app.observability import place_of
from app.rooms import commands
from app.services import Services
from app.sessions.models import CareSession
from app.storage import service as storage
from app.storage.service import Written
from workers.jobs.context import JobContext, job
from workers.jobs.wakeups import CHECK

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Made:
    """A stored file that was written and has no key in the database yet."""

    id: UUID
    written: Written


@job
def check_file(context: JobContext, file_id: UUID) -> None:
    """Look at a file and record what it is; when the scanner is away, come again."""
    if context.wakeups.begin(CHECK, file_id):
        check(context.services, file_id)


def check(services: Services, file_id: UUID) -> None:
    """Look at a file, unless somebody else does or it is not due."""
    with services.database.begin() as db:
        claimed = checking.claim(db, file_id, now=utc_now())
    if claimed is None:
        return
    if checking.is_hopeless(claimed):
        _refuse(services, claimed, "file_damaged")
        return
    try:
        _check(services, claimed)
    except (Unavailable, Gone, NotFound) as error:
        _postpone(services, claimed, error.code)
    except Invalid as error:
        _refuse(services, claimed, error.code)
    except Exception as error:  # noqa: BLE001 - whatever it was, the file does not come back forever
        kind, place = type(error).__name__, place_of(error)
        log.warning("file_check_failed", file=str(file_id), kind=kind, place=place)
        _postpone(services, claimed, "internal_error")


def _check(services: Services, claimed: Claimed) -> None:
    finding = services.scanner.scan(services.storage.read_all(claimed.parts))
    if finding:
        with services.database.begin() as db:
            done = checking.quarantine(db, claimed, finding=finding, now=utc_now())
        if done:
            _tell_room(services, claimed)
        log.warning("file_quarantined", file=str(claimed.file.id), finding=finding)
        return
    kind, size = Kind(claimed.file.kind), claimed.file.size_bytes
    _keep(services, claimed, inspect_apart(kind, size, _range_of(services, claimed)))


def _keep(services: Services, claimed: Claimed, found: Found) -> None:
    whole = services.storage.read_all(claimed.parts) if found.clean is None else iter([found.clean])
    content = _store(services, claimed, whole)
    preview = _store(services, claimed, iter([found.preview])) if found.preview else None
    made = [one for one in (content, preview) if one is not None]
    with services.database.begin() as db:
        accepted = checking.accept(
            db,
            claimed,
            found,
            content_id=content.id,
            preview_id=preview.id if preview else None,
            now=utc_now(),
        )
        for one in made:
            if accepted:
                storage.record(db, one.id, one.written)
            else:
                storage.destroy(db, one.id, now=utc_now())
    if accepted:
        _tell_room(services, claimed)


def _store(services: Services, claimed: Claimed, content: Iterator[bytes]) -> Made:
    """Write a stream without recording its key: until a file refers to it nobody can read it, and
    what becomes of nothing is erased after a day."""
    with services.database.begin() as db:
        stored = storage.announce(db, organisation_id=claimed.file.organisation_id, now=utc_now())
    return Made(stored.id, services.storage.write(stored, content))


def _range_of(services: Services, claimed: Claimed) -> Read:
    """Return what reads a range of the file from its stretches."""
    starts = [0]
    for part in claimed.parts:
        starts.append(starts[-1] + (part.size_bytes or 0))

    def read(start: int, length: int) -> Iterator[bytes]:
        for part, begins, ends in zip(claimed.parts, starts, starts[1:], strict=False):
            low, high = max(start, begins), min(start + length, ends)
            if low < high:
                reading = services.storage.read(part, start=low - begins, length=high - low)
                with closing(reading) as pieces:
                    yield from pieces

    return read


def _tell_room(services: Services, claimed: Claimed) -> None:
    """Say in the live room what became of a file; now or not at all."""
    with services.database.begin() as db:
        file = db.get_one(SessionFile, claimed.file.id, populate_existing=True)
        room = db.get_one(CareSession, file.session_id).room_name
        messages = in_room.messages(db, file)
    for participant_id, text in messages:
        try:
            commands.say(services, room=room, text=text, participant_id=participant_id)
        except (Unavailable, Conflict) as error:
            log.warning("file_not_told", file=str(file.id), code=error.code)
            return  # one silence is enough


def _postpone(services: Services, claimed: Claimed, code: str) -> None:
    with services.database.begin() as db:
        checking.postpone(db, claimed, reason=code, now=utc_now())
    log.info("file_not_checked", file=str(claimed.file.id), reason=code)


def _refuse(services: Services, claimed: Claimed, code: str) -> None:
    with services.database.begin() as db:
        done = checking.refuse(db, claimed, code=code, now=utc_now())
    if done:
        _tell_room(services, claimed)
    log.info("file_refused", file=str(claimed.file.id), reason=code)
