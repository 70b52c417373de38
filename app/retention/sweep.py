"""What is past its time goes, and what is held stays: docs/retention.md has the classes of data.

Each organisation is a matter of its own, and its transactions see no other. Any number of
processes may sweep: who deletes has locked the session and looks again, and what is gone is not
found a second time. Bytes in the store are erased elsewhere (`app.storage.sweep`), so nothing here
waits for a network.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import Function

from app.audit import service as audit
from app.audit.service import SERVICE, Entry
from app.db.batches import batches
from app.db.engine import Database
from app.observability import place_of
from app.organisations.models import Organisation
from app.organisations.policy import DEFAULT
from app.recordings import deletion
from app.retention import due
from app.retention.rules import Group, group_of, visit_types

log = structlog.get_logger()

BATCH = 50
ORPHANS_KEPT = timedelta(days=90)
OWNERS, CLINICAL = func.teleconference, func.clinical


def sweep(
    database: Database, *, now: datetime, is_stopped: Callable[[], bool] = lambda: False
) -> int:
    """Delete everything that is past its time, in batches; return how much went."""
    with database.begin() as db:
        organisations = db.scalars(select(Organisation.id)).all()
    gone = 0
    for organisation_id in organisations:
        try:
            gone += sweep_one(database, organisation_id, now=now, is_stopped=is_stopped)
        except Exception as error:  # noqa: BLE001 - one odd organisation must not keep the others
            _failed(error, organisation_id=organisation_id)
    return gone + end_orphans(database, now=now) + forget_strays(database, now=now)


def sweep_one(
    database: Database,
    organisation_id: UUID,
    *,
    now: datetime,
    is_stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Do so for one organisation."""
    with database.begin(organisation_id) as db:
        settings = db.get_one(Organisation, organisation_id).settings
    broom = Broom(database, organisation_id, now, is_stopped)
    gone = sum(broom.sweep(visit_type) for visit_type in visit_types(settings))
    return gone + broom.sweep_beside()


def end_orphans(database: Database, *, now: datetime) -> int:
    """Destroy a batch of what recorders left of recordings that nobody knows; return how many.
    They may be nobody's, so no organisation decides about them."""
    with database.begin() as db:
        found = due.orphans(db, now - ORPHANS_KEPT, limit=BATCH)
    ended = 0
    for file_id in found:
        try:
            with database.begin() as db:
                ended += deletion.end_orphan(db, file_id, now=now)
        except Exception as error:  # noqa: BLE001 - nor one odd file
            _failed(error, row_id=file_id)
    return ended


def forget_strays(database: Database, *, now: datetime) -> int:
    """Delete a batch of rows of erased files that were no organisation's; return how many. As long
    as records are kept where nobody decides."""
    before = now - timedelta(days=DEFAULT.keep_records_days)
    with database.begin() as db:
        return int(db.scalar(select(OWNERS.forget_stored_files(before, BATCH))) or 0)


