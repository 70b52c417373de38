"""Deleting what is past its time, and telling the audit log what was watched: each in a thread of
its own, because after a change of policy there may be a lot to delete, and nothing waits for it."""

from app.clock import utc_now
from app.playback import delivery
from app.retention import sweep
from app.services import Services
from workers.schedule import Stop, repeat_in_thread

SWEEP_EVERY_S = 3600.0
NOTE_EVERY_S = 20.0
BATCH = 100


def start_retiring(services: Services, stop: Stop) -> None:
    """Do both until stopped; they may end anywhere, since each batch is a whole."""

    def retire() -> None:
        sweep.sweep(services.database, now=utc_now(), is_stopped=stop.is_set)

    def note() -> None:
        while note_watched(services) == BATCH and not stop.is_set():
            continue

    repeat_in_thread("retention", retire, interval_s=SWEEP_EVERY_S, stop=stop)
    repeat_in_thread("playback_notes", note, interval_s=NOTE_EVERY_S, stop=stop)


def note_watched(services: Services) -> int:
    """Tell the audit log what was watched, a batch of it; return how much."""
    with services.database.begin() as db:
        return delivery.note(db, limit=BATCH, now=utc_now())
