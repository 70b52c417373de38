"""What is deleted and what is noted of watching go on apart from each other."""

import threading
from types import SimpleNamespace
from typing import cast

import pytest

from app.retention import sweep
from app.services import Services
from workers import retiring
from workers.schedule import Stop

DEADLINE_S = 10.0


def test_a_deletion_that_fails_or_hangs_keeps_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the other way round: each has a thread and errors of its own."""
    noted, swept, stop = threading.Event(), threading.Event(), Stop()

    def hang(*_: object, **__: object) -> int:
        swept.set()
        stop.event.wait(DEADLINE_S)
        raise RuntimeError

    def fail(*_: object) -> int:
        if swept.is_set():
            noted.set()
        raise RuntimeError

    monkeypatch.setattr(sweep, "sweep", hang)
    monkeypatch.setattr(retiring, "note_watched", fail)
    monkeypatch.setattr(retiring, "NOTE_EVERY_S", 0.01)
    retiring.start_retiring(cast("Services", SimpleNamespace(database=None)), stop)
    assert noted.wait(DEADLINE_S)
    stop.set()