@dataclass(frozen=True, slots=True)
class Broom:
    """Sweeps one organisation. Its policy is read again by each transaction that deletes: who
    corrects one saves what has not gone yet."""

    database: Database
    organisation_id: UUID
    now: datetime
    is_stopped: Callable[[], bool]

    def sweep(self, visit_type: str | None) -> int:
        """Delete what is past its time of the sessions of one group, the records last. A row that
        cannot go is logged, keeps no other, and is tried again by the next sweep."""
        trim = _Taking(due.untrimmed, OWNERS.trim_sessions, "session.trimmed")
        forget = _Taking(due.sessions, OWNERS.forget_sessions, "session.forgotten")
        return (
            self._end_all(visit_type, due.recordings, deletion.expire)
            + self._end_all(visit_type, due.files, due.end_file)
            + self._take_all(visit_type, trim)
            + self._take_all(visit_type, forget)
        )

    def sweep_beside(self) -> int:
        """Delete what belongs to no session: copies of people, and what is left of strays."""
        return self._drain(CLINICAL.forget_people, Group.contacts_before) + self._drain(
            OWNERS.forget_stored_files, Group.records_before
        )

    def _end_all(self, visit_type: str | None, rows: due.Due, end: Callable[..., bool]) -> int:
        """End one after the other, each in a transaction of its own that looks again."""
        found = chain.from_iterable(self._batches(visit_type, rows))
        return sum(self._end(visit_type, rows, end, row_id) for row_id in found)

    def _end(
        self, visit_type: str | None, rows: due.Due, end: Callable[..., bool], row_id: UUID
    ) -> bool:
        try:
            with self.database.begin(self.organisation_id) as db:
                is_due = due.still(db, self._query(db, visit_type, rows), [row_id])
                return bool(is_due) and end(db, row_id, now=self.now)
        except Exception as error:  # noqa: BLE001 - one odd row must not keep the others
            _failed(error, organisation_id=self.organisation_id, row_id=row_id)
            return False

    def _take_all(self, visit_type: str | None, taking: "_Taking") -> int:
        """Have the database take sessions, a batch in a transaction, and say which stay."""
        taken = 0
        stay: list[UUID] = []
        for found in self._batches(visit_type, taking.rows):
            gone = self._take_or_each(visit_type, taking, found)
            taken += len(gone)
            stay.extend(row_id for row_id in found if row_id not in gone)
        if stay:  # somebody has them locked, or their news or bytes are still there: tried again
            log.warning(
                "sessions_past_their_time",
                organisation_id=str(self.organisation_id),
                act=taking.action,
                sessions=len(stay),
                oldest=str(stay[0]),
            )
        return taken

    def _take_or_each(
        self, visit_type: str | None, taking: "_Taking", found: Sequence[UUID]
    ) -> frozenset[UUID]:
        """Take sessions together; each alone if one of them cannot be taken."""
        try:
            return self._take(visit_type, taking, found)
        except Exception as error:  # noqa: BLE001 - one odd session must not keep the others
            if len(found) == 1:
                _failed(error, organisation_id=self.organisation_id, row_id=found[0])
                return frozenset()
        return frozenset().union(*(self._take_or_each(visit_type, taking, [one]) for one in found))

    def _take(
        self, visit_type: str | None, taking: "_Taking", found: Sequence[UUID]
    ) -> frozenset[UUID]:
        """Have the database take those that are still past their time, and the audit log say what
        became of each: it outlives what it tells of."""
        with self.database.begin(self.organisation_id) as db:
            ids = due.still(db, self._query(db, visit_type, taking.rows), found)
            query = select(taking.function(ids, self.now))
            done: Sequence[UUID] = db.scalars(query).all() if ids else []
            entries = [
                Entry(
                    action=taking.action,
                    actor=SERVICE,
                    organisation_id=self.organisation_id,
                    session_id=session_id,
                    detail={"why": deletion.RETENTION},
                )
                for session_id in done
            ]
            if entries:
                audit.record_all(db, entries, now=self.now)
        return frozenset(done)

    def _batches(self, visit_type: str | None, rows: due.Due) -> Iterator[list[UUID]]:
        """Give what is due; after a full batch there is more, whatever went: others sweep, too."""

        def read(after: due.Place | None) -> Sequence[due.Place]:
            with self.database.begin(self.organisation_id) as db:
                query = self._query(db, visit_type, rows)
                return due.page(db, query, after=after, limit=BATCH)

        for found in batches(read, size=BATCH, is_stopped=self.is_stopped):
            yield [row_id for _, row_id in found]

    def _drain(
        self,
        forgetting: Callable[..., Function[int]],
        before: Callable[[Group, datetime], datetime],
    ) -> int:
        """Have the database forget what it finds that nobody has locked, until it finds less than
        a batch."""
        gone, some = 0, BATCH
        while some >= BATCH and not self.is_stopped():
            with self.database.begin(self.organisation_id) as db:
                rest = self._group(db, None)
                some = int(db.scalar(select(forgetting(before(rest, self.now), BATCH))) or 0)
            gone += some
        return gone

    def _query(self, db: Session, visit_type: str | None, rows: due.Due) -> due.Query:
        return rows(self.organisation_id, self._group(db, visit_type), self.now)

    def _group(self, db: Session, visit_type: str | None) -> Group:
        query = select(Organisation.settings).where(Organisation.id == self.organisation_id)
        return group_of(db.scalars(query).one(), visit_type)


@dataclass(frozen=True, slots=True)
class _Taking:
    """How sessions are taken from: which, by what function, and how the audit log calls it."""

    rows: due.Due
    function: Callable[..., Function[UUID]]
    action: str


def _failed(error: Exception, **where: UUID) -> None:
    """Say what stays until the next sweep."""
    log.warning(
        "retention_failed",
        kind=type(error).__name__,
        place=place_of(error),
        **{name: str(value) for name, value in where.items()},
    )
