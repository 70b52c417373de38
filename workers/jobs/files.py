"""Checks one file: claim, look with no transaction open, record."""

import io
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from uuid import UUID

import structlog

from app.clock import utc_now
from app.errors import DomainError, Gone, Invalid, NotFound, Unavailable
from app.files import checking
from app.files.checking import Claimed
from app.files.inspection.found import Found
from app.files.kinds import Kind
from app.services import Services
from app.storage import service as storage
from app.storage.models import StoredFile
from app.storage.seeking import buffered
from workers.jobs.context import JobContext, job
from workers.jobs.wakeups import CHECK

log = structlog.get_logger()


@job
def check_file(context: JobContext, file_id: UUID) -> None:
    """Look at a file and record what it is; when the scanner is away, come again."""
    if context.wakeups.begin(CHECK, file_id):
        check(context.services, file_id)


def check(services: Services, file_id: UUID) -> None:
    """Look at a file, unless somebody else does or it is not due."""
    lease = timedelta(seconds=services.settings.delivery_lease_s)
    with services.database.begin() as db:
        claimed = checking.claim(db, file_id, lease=lease, now=utc_now())
    if claimed is None:
        return
    try:
        _check(services, claimed)
    except (Unavailable, Gone, NotFound) as error:
        _postpone(services, claimed, error)
    except Invalid as error:
        with services.database.begin() as db:
            checking.refuse(db, claimed, code=error.code, now=utc_now())
        log.info("file_refused", file=str(file_id), reason=error.code)


def _check(services: Services, claimed: Claimed) -> None:
    finding = services.scanner.scan(arrived(services, claimed))
    if finding:
        with services.database.begin() as db:
            checking.quarantine(db, claimed, finding=finding, now=utc_now())
        log.warning("file_quarantined", file=str(claimed.file.id), finding=finding)
        return
    # Here, because the decoders take 60 MB that a worker without files should not need.
    from app.files.inspection.inspect import inspect

    found = inspect(
        Kind(claimed.file.kind), claimed.file.size_bytes, lambda: _file(services, claimed)
    )
    _keep(services, claimed, found)


def _keep(services: Services, claimed: Claimed, found: Found) -> None:
    whole = arrived(services, claimed) if found.clean is None else iter([found.clean])
    content = _store(services, claimed, whole)
    preview = _store(services, claimed, iter([found.preview])) if found.preview else None
    with services.database.begin() as db:
        accepted = checking.accept(
            db,
            claimed,
            found,
            content_id=content.id,
            preview_id=preview.id if preview else None,
            now=utc_now(),
        )
        for stored in (content, preview):
            if stored is not None and not accepted:
                storage.destroy(db, stored.id, now=utc_now())


def _store(services: Services, claimed: Claimed, content: Iterator[bytes]) -> StoredFile:
    now, organisation_id = utc_now(), claimed.file.organisation_id
    with services.database.begin() as db:
        stored = storage.announce(db, organisation_id=organisation_id, now=now)
    written = services.storage.write(stored, content)
    with services.database.begin() as db:
        storage.record(db, stored.id, written)
    return stored


def arrived(services: Services, claimed: Claimed) -> Iterator[bytes]:
    """Yield a file as it was sent, from its stretches."""
    for part in claimed.parts:
        with closing(services.storage.read(part)) as pieces:
            yield from pieces


def _file(services: Services, claimed: Claimed) -> io.BufferedReader:
    """Return the stretches as one file to seek in."""
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

    return buffered(read, claimed.file.size_bytes)


def _postpone(services: Services, claimed: Claimed, error: DomainError) -> None:
    with services.database.begin() as db:
        checking.postpone(db, claimed, reason=error.code, now=utc_now())
    log.info("file_not_checked", file=str(claimed.file.id), reason=error.code)
