"""An RQ worker process. Start as many as there is work for.

Jobs run in the process itself (`SimpleWorker`), without a fork for each: a fork makes every
connection anew and was measured at 19 ms from enqueued to finished and about 50 jobs per second,
against 5 ms and 250. Our jobs need no protection from each other: they catch their errors, and
when a process dies all the same, leases bring its rows back.

Each channel to people has a thread of its own: a mail server that lets us wait would hold up the
webhooks, and the texts to phones.
"""

import time
from contextlib import suppress
from threading import Lock, Thread
from types import FrameType

import structlog
from redis import Redis
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from rq.worker import WorkerStatus

from app.observability import place_of
from app.services import Services
from workers.erasing import start_erasing
from workers.jobs.context import JobContext, hold
from workers.jobs.wakeups import (
    DELIVERIES,
    DIRECTORY,
    FILES,
    MAIL,
    RECORDINGS,
    SERVICE,
    SMS,
    Wakeups,
    connect,
    queue,
)
from workers.retiring import start_retiring
from workers.schedule import Backoff, Stop

log = structlog.get_logger()

# How long Redis remembers a worker that died; also bounds how long one wait for a job lasts.
WORKER_TTL_S = 60
SETTLED_AFTER_S = 10.0
# How long the end of the process waits for a message in mid-sending; what is cut off is sent again.
LAST_MAIL_S = 8.0


class InProcessWorker(SimpleWorker):
    """RQ's worker without what we do not use: remote commands, and logs of every job."""

    log_result_lifespan = False
    max_connection_wait_time = 2.0
    stop: Stop

    def _install_signal_handlers(self) -> None:
        """Take signals from now on. One that came before would else be heard after the first wait
        for a job, and whoever sent it kills a process that takes so long."""
        super()._install_signal_handlers()
        self._stop_requested = self.stop.is_set()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End after the current job; unlike RQ's own, without asking Redis, which may be away."""
        self.stop.set()
        self._stop_requested = True
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested

    def subscribe(self) -> None:
        """Take no commands over Redis; saves a thread and a connection."""

    def unsubscribe(self) -> None:
        """Nothing was subscribed."""


class ThreadWorker(InProcessWorker):
    """The same beside the main thread, which alone gets signals. It ends with the process, so who
    ends that waits for `at_work`."""

    death_penalty_class = TimerDeathPenalty
    at_work: Lock

    def _install_signal_handlers(self) -> None:
        """Leave signals to the main thread."""

    def perform_job(self, job: Job, queue: Queue) -> bool:
        """Do one job."""
        with self.at_work:
            return super().perform_job(job, queue)


class MailWorker(ThreadWorker):
    """Sends e-mail."""

    at_work = Lock()


class SmsWorker(ThreadWorker):
    """Sends texts to phones."""

    at_work = Lock()


class ServiceWorker(ThreadWorker):
    """Hands messages to the hospital's notification service."""

    at_work = Lock()


class DirectoryWorker(ThreadWorker):
    """Tells the hospitals' own services where visits stand."""

    at_work = Lock()


class FileWorker(ThreadWorker):
    """Checks files that people share."""

    at_work = Lock()


class RecordingWorker(ThreadWorker):
    """Works on files of recordings."""

    at_work = Lock()


SENDERS: dict[str, type[ThreadWorker]] = {
    MAIL: MailWorker,
    SMS: SmsWorker,
    SERVICE: ServiceWorker,
    DIRECTORY: DirectoryWorker,
    FILES: FileWorker,
    RECORDINGS: RecordingWorker,
}


def run(services: Services) -> None:
    """Work until SIGTERM or SIGINT; wait for Redis and PostgreSQL when they are away."""
    stop = Stop()
    stop.install()
    url = services.settings.redis_url
    hold(JobContext(services, Wakeups(connect(url)), stop.event))
    for name, kind in SENDERS.items():
        sender = (kind, name, url, stop)
        Thread(target=keep_working, args=sender, name=name, daemon=True).start()
    start_erasing(services, stop)
    start_retiring(services, stop)
    log.info("worker_started")
    keep_working(InProcessWorker, DELIVERIES, url, stop)
    last = time.monotonic() + LAST_MAIL_S
    for kind in SENDERS.values():
        kind.at_work.acquire(timeout=max(0.0, last - time.monotonic()))
    log.info("worker_stopped")


def keep_working(kind: type[InProcessWorker], name: str, url: str, stop: Stop) -> None:
    """Work off a queue until stopped; whatever breaks off, go on after a pause."""
    backoff = Backoff()
    with suppress(StopRequested):  # the signal came between two jobs, or two rounds
        while not stop.is_set():
            began = time.monotonic()
            try:
                _work(kind, name, url, stop)
            except StopRequested:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, work goes on
                log.warning("worker_interrupted", kind=type(error).__name__, place=place_of(error))
            if time.monotonic() - began > SETTLED_AFTER_S:
                backoff.reset()
            stop.sleep(backoff.next_s())


def _work(kind: type[InProcessWorker], name: str, url: str, stop: Stop) -> None:
    # A client of its own: RQ sets a timeout on it that suits its long waits, and nobody else's.
    redis = Redis.from_url(url, socket_connect_timeout=2.0, socket_keepalive=True)
    worker = kind(
        [queue(name, redis)],
        connection=redis,
        serializer=JSONSerializer,
        default_result_ttl=0,
        worker_ttl=WORKER_TTL_S,
        log_job_description=False,
    )
    worker.stop = stop
    try:
        worker.work(logging_level="WARNING")
    finally:
        redis.close()
