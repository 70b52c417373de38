"""Audit entries of requests that come at once: one statement, and each request hears of its own."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from app.audit.group_commit import GroupCommit
from app.audit.service import STRANGER, Entry
from app.clock import utc_now
from app.db.direct import DirectConnection, DirectLinks
from app.db.engine import make_engine
from app.localstack.process import wait_until
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.records import audit_of

MANY = 4


class Watched(DirectConnection):
    """A connection that notes how many entries each statement had, and may be held up or broken:
    by the trouble that hits the first of those who share it."""

    def __init__(self, links: DirectLinks, sizes: list[int]) -> None:
        super().__init__(links)
        self.sizes = sizes
        self.may_go = Event()
        self.begun = Event()
        self.trouble: list[DBAPIError] = []
        self.error: DBAPIError | None = None

    def run(self, statement: str, parameters: Sequence[Any]) -> Sequence[Any] | None:
        """Run it once that is allowed."""
        self.begun.set()
        assert self.may_go.wait(10)
        if self.trouble:
            self.error = self.trouble.pop()
        if self.error:
            raise self.error
        self.sizes.append(len(parameters) // 12)
        return super().run(statement, parameters)


@pytest.fixture
def sizes() -> list[int]:
    """How many entries each statement had."""
    return []


def at_once(
    services: Services, hospital: Hospital, sizes: list[int], error: DBAPIError | None = None
) -> list[Future[None]]:
    """Record one entry, and many while that one is being written; return what became of each."""
    group = GroupCommit()
    engine = make_engine(
        services.settings.database_url,
        pool_size=1 + MANY,
        application="test",
        settings=" -c teleconsult.organisation_id=*",
        isolation_level="AUTOCOMMIT",
    )
    links = DirectLinks(engine)
    connections = [Watched(links, sizes) for _ in range(1 + MANY)]

    def record(number: int) -> None:
        action = f"test.{number}"
        entry = Entry(action=action, actor=STRANGER, organisation_id=hospital.organisation_id)
        with connections[number] as db:
            group.record(db, entry, now=utc_now())

    with ThreadPoolExecutor(1 + MANY) as threads:
        first = threads.submit(record, 0)
        assert connections[0].begun.wait(10)
        others = [threads.submit(record, number) for number in range(1, 1 + MANY)]
        assert wait_until(lambda: len(group) == MANY, 10)
        trouble = [error] if error else []
        # Whose turn is next, nobody knows.
        for connection in connections[1:]:
            connection.trouble = trouble
        for connection in connections:
            connection.may_go.set()
    links.dispose()
    return [first, *others]


def actions_of(services: Services, hospital: Hospital) -> set[str]:
    """Return what was recorded here."""
    entries = audit_of(services, hospital.organisation_id)
    return {entry.action for entry in entries if entry.action.startswith("test.")}


def test_what_comes_while_one_is_written_is_written_together(
    services: Services, alice: Hospital, sizes: list[int]
) -> None:
    """The first at once and alone, the others by whoever is next; nothing is lost or doubled."""
    for future in at_once(services, alice, sizes):
        future.result(10)
    assert sizes == [1, MANY]
    assert actions_of(services, alice) == {f"test.{number}" for number in range(1 + MANY)}


def test_nobodys_trouble_becomes_anothers(
    services: Services, alice: Hospital, sizes: list[int]
) -> None:
    """One whose connection is broken hears of it; those whose entries it took along write them."""
    broken = OperationalError("INSERT", None, Exception("gone"))
    first, *others = at_once(services, alice, sizes, broken)
    first.result(10)
    errors = [future.exception(10) for future in others]
    written = {f"test.{n}" for n, error in enumerate(errors, start=1) if error is None}
    assert errors.count(broken) == 1
    assert actions_of(services, alice) == {"test.0", *written}
