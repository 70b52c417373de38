"""A worker between two tries to reach Redis."""

from rq.exceptions import StopRequested

from app.localstack.ports import Ports
from workers.jobs.wakeups import MAIL
from workers.main import MailWorker, keep_working
from workers.schedule import Stop


class SignalInTheNextPause(Stop):
    """A signal that RQ's handler gets: that of a worker which worked before, and has ended."""

    def sleep(self, seconds: float) -> None:
        """Be interrupted."""
        self.set()
        raise StopRequested


def test_a_signal_between_two_tries_ends_the_work() -> None:
    """And nothing else: the process goes on to wait for what is in mid-sending."""
    claims, stop = Ports(), SignalInTheNextPause()
    try:
        keep_working(MailWorker, MAIL, f"redis://127.0.0.1:{claims.choose()}/0", stop)
    finally:
        claims.release()
    assert stop.is_set()
