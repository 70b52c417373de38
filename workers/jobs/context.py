"""What a job works with. RQ calls plain functions by name, so the process holds it for them."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from uuid import UUID

import structlog

from app.clock import utc_now
from app.observability import place_of
from app.services import Services
from workers.jobs.wakeups import Wakeups

log = structlog.get_logger()

# Sessions of one subscription that are sent to at the same time.
PARALLEL = 8


@dataclass(frozen=True, slots=True)
class JobContext:
    """What all jobs of this process work with. `stopping`: finish what you hold and return."""

    services: Services
    wakeups: Wakeups
    stopping: Event
    clock: Callable[[], datetime] = utc_now
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(PARALLEL, thread_name_prefix="send")
    )


_held: list[JobContext] = []


def hold(context: JobContext) -> None:
    """Make `context` the one that jobs of this process get."""
    _held[:] = [context]


def job(work: Callable[[JobContext, UUID], None]) -> Callable[[str], None]:
    """Make a function callable by RQ with an id as text.

    An unexpected error is logged by kind and place and goes no further: its text may hold an
    address, and RQ would keep it in Redis. The row it happened at comes back when its lease ends.
    """

    @functools.wraps(work)
    def run(subject: str) -> None:
        try:
            work(_held[0], UUID(subject))
        except Exception as error:  # noqa: BLE001 - see above
            log.error(  # noqa: TRY400 - no traceback, see above
                "job_failed",
                job=work.__name__,
                subject=subject,
                kind=type(error).__name__,
                place=place_of(error),
            )

    return run
