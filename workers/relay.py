"""The relay: turns events into deliveries and messages, wakes the workers, and sweeps.

What is written here is in the database before anybody is woken, and whoever should have been woken
is found again by the sweep; so this process may die between any two lines. Any number may run.
"""

import select
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
from redis import RedisError
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.attendance import totals
from app.clock import utc_now
from app.db.listening import listening
from app.events.models import Event
from app.files import checking
from app.notifications import planning
from app.notifications import service as notifications
from app.notifications.kinds import Channel
from app.notifications.planning import Ready
from app.observability import place_of
from app.recording_files import processing
from app.recording_files import sweep as recording_files
from app.recordings import sweep as recordings
from app.rooms import commands as room_commands
from app.services import Services
from app.visits import reports
from app.visits import sweep as session_rules
from app.webhooks import deliveries
from workers.jobs.wakeups import CHECK, DRAIN, PROCESS, REPORT, SEND_BY, Wakeups, connect
from workers.schedule import Backoff, Every, Stop, repeat_in_thread
from workers.sealing import start_keeper

log = structlog.get_logger()

CHANNEL = "teleconsult_events"
# Who caused an event is often still at work in its wake, like a kick on its way to the room; and a
# batch costs about as much as ten events in it.
GATHER_S = 0.02
BATCH = 200
PURGE_EVERY_S = 3600.0
COUNT_EVERY_S = 10.0
FILES_EVERY_S = 10.0
EMAIL_ONLY = frozenset({Channel.EMAIL})
ARRIVED = "file.uploaded"
RELAY_LOCK = 7_230_902  # any number, the same for every relay

# One relay at a time: two could make the deliveries of a session in the wrong order.
LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")
CLAIM = text("SELECT * FROM teleconference.claim_events(:limit, :now)")  # see migration 0050
PURGED_AT_ONCE = 1000
PURGE = text("SELECT teleconference.purge_expired(:now, :limit)")
PURGE_SIGN_INS = text("SELECT teleconference.purge_staff_sessions(:now)")


@dataclass(frozen=True, slots=True)
class Relayed:
    """What one batch of events led to."""

    events: int
    subscriptions: set[UUID]
    notifications: list[Ready]
    # Whose own services have news of visits coming.
    organisations: set[UUID]
    # Files that have arrived and are to be checked.
    files: set[UUID]


class Relay:
    """One relay process."""

    def __init__(self, services: Services, wakeups: Wakeups, stop: Stop) -> None:
        self._services = services
        self._wakeups = wakeups
        self._stop = stop
        self._poll_s = services.settings.relay_poll_s
        self._channels = notifications.channels_of(services.settings)
        self._redis_is_down = False
        self._periodic = [
            Every(self._poll_s, self._sweep),
            Every(PURGE_EVERY_S, self._purge),
            Every(COUNT_EVERY_S, self._count_stays),
        ]

    def run(self) -> None:
        """Work until stopped; wait for servers that went away."""
        backoff = Backoff()
        while not self._stop.is_set():
            try:
                self._work(backoff)
            except Exception as error:  # noqa: BLE001
                # Whatever it was: the events are still there, and stopping would help nobody.
                log.warning("relay_interrupted", kind=type(error).__name__, place=place_of(error))
                self._stop.sleep(backoff.next_s())

    def _work(self, backoff: Backoff) -> None:
        with listening(self._services.database, CHANNEL) as listener:
            while not self._stop.is_set():
                while self.relay_batch().events == BATCH:
                    backoff.reset()
                for work in self._periodic:
                    work.run_if_due()
                backoff.reset()
                self._wait(listener)

    def relay_batch(self) -> Relayed:
        """Hand on one batch of events and wake who has something to do."""
        with self._services.database.begin() as db:
            relayed = relay_events(db, limit=BATCH, available=self._channels, now=utc_now())
        if not self._redis_is_down:  # else the sweep looks for it, and events need not wait
            self._wake(DRAIN, relayed.subscriptions)
            self._wake_senders(relayed.notifications)
            self._wake(REPORT, relayed.organisations)
            self._wake(CHECK, relayed.files)
        return relayed

    def _sweep(self) -> None:
        """Wake for what is due: retries, leases that ran out, and wake-ups that got lost."""
        now = utc_now()
        with self._services.database.begin() as db:
            subscriptions = deliveries.due_subscriptions(db, now=now)
            messages = notifications.due(db, now=now, limit=BATCH)
            organisations = reports.due(db, now=now)
            files = checking.due(db, limit=BATCH, now=now)
            recorded = processing.due(db, limit=BATCH, now=now)
        self._wake(DRAIN, subscriptions)
        self._wake_senders(messages)
        self._wake(REPORT, organisations)
        self._wake(CHECK, files)
        self._wake(PROCESS, recorded)

    def _wake_senders(self, messages: Collection[Ready]) -> None:
        for channel, job in SEND_BY.items():
            self._wake(job, [one.id for one in messages if one.channel == channel])

    def _purge(self) -> None:
        database, now = self._services.database, utc_now()
        with database.begin() as db:
            db.execute(PURGE_SIGN_INS, {"now": now})
            checking.give_up(db, limit=BATCH, now=now)
        while not self._stop.is_set():
            with database.begin() as db:
                if purge_expired(db, now=now) < PURGED_AT_ONCE:
                    return

    def _count_stays(self) -> None:
        """Add finished stays up; one batch at a time, so that events wait for none of it."""
        with self._services.database.begin() as db:
            totals.count(db)

    def _wake(self, job: str, subjects: Collection[UUID]) -> None:
        try:
            self._wakeups.wake(job, subjects)
        except RedisError as error:
            if not self._redis_is_down:
                log.warning("redis_unavailable", kind=type(error).__name__)
            self._redis_is_down = True
        else:
            self._redis_is_down = False

    def _wait(self, listener: Connection) -> None:
        told, _, _ = select.select([listener.fileno(), self._stop.fileno()], [], [], self._poll_s)
        if told:
            self._stop.sleep(GATHER_S)
        listener.poll()  # raises when the server is gone
        listener.notifies.clear()


