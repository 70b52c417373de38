"""Deleting what is past its time, and telling the audit log what was watched: each in a thread of
its own, because after a change of policy there may be a lot to delete, and nothing waits for it."""

import threading
from collections.abc import Callable

from app.clock import utc_now
from app.playback import delivery
from app.retention import sweep
from app.services import Services
from workers.schedule import Stop, repeat

SWEEP_EVERY_S = 3600.0
NOTE_EVERY_S = 20.0
BATCH = 100


def start_retiring(services: Services, stop: Stop) -> None:
    """Work in two threads until stopped; they may end anywhere, since each batch is a whole."""

    def retire() -> None:
        sweep.sweep(services.database, now=utc_now(), is_stopped=stop.is_set)

    def note() -> None:
        while note_watched(services) == BATCH and not stop.is_set():
            continue

    _start("retention", retire, SWEEP_EVERY_S, stop)
    _start("playback-notes", note, NOTE_EVERY_S, stop)


def _start(name: str, work: Callable[[], None], interval_s: float, stop: Stop) -> None:
    settings = {"work": work, "interval_s": interval_s, "stop": stop, "name": name}
    threading.Thread(target=repeat, kwargs=settings, name=name, daemon=True).start()


def note_watched(services: Services) -> int:
    """Tell the audit log what was watched, a batch of it; return how much."""
    with services.database.begin() as db:
        return delivery.note(db, limit=BATCH, now=utc_now())
