"""Waking workers: at most one queued job per subject, and none lost.

A mark in Redis says that a job for a subject is queued; the job removes it as its first act. So a
subject that changes a thousand times while its job waits is queued once, and one that changes
after the job looked is queued again. Marks expire, and the relay's sweep asks every second for
what is due, so a lost Redis, worker or job costs seconds and nothing else.
"""

from collections.abc import Collection
from uuid import UUID

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.queue import EnqueueData
from rq.serializers import JSONSerializer

DELIVERIES, MAIL, SMS, SERVICE = "deliveries", "mail", "sms", "service"
DIRECTORY = "directory"
FILES = "files"
RECORDINGS = "recordings"
DRAIN = "workers.jobs.webhooks.drain_webhook"
SEND = "workers.jobs.messages.send_mail"
SEND_SMS = "workers.jobs.messages.send_sms"
SEND_SERVICE = "workers.jobs.messages.send_service"
SEND_BY = {"email": SEND, "sms": SEND_SMS, "service": SEND_SERVICE}
REPORT = "workers.jobs.directory.report_visits"
CHECK = "workers.jobs.files.check_file"
PROCESS = "workers.jobs.recordings.process_recording"
QUEUE_OF = {
    DRAIN: DELIVERIES,
    SEND: MAIL,
    SEND_SMS: SMS,
    SEND_SERVICE: SERVICE,
    REPORT: DIRECTORY,
    CHECK: FILES,
    PROCESS: RECORDINGS,
}

# Only if a worker dies as it takes a job, and the queue is never empty, does anybody wait for this.
MARK_S = 30
# Far above what a job may take; a job that hangs all the same is ended by RQ after this.
JOB_TIMEOUT_S = 300
# A large X-ray is scanned, read and written anew; a long recording is encoded anew.
LONG_JOBS_S = {CHECK: 3600, PROCESS: 12 * 3600}
FORGET_FAILED_S = 3600

# What adapters say of a server that does not answer in time.
SILENCE = "no_answer"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5, 300
FORGET_SILENCES_S = 3600


def connect(url: str) -> Redis:
    """Return a client that fails at once: the relay has better things to do than to wait."""
    return Redis.from_url(
        url, socket_timeout=2.0, socket_connect_timeout=2.0, retry=Retry(NoBackoff(), 0)
    )


def queue(name: str, redis: Redis) -> Queue:
    """Return one of the queues."""
    return Queue(name, connection=redis, serializer=JSONSerializer)


class Wakeups:
    """Queues jobs. Errors of Redis are the caller's: the sweep makes up for them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queues = {name: queue(name, redis) for name in QUEUE_OF.values()}

    def wake(self, job: str, subjects: Collection[UUID]) -> None:
        """Queue `job` for each subject that is neither queued already nor paused."""
        wanted = self._unmarked(job, sorted(subjects))
        if not wanted:
            return
        with self._redis.pipeline(transaction=True) as pipe:
            for subject in wanted:
                pipe.set(_mark(job, subject), b"1", ex=MARK_S)
            data = [_data(job, subject) for subject in wanted]
            self._queues[QUEUE_OF[job]].enqueue_many(data, pipeline=pipe)
            pipe.execute()

    def begin(self, job: str, subject: UUID) -> bool:
        """Remove the mark, so that what comes from now on is queued anew; False: it is paused.

        Must come before the job looks for work.
        """
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.delete(_mark(job, subject))
            pipe.exists(_pause(job, subject))
            return not pipe.execute()[1]

    def silences(self, job: str, subject: UUID) -> int:
        """Return how often in a row the subject did not answer."""
        return int(self._redis.get(_silences(job, subject)) or 0)

    def pause(self, job: str, subject: UUID) -> None:
        """Wake nobody for a subject that does not answer, each time twice as long.

        A receiver that lets every request wait until the timeout would otherwise keep workers
        from all others, and jobs would pile up. All messages of one channel have one receiver.
        Lives in Redis only: when it is lost, one more request waits.
        """
        count = int(self._redis.incr(_silences(job, subject)))
        seconds = min(FIRST_PAUSE_S * 2 ** (count - 1), LONGEST_PAUSE_S)
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.expire(_silences(job, subject), FORGET_SILENCES_S)
            pipe.set(_pause(job, subject), b"1", ex=seconds)
            pipe.execute()

    def answered(self, job: str, subject: UUID) -> None:
        """Forget that the subject was silent."""
        self._redis.delete(_silences(job, subject), _pause(job, subject))

    def _unmarked(self, job: str, subjects: list[UUID]) -> list[UUID]:
        if not subjects:
            return []
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.llen(self._queues[QUEUE_OF[job]].key)
            for subject in subjects:
                pipe.exists(_mark(job, subject))
                pipe.exists(_pause(job, subject))
            waiting, *found = pipe.execute()
        # In an empty queue nobody waits: a mark is one of a worker that died as it took the job.
        marked = found[::2] if waiting else [0] * len(subjects)
        states = zip(subjects, marked, found[1::2], strict=True)
        return [subject for subject, mark, pause in states if not mark and not pause]


def _data(job: str, subject: UUID) -> EnqueueData:
    return Queue.prepare_data(
        job,
        (str(subject),),
        timeout=LONG_JOBS_S.get(job, JOB_TIMEOUT_S),
        result_ttl=0,
        failure_ttl=FORGET_FAILED_S,
        description=job,
    )


def _mark(job: str, subject: UUID) -> str:
    return f"teleconsult:{job}:{subject}:queued"


def _pause(job: str, subject: UUID) -> str:
    return f"teleconsult:{job}:{_receiver(job, subject)}:paused"


def _silences(job: str, subject: UUID) -> str:
    return f"teleconsult:{job}:{_receiver(job, subject)}:silences"


def _receiver(job: str, subject: UUID) -> UUID | str:
    return subject if job == DRAIN else "server"