def relay_events(
    db: Session, *, limit: int, available: Collection[Channel] = EMAIL_ONLY, now: datetime
) -> Relayed:
    """Make deliveries and messages of some unrelayed events, unless another relay is at it."""
    if not db.scalar(LOCK, {"key": RELAY_LOCK}):
        return Relayed(0, set(), [], set(), set())
    events = _claim(db, limit=limit, now=now)
    if not events:
        return Relayed(0, set(), [], set(), set())
    return Relayed(
        len(events),
        deliveries.make(db, events, now=now),
        planning.make(db, events, available=available, now=now),
        reports.make(db, events, now=now),
        {UUID(e.data["file_id"]) for e in events if e.type == ARRIVED},
    )


def purge_expired(db: Session, *, now: datetime) -> int:
    """Delete a batch of answers and ids kept long enough; return how many one table lost."""
    return int(db.scalar(PURGE, {"now": now, "limit": PURGED_AT_ONCE}) or 0)


def _claim(db: Session, *, limit: int, now: datetime) -> Sequence[Any]:
    rows: Sequence[Event] = db.execute(CLAIM, {"limit": limit, "now": now}).all()  # type: ignore[assignment]
    return sorted(rows, key=lambda event: (event.session_id, event.sequence))


def start_room_sweep(services: Services, stop: Stop) -> None:
    """Repeat unconfirmed orders to rooms beside the events: each may wait seconds for an answer."""

    def look() -> None:
        room_commands.sweep(services, now=utc_now())

    every_s = services.settings.relay_poll_s
    repeat_in_thread("room_orders", look, interval_s=every_s, stop=stop)


def start_session_rules(services: Services, stop: Stop) -> None:
    """End and flag sessions by the organisations' rules beside the events: after an outage there
    may be many, and no event waits for them."""

    def look() -> None:
        session_rules.sweep(services, now=utc_now())

    every_s = services.settings.relay_poll_s
    repeat_in_thread("session_rules", look, interval_s=every_s, stop=stop)


def start_recording_sweep(services: Services, stop: Stop) -> None:
    """Look after recordings beside the events: that waits for rooms."""

    def look_at_files() -> None:
        recording_files.recognise(services, now=utc_now())
        recording_files.sweep(services, now=utc_now())

    files = Every(FILES_EVERY_S, look_at_files)

    def look() -> None:
        recordings.sweep(services, now=utc_now())
        files.run_if_due()

    every_s = services.settings.relay_poll_s
    repeat_in_thread("recordings", look, interval_s=every_s, stop=stop)


def run(services: Services) -> None:
    """Relay until SIGTERM or SIGINT."""
    stop = Stop()
    stop.install()
    start_room_sweep(services, stop)
    start_session_rules(services, stop)
    start_recording_sweep(services, stop)
    start_keeper(services, stop)
    log.info("relay_started")
    Relay(services, Wakeups(connect(services.settings.redis_url)), stop).run()
    log.info("relay_stopped")
