"""The connection pool, and the one way to open a transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.orm import Session, sessionmaker

# Row-level security compares organisation_id with this setting of the transaction. Work of the
# service itself (relay, jobs, what Prosody tells) spans organisations and says so with '*'.
EVERY_ORGANISATION = "*"
SET_ORGANISATION = text("SELECT set_config('teleconsult.organisation_id', :organisation, true)")


def make_engine(url: str, *, pool_size: int, application: str, settings: str = "") -> Engine:
    """Return a pool of at most `pool_size` connections; one thread needs one.

    `settings` are further PostgreSQL options (`-c name=value`) of each connection.
    """
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
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


class Database:
    """A source of transactions, each limited to one organisation or, explicitly, to none."""

    def __init__(self, url: str, *, pool_size: int, application: str) -> None:
        self.engine = make_engine(url, pool_size=pool_size, application=application)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False, autoflush=False)
        self._statements = make_engine(
            url,
            pool_size=pool_size,
            application=application,
            settings=f" -c teleconsult.organisation_id={EVERY_ORGANISATION}",
        ).execution_options(isolation_level="AUTOCOMMIT")

    def statements(self) -> Connection:
        """Return a connection where each statement is a transaction of its own, for what happens
        at every join: it spans organisations, since whoever holds a link has none yet."""
        return self._statements.connect()

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self._statements.dispose()

    @contextmanager
    def begin(self, organisation_id: UUID | str = EVERY_ORGANISATION) -> Iterator[Session]:
        """Open a transaction that commits when the block ends and rolls back when it raises."""
        with self._sessions.begin() as db:
            enter_organisation(db, organisation_id)
            yield db


def enter_organisation(db: Session, organisation_id: UUID | str) -> None:
    """Limit the rest of the transaction to the rows of one organisation."""
    db.execute(SET_ORGANISATION, {"organisation": str(organisation_id)})
