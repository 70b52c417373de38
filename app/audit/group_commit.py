"""Audit entries of requests that come at once, written and committed together.

A statement with its commit costs PostgreSQL and us more than the entries in it. So whoever writes
takes along what others have left waiting meanwhile. Nobody waits for company: an entry that comes
alone is written at once. Nobody is answered before the commit that holds their entry.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from sqlalchemy.exc import DBAPIError

from app.audit.service import Entry, insert, row_of
from app.db.engine import Runner


@dataclass(slots=True)
class _Waiting:
    """The row of one entry, and whether it is committed."""

    row: tuple[object, ...]
    is_written: bool = False


class GroupCommit:
    """The entries of this process that wait to be written; shared by all its threads."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._turn = Lock()

    def __len__(self) -> int:
        """Return how many wait for their turn."""
        return len(self._waiting)

    def record(self, db: Runner, entry: Entry, *, now: datetime) -> None:
        """Write an entry, on `db` or on the connection of somebody who writes at the same time.

        Args:
            db: where each statement is a transaction of its own.

        Raises:
            DBAPIError: it is not written.
        """
        mine = _Waiting(row_of(entry, now))
        self._waiting.append(mine)
        with self._turn:
            if not mine.is_written:
                self._write(db, mine)

    def _write(self, db: Runner, mine: _Waiting) -> None:
        """Write what waits, mine first. If that fails, each comes back on a connection of its own,
        so that nobody's trouble becomes another's."""
        others = [self._waiting.popleft() for _ in range(len(self._waiting))]
        together = [mine, *(one for one in others if one is not mine)]
        try:
            insert(db, [one.row for one in together])
        except DBAPIError:
            if len(together) == 1:
                raise
            insert(db, [mine.row])
            together = [mine]
        for one in together:
            one.is_written = True
