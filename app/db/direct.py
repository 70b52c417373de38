"""Single statements straight on the driver, for what happens at every join.

SQLAlchemy makes the connections; between statement and driver, and between two uses of a
connection, it does nothing here: that would cost as much as PostgreSQL takes to answer.
"""

import select
from collections import deque
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Self

import psycopg2
from psycopg2.extensions import connection as Link  # noqa: N812 - it is a class
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError


def is_dead(link: Link) -> bool:
    """Tell whether a connection's server has gone: a server says so when it ends, and from an idle
    connection there is nothing else to read. Asking it each time (pre-ping) would cost as much as a
    third of the statement that follows."""
    if link.closed:
        return True
    poll = select.poll()
    poll.register(link.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class DirectLinks:
    """Idle connections, the warmest first. There are as many as were ever used at once: a thread
    uses one at a time, so never more than threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: deque[Link] = deque()

    def take(self) -> Link:
        """Return a living connection.

        Raises:
            DBAPIError: there is none to be had.
        """
        while self._idle:
            try:
                link = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if not is_dead(link):
                return link
            link.close()
        return self._new()

    def give_back(self, link: Link) -> None:
        """Keep a connection for the next use."""
        if not link.closed:
            self._idle.append(link)

    def dispose(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _new(self) -> Link:
        try:
            fairy = self._engine.raw_connection()
        except psycopg2.Error as error:
            raise _translated(error, "", is_broken=True) from error
        link = fairy.dbapi_connection
        fairy.detach()
        assert isinstance(link, Link)
        return link


class DirectConnection:
    """A connection in which each statement is a transaction of its own, while the block lasts.

    Errors are SQLAlchemy's, as everywhere else.
    """

    def __init__(self, links: DirectLinks) -> None:
        self._links = links

    def __enter__(self) -> Self:
        self._link = self._links.take()
        self._cursor = self._link.cursor()
        return self

    def __exit__(self, *_: object) -> None:
        self._links.give_back(self._link)

    def run(self, statement: str, parameters: Sequence[Any]) -> Sequence[Any] | None:
        """Run one statement and return its first row, if it has any.

        Raises:
            DBAPIError: PostgreSQL refused it, or is gone.
        """
        self._execute(statement, parameters)
        return self._cursor.fetchone() if self._cursor.description else None

    def rows(self, statement: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Run one statement and return all of its rows.

        Raises:
            DBAPIError: PostgreSQL refused it, or is gone.
        """
        self._execute(statement, parameters)
        return self._cursor.fetchall()

    def named(self, statement: str, parameters: Sequence[Any]) -> SimpleNamespace | None:
        """Run one statement and return its first row by the names of its columns.

        Raises:
            DBAPIError: PostgreSQL refused it, or is gone.
        """
        row = self.run(statement, parameters)
        if row is None:
            return None
        names = (column.name for column in self._cursor.description or ())
        return SimpleNamespace(**dict(zip(names, row, strict=True)))

    def _execute(self, statement: str, parameters: Sequence[Any]) -> None:
        try:
            self._cursor.execute(statement, parameters)
        except psycopg2.Error as error:
            raise _translated(error, statement, is_broken=bool(self._link.closed)) from error


def _translated(error: psycopg2.Error, statement: str, *, is_broken: bool) -> BaseException:
    return DBAPIError.instance(
        statement,
        None,
        error,
        psycopg2.Error,
        hide_parameters=True,  # an error's text is logged, and parameters hold names
        connection_invalidated=is_broken,
    )
