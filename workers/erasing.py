"""Erasing files from the store, in a thread of its own: an object store may take its time."""

from app.clock import utc_now
from app.services import Services
from app.storage import sweep
from workers.schedule import Every, Stop, repeat_in_thread

FORGET_EVERY_S = 3600.0
ERASE_EVERY_S = 10.0


def start_erasing(services: Services, stop: Stop) -> None:
    """Erase until stopped."""
    database, store = services.database, services.storage.store
    forget = Every(FORGET_EVERY_S, lambda: sweep.forget_unfinished(store, now=utc_now()))

    def erase() -> None:
        forget.run_if_due()
        sweep.sweep(database, store, now=utc_now(), is_stopped=stop.is_set)

    repeat_in_thread("erasing", erase, interval_s=ERASE_EVERY_S, stop=stop)
