"""What the service left in the database: events, audit entries, orders, and all of it as text."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from psycopg2.extensions import cursor
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select, text

from app.audit.models import AuditEntry
from app.events.models import Event
from app.localstack.postgres import find_program
from app.localstack.supervisor import LocalStack
from app.participants.models import Link
from app.rooms.models import RoomCommand
from app.services import Services


def events_of(services: Services, session_id: str | UUID) -> Sequence[Event]:
    """Return the events of a session in their order."""
    query = select(Event).where(Event.session_id == session_id).order_by(Event.sequence)
    with services.database.begin() as db:
        return db.scalars(query).all()


def types_of(services: Services, session_id: str | UUID) -> list[str]:
    """Return the types of a session's events in their order."""
    return [one.type for one in events_of(services, session_id)]


def audit_of(services: Services, organisation_id: UUID | None) -> Sequence[AuditEntry]:
    """Return the audit entries of an organisation in the order they were made."""
    # By id, which tells when an entry was made: some tests date theirs back and ahead.
    query = select(AuditEntry).order_by(AuditEntry.id)
    with services.database.begin() as db:
        if organisation_id is None:
            return db.scalars(query.where(AuditEntry.organisation_id.is_(None))).all()
        return db.scalars(query.where(AuditEntry.organisation_id == organisation_id)).all()


def orders_of(services: Services, session_id: str | UUID) -> Sequence[RoomCommand]:
    """Return the orders to a session's room in the order they were given."""
    query = select(RoomCommand).where(RoomCommand.session_id == session_id).order_by(RoomCommand.id)
    with services.database.begin() as db:
        return db.scalars(query).all()


def links_of(services: Services, participant_id: str | UUID) -> Sequence[Link]:
    """Return a person's links, oldest first."""
    query = select(Link).where(Link.participant_id == participant_id).order_by(Link.id)
    with services.database.begin() as db:
        return db.scalars(query).all()


def alter(services: Services, statement: str, **values: Any) -> None:
    """Change a row behind the service's back, for example to let time pass."""
    with services.database.begin() as db:
        assert db.execute(text(statement), values).rowcount == 1  # type: ignore[attr-defined]


def code_of(person: dict[str, Any]) -> str:
    """Return the code in a person's link."""
    return str(person["link"]).rsplit("/", 1)[-1]


def dump(postgres: LocalStack) -> str:
    """Return every row of the database as text, as whoever steals a backup has it."""
    command = [str(find_program("pg_dump")), "--inserts", postgres.postgres.owner_url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def statements(services: Services) -> Iterator[list[str]]:
    """Collect the SQL statements of both pools, as the driver is given them; but not what prepares
    one, once on a connection."""
    seen: list[str] = []

    class Noting(cursor):
        def execute(self, statement: Any, parameters: Any = None) -> None:
            if not str(statement).startswith("PREPARE "):
                seen.append(str(statement))
            super().execute(statement, parameters)

    def note(connection: Any, *_: object) -> None:
        connection.cursor_factory = Noting

    engines = [services.database.engine, services.database._statements]
    services.database.dispose()  # so that every connection is a new one
    for engine in engines:
        sqlalchemy_event.listen(engine, "connect", note)
    try:
        yield seen
    finally:
        for engine in engines:
            sqlalchemy_event.remove(engine, "connect", note)
        services.database.dispose()
