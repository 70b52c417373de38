"""Reads the feed for everybody: one connection that is told of news, one statement per news."""

import os
import select
import threading
from asyncio import AbstractEventLoop

import structlog

from app.db.listening import listening
from app.events import feed
from app.observability import place_of
from app.services import Services
from app.stream.hub import Hub

log = structlog.get_logger()

CHANNEL = "teleconsult_feed"
BATCH = 500
# Only when a word got lost does anybody wait for this.
POLL_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0


class FeedReader:
    """A thread of its own, because the driver blocks; it goes on where it was when PostgreSQL was
    away."""

    def __init__(self, services: Services, hub: Hub, loop: AbstractEventLoop) -> None:
        self._services = services
        self._hub = hub
        self._loop = loop
        self._position: int | None = None
        self._stopping, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.is_connected = False

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        os.write(self._stop, b".")
        self._thread.join()

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                if self._follow():
                    return
            except Exception as error:  # noqa: BLE001 - whatever it was: listeners wait for us
                log.warning("feed_interrupted", kind=type(error).__name__, place=place_of(error))
            pause_s = FIRST_PAUSE_S if self.is_connected else min(pause_s * 2, LONGEST_PAUSE_S)
            self.is_connected = False
            if self._stopped(pause_s):
                return

    def _follow(self) -> bool:
        """Read and wait in turn; True when asked to end.

        Raises:
            Exception: PostgreSQL went away.
        """
        with listening(self._services.database, CHANNEL) as link:
            while True:
                self._read_on()
                self.is_connected = True
                readable, _, _ = select.select([link.fileno(), self._stopping], [], [], POLL_S)
                if self._stopping in readable:
                    return True
                link.poll()  # raises when the server is gone
                link.notifies.clear()

    def _read_on(self) -> None:
        with self._services.database.statements() as db:
            if self._position is None:
                self._position = feed.latest(db)
                self._loop.call_soon_threadsafe(self._hub.begin, self._position)
            while events := feed.since(db, after=self._position, limit=BATCH):
                self._loop.call_soon_threadsafe(self._hub.publish, events)
                self._position = events[-1].position

    def _stopped(self, seconds: float) -> bool:
        return bool(select.select([self._stopping], [], [], seconds)[0])
