"""Two at once, in an order that a test decides."""

from time import monotonic

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.localstack.supervisor import LocalStack
from tests.api.auditing import superuser

WITHIN_S = 20.0


def until_waited_for(db: Session, postgres: LocalStack) -> None:
    """Wait until another connection waits for a lock of this transaction."""
    mine = db.scalar(text("SELECT pg_backend_pid()"))
    deadline = monotonic() + WITHIN_S
    while not _is_waited_for(postgres, mine):
        assert monotonic() < deadline, "nobody waits"


def _is_waited_for(postgres: LocalStack, pid: int | None) -> bool:
    with superuser(postgres) as db:
        query = "SELECT 1 FROM pg_stat_activity WHERE :pid = ANY (pg_blocking_pids(pid))"
        return db.execute(text(query), {"pid": pid}).first() is not None
