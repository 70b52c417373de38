"""Years of a hospital group's work, written straight into the tables.

Every row has the shape, the order and the neighbours it would have had; proofs, seals and hashes
are bytes of the right length that verify as nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg2.extensions import cursor

from app.clock import utc_now
from app.localstack.supervisor import LocalStack
from tests.bench.lab import progress
from tests.bench.years_rows import FINISH, MAKE_ID, ORGANISATIONS, PARTITIONS, PEOPLE, PLAN, TABLES

AT_ONCE = 20_000  # sessions per transaction
# As many sessions a day in every database, so that a day is as full, however many years there are.
A_DAY = 400
WRITERS = 2
SETTINGS = (
    "session_replication_role = replica",
    "synchronous_commit = off",
    "work_mem = '64MB'",
    "maintenance_work_mem = '512MB'",
    "timezone = 'UTC'",
    "jit = off",
)


@dataclass(frozen=True, slots=True)
class Whose:
    """The organisation that has half of everything, its program and its webhook."""

    organisation: UUID
    client: UUID
    subscription: UUID


def load(stack: LocalStack, whose: Whose, *, sessions: int) -> None:
    """Fill a database with this many sessions, thrice the people and ten times the audit entries.

    As superuser and without triggers: foreign keys hold by construction, and looking each up would
    take most of the time.
    """
    values: dict[str, Any] = {
        "count": sessions,
        "now": utc_now(),
        "a_day": A_DAY,
        "organisation": str(whose.organisation),
        "client": str(whose.client),
        "subscription": str(whose.subscription),
    }
    with stack.postgres.as_admin() as admin:
        # It would look through what is still being written, again and again.
        admin.execute("ALTER SYSTEM SET autovacuum = off")
        admin.execute("SELECT pg_reload_conf()")
        _connect(admin, values)
        for statement in (ORGANISATIONS, PARTITIONS):
            admin.execute(statement, values)
        for table, kind in (("patients", "00a"), ("providers", "00b")):
            admin.execute(PEOPLE.format(table=table, kind=kind))
    parts = iter(range(0, sessions, AT_ONCE))
    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(lambda _: _write_parts(stack, parts, values), range(WRITERS)))
    progress("statistics are being made")
    with stack.postgres.as_admin() as admin:
        admin.execute(FINISH, values)
        admin.execute("VACUUM ANALYZE")
        admin.execute("ALTER SYSTEM RESET autovacuum")
        admin.execute("SELECT pg_reload_conf()")


def _connect(admin: cursor, values: Mapping[str, Any]) -> None:
    for setting in SETTINGS:
        admin.execute(f"SET {setting}")
    for statement in (MAKE_ID, PLAN):
        admin.execute(statement, values)


def _write_parts(stack: LocalStack, parts: Iterator[int], values: Mapping[str, Any]) -> None:
    with stack.postgres.as_admin() as admin:
        _connect(admin, values)
        for since in parts:
            until = min(since + AT_ONCE, values["count"])
            admin.execute("BEGIN")
            for statement in TABLES:
                admin.execute(statement, {**values, "since": since, "until": until})
            admin.execute("COMMIT")
            progress(f"{until} of {values['count']} sessions with all that belongs to them written")
