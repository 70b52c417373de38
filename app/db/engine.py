"""The connection pool, and the one way to open a transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, sessionmaker

from app.db.direct import DirectConnection, DirectLinks, is_dead

# Row-level security compares organisation_id with this setting of the transaction. Work of the
# service itself (relay, jobs, what Prosody tells) spans organisations and says so with '*'.
EVERY_ORGANISATION = "*"
# Whatever can run one statement.
Runner = Session | Connection | DirectConnection

# What is noted of a session: whose rows it may see, and whether it has a connection yet.
LIMIT, HAS_BEGUN = "teleconsult.organisation", "teleconsult.has_begun"
SET_ORGANISATION = text("SELECT set_config('teleconsult.organisation_id', :organisation, true)")


def make_engine(
    url: str, *, pool_size: int, application: str, settings: str = "", **options: Any
) -> Engine:
    """Return a pool of at most `pool_size` connections; one thread needs one.

    `settings` are further PostgreSQL options (`-c name=value`) of each connection; `options` are
    SQLAlchemy's.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_use_lifo=True,  # the warmest: PostgreSQL keeps plans per connection
        json_deserializer=orjson.loads,
        hide_parameters=True,  # an error's text is logged, and parameters hold names
        executemany_mode="values_plus_batch",  # rows together; the default asks and waits for each
        **{"isolation_level": "READ COMMITTED", **options},
        connect_args={
            "application_name": application,
            "connect_timeout": 3,
            # A stuck statement must not hold a row (and with it a session) for ever.
            "options": "-c statement_timeout=10000 -c lock_timeout=5000"
            " -c idle_in_transaction_session_timeout=30000" + settings,
            "keepalives_idle": 10,
            "tcp_user_timeout": 10_000,
        },
    )
    event.listen(engine, "checkout", _refuse_the_dead)
    return engine


def _refuse_the_dead(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool replace a connection whose server has gone."""
    if is_dead(connection):
        raise DisconnectionError


class Database:
    """A source of transactions, each limited to one organisation or, explicitly, to none."""

    def __init__(self, url: str, *, pool_size: int, application: str) -> None:
        self.engine = make_engine(url, pool_size=pool_size, application=application)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False, autoflush=False)
        event.listen(self._sessions, "after_begin", _limit)
        self._statements = make_engine(
            url,
            pool_size=pool_size,
            application=application,
            settings=f" -c teleconsult.organisation_id={EVERY_ORGANISATION}",
            isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None,  # without a transaction there is nothing to roll back
        )
        self._direct = DirectLinks(self._statements)

    def statements(self) -> Connection:
        """Return a connection where each statement is a transaction of its own, for what happens
        at every join: it spans organisations, since whoever holds a link has none yet."""
        return self._statements.connect()

    def direct(self) -> DirectConnection:
        """Return the same without SQLAlchemy between statement and driver."""
        return DirectConnection(self._direct)

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self._direct.dispose()
        self._statements.dispose()

    @contextmanager
    def begin(self, organisation_id: UUID | str | None = EVERY_ORGANISATION) -> Iterator[Session]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        With None it sees no row of any organisation until `enter_organisation` says whose.
        """
        with self._sessions.begin() as db:
            if organisation_id is not None:
                enter_organisation(db, organisation_id)
            yield db


def enter_organisation(db: Session, organisation_id: UUID | str) -> None:
    """Limit the rest of the transaction to the rows of one organisation.

    PostgreSQL hears of it with the first statement: who needs none does not wait for this one.
    """
    db.info[LIMIT] = str(organisation_id)
    if db.info.get(HAS_BEGUN):
        db.execute(SET_ORGANISATION, {"organisation": db.info[LIMIT]})


def _limit(db: Session, _transaction: object, connection: Connection) -> None:
    db.info[HAS_BEGUN] = True
    if LIMIT in db.info:
        connection.execute(SET_ORGANISATION, {"organisation": db.info[LIMIT]})


def run(db: Runner, statement: str, parameters: Sequence[Any]) -> Sequence[Any] | None:
    """Run one statement of the driver's own kind (`%s`) and return its first row, if it has any.

    For what happens at every join and change: building the statement anew from SQLAlchemy's
    language would cost more than PostgreSQL takes to run it.
    """
    if isinstance(db, DirectConnection):
        return db.run(statement, parameters)
    connection = db.connection() if isinstance(db, Session) else db
    result = connection.exec_driver_sql(statement, tuple(parameters))
    return result.first() if result.returns_rows else None
