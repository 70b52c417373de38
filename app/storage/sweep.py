"""Erases from the store what nobody can read any more, and what a dying process left there."""

from collections.abc import Callable
from datetime import datetime
from itertools import chain

import structlog

from app.db.batches import batches
from app.db.engine import Database
from app.ports import FileStore
from app.storage import service
from app.storage.models import StoredFile
from app.storage.service import WRITTEN_WITHIN

log = structlog.get_logger()

BATCH = 100


def sweep(
    database: Database,
    store: FileStore,
    *,
    now: datetime,
    is_stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Erase everything that is to be erased, in batches, and return how much is gone. What cannot
    be keeps nothing behind it from going, and is tried again by the next sweep.

    Any number of processes may do so at once: erasing twice changes nothing.
    """

    def read(after: StoredFile | None) -> list[StoredFile]:
        with database.begin() as db:
            return service.to_erase(db, after=after, limit=BATCH, now=now)

    found = chain.from_iterable(batches(read, size=BATCH, is_stopped=is_stopped))
    return sum(_erase(database, store, stored, now=now) for stored in found)


def _erase(database: Database, store: FileStore, stored: StoredFile, *, now: datetime) -> bool:
    """Erase one file, with no transaction open meanwhile; tell whether it is gone."""
    try:
        store.delete(stored.key)
        with database.begin() as db:
            service.record_erased(db, stored.id, now=now)
    except Exception as error:  # noqa: BLE001 - one odd file must not keep the others
        log.warning("file_not_erased", stored_file=str(stored.id), kind=type(error).__name__)
        return False
    return True


def forget_unfinished(store: FileStore, *, now: datetime) -> None:
    """Remove from the store what was begun more than a day ago and never became whole."""
    store.forget_unfinished(before=now - WRITTEN_WITHIN)
