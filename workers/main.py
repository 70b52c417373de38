"""An RQ worker process. Start as many as there is work for.

Jobs run in the process itself (`SimpleWorker`), without a fork for each: a fork makes every
connection anew and was measured at 19 ms from enqueued to finished and about 50 jobs per second,
against 5 ms and 250. Our jobs need no protection from each other: they catch their errors, and
when a process dies all the same, leases bring its rows back.
"""

import time
from threading import Event
from types import FrameType

import structlog
from redis import Redis
from rq import SimpleWorker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from rq.worker import DequeueStrategy, WorkerStatus

from app.services import Services
from workers.jobs.context import JobContext, hold
from workers.jobs.wakeups import Wakeups, connect, queues
from workers.schedule import Backoff, Stop, place_of

log = structlog.get_logger()

# How long Redis remembers a worker that died; also bounds how long one wait for a job lasts.
WORKER_TTL_S = 60
SETTLED_AFTER_S = 10.0


class InProcessWorker(SimpleWorker):
    """RQ's worker without what we do not use: remote commands, and logs of every job."""

    log_result_lifespan = False
    max_connection_wait_time = 2.0
    stopping: Event

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End after the current job; unlike RQ's own, without asking Redis, which may be away."""
        self.stopping.set()
        self._stop_requested = True
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested

    def subscribe(self) -> None:
        """Take no commands over Redis; saves a thread and a connection."""

    def unsubscribe(self) -> None:
        """Nothing was subscribed."""


def run(services: Services) -> None:
    """Work until SIGTERM or SIGINT; wait for Redis and PostgreSQL when they are away."""
    stop = Stop()
    stop.install()
    url = services.settings.redis_url
    hold(JobContext(services, Wakeups(connect(url)), stop.event))
    log.info("worker_started")
    backoff = Backoff()
    while not stop.is_set():
        began = time.monotonic()
        try:
            _work(url, stop)
        except StopRequested:
            break  # the signal came between two rounds
        except Exception as error:  # noqa: BLE001 - whatever it was, work goes on
            log.warning("worker_interrupted", kind=type(error).__name__, place=place_of(error))
        if time.monotonic() - began > SETTLED_AFTER_S:
            backoff.reset()
        stop.sleep(backoff.next_s())
    log.info("worker_stopped")


def _work(url: str, stop: Stop) -> None:
    # A client of its own: RQ sets a timeout on it that suits its long waits, and nobody else's.
    redis = Redis.from_url(url, socket_connect_timeout=2.0, socket_keepalive=True)
    worker = InProcessWorker(
        queues(redis),
        connection=redis,
        serializer=JSONSerializer,
        default_result_ttl=0,
        worker_ttl=WORKER_TTL_S,
        log_job_description=False,
    )
    worker.stopping = stop.event
    try:
        worker.work(logging_level="WARNING", dequeue_strategy=DequeueStrategy.ROUND_ROBIN)
    finally:
        redis.close()
