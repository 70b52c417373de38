"""Erases from the store what nobody can read any more, and what a dying process left there."""

from datetime import datetime

import structlog

from app.db.engine import Database
from app.errors import Unavailable
from app.ports import FileStore
from app.storage import service
from app.storage.service import WRITTEN_WITHIN

log = structlog.get_logger()

BATCH = 100


def sweep(database: Database, store: FileStore, *, now: datetime) -> int:
    """Erase a batch, each with no transaction open, and return how many are gone.

    Any number of processes may do so at once: erasing twice changes nothing.
    """
    with database.begin() as db:
        found = service.to_erase(db, limit=BATCH, now=now)
    erased = 0
    for stored in found:
        try:
            store.delete(stored.key)
        except Unavailable as error:
            log.warning("file_not_erased", stored_file=str(stored.id), code=error.code)
            continue
        with database.begin() as db:
            service.record_erased(db, stored.id, now=now)
        erased += 1
    return erased


def forget_unfinished(store: FileStore, *, now: datetime) -> None:
    """Remove from the store what was begun more than a day ago and never became whole."""
    store.forget_unfinished(before=now - WRITTEN_WITHIN)
