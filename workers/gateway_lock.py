"""Of several gateways one is active: a component of Prosody takes one connection only.

The lock is PostgreSQL's and belongs to a database session, so it goes with the process that held
it, however that ended.
"""

import asyncio

import psycopg2
import structlog
from psycopg2 import extensions

log = structlog.get_logger()

LOCK_ID = 7_230_903  # any number, the same for every gateway
CHECK_EVERY_S = 1.0
ACQUIRE = "SELECT pg_try_advisory_lock(%s)"
CHECK = "SELECT true"
TAKEN = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)
# A holder whose machine vanished, or that was frozen, must not keep the lock.
SESSION_OPTIONS = (
    "-c statement_timeout=5000 -c idle_session_timeout=10000"
    " -c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3"
)


class GatewayLock:
    """The right to be the active gateway."""

    def __init__(self, database_url: str) -> None:
        # Without SQLAlchemy, which would double the size of the process for this one statement.
        self._url = database_url.replace("postgresql+psycopg2:", "postgresql:", 1)
        self._connection: extensions.connection | None = None

    async def acquire(self) -> None:
        """Wait until no other gateway holds the lock."""
        while not await asyncio.to_thread(self._try):
            await asyncio.sleep(CHECK_EVERY_S)

    async def keep(self) -> None:
        """Watch the lock and return when another gateway has it.

        When the database goes away, so does the lock; the rooms need a gateway all the same, so
        the holder goes on and takes the lock again when the database is back. Only if another was
        faster it gives way.
        """
        while not await asyncio.to_thread(self._is_lost):
            await asyncio.sleep(CHECK_EVERY_S)

    def release(self) -> None:
        """Let another gateway take over."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _is_lost(self) -> bool:
        if self._connection is not None and self._ask(self._connection, CHECK):
            return False
        self.release()
        return not self._try() and self._is_taken()

    def _try(self) -> bool:
        """Take the lock if it is free; False also when the database does not answer."""
        self._connection = self._connect()
        if self._connection is not None and self._ask(self._connection, ACQUIRE, LOCK_ID):
            return True
        self.release()
        return False

    def _is_taken(self) -> bool:
        """Tell whether the database answers and somebody holds the lock."""
        connection = self._connect()
        if connection is None:
            return False
        try:
            return self._ask(connection, TAKEN, LOCK_ID)
        finally:
            connection.close()

    def _connect(self) -> extensions.connection | None:
        try:
            connection = psycopg2.connect(
                self._url,
                application_name="teleconsult-gateway",
                connect_timeout=3,
                tcp_user_timeout=5000,
                options=SESSION_OPTIONS,
            )
        except psycopg2.Error:
            log.warning("gateway_lock_unavailable")
            return None
        connection.autocommit = True
        return connection

    def _ask(self, connection: extensions.connection, question: str, *values: int) -> bool:
        """Return the answer; False also when there is none."""
        try:
            with connection.cursor() as cursor:
                cursor.execute(question, values)
                row = cursor.fetchone()
        except psycopg2.Error:
            return False
        return row is not None and bool(row[0])
