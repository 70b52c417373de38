"""A connection that is told of commits: `LISTEN`, outside the pool."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from app.db.engine import Database


@contextmanager
def listening(database: Database, channel: str) -> Iterator[Connection]:
    """Yield a connection of its own that is told of every commit that notifies `channel`."""
    pooled = database.engine.raw_connection()
    connection = cast("Connection", pooled.driver_connection)
    pooled.detach()  # it is ours: the pool neither counts nor resets it
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {channel}")
        yield connection
    finally:
        connection.close()
