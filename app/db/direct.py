"""Single statements straight on the driver, for what happens at every join.

SQLAlchemy makes the connections; between statement and driver, and between two uses of a
connection, it does nothing here: that would cost as much as PostgreSQL takes to answer. A
statement is prepared once on a connection, which saves PostgreSQL up to a fifth of a short one.
"""

import re
import select
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any, Self

import psycopg2
from psycopg2.errors import FeatureNotSupported
from psycopg2.extensions import connection as Link  # noqa: N812 - it is a class
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

PLACEHOLDER = re.compile("%s")


def is_dead(link: Link) -> bool:
    """Tell whether a connection's server has gone: a server says so when it ends, and from an idle
    connection there is nothing else to read. Asking it each time (pre-ping) would cost as much as a
    third of the statement that follows."""
    if link.closed:
        return True
    poll = select.poll()
    poll.register(link.fileno(), select.POLLIN)
    return bool(poll.poll(0))


@dataclass(eq=False, slots=True)
class Prepared:
    """A connection, and how what was prepared on it is executed, by the statement."""

    link: Link
    executions: dict[str, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)


class DirectLinks:
    """Idle connections, the warmest first. There are as many as were ever used at once: a thread
    uses one at a time, so never more than threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: deque[Prepared] = deque()

    def take(self) -> Prepared:
        """Return a living connection.

        Raises:
            DBAPIError: there is none to be had.
        """
        while self._idle:
            try:
                prepared = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if not is_dead(prepared.link):
                return prepared
            prepared.link.close()
        return Prepared(self._new())

    def give_back(self, prepared: Prepared) -> None:
        """Keep a connection for the next use."""
        if not prepared.link.closed:
            self._idle.append(prepared)

    def dispose(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().link.close()

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

    A statement is written as for the driver (`%s`), without any other `%`. A list is one of texts
    (`%s::text[]`), which an EXECUTE takes for nothing else. Errors are SQLAlchemy's, as everywhere
    else.
    """

    def __init__(self, links: DirectLinks) -> None:
        self._links = links

    def __enter__(self) -> Self:
        self._prepared = self._links.take()
        self._cursor = self._prepared.link.cursor()
        return self

    def __exit__(self, *_: object) -> None:
        self._links.give_back(self._prepared)

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
            self._execute_prepared(statement, parameters)
        except psycopg2.Error as error:
            raise _translated(
                error, statement, is_broken=bool(self._prepared.link.closed)
            ) from error

    def _execute_prepared(self, statement: str, parameters: Sequence[Any]) -> None:
        executions = self._prepared.executions
        if statement not in executions:
            executions[statement] = self._prepare(statement)
        try:
            self._cursor.execute(executions[statement], parameters)
        except FeatureNotSupported:
            # A migration has changed what it returns: "cached plan must not change result type",
            # which PostgreSQL says before it does anything.
            executions[statement] = self._prepare(statement)
            self._cursor.execute(executions[statement], parameters)

    def _prepare(self, statement: str) -> str:
        name, numbers = f"direct_{next(self._prepared.numbers)}", count(1)
        numbered = PLACEHOLDER.sub(lambda _: f"${next(numbers)}", statement)
        self._cursor.execute(f"PREPARE {name} AS {numbered}")
        places = ", ".join(["%s"] * (next(numbers) - 1))
        return f"EXECUTE {name} ({places})" if places else f"EXECUTE {name}"


def _translated(error: psycopg2.Error, statement: str, *, is_broken: bool) -> BaseException:
    return DBAPIError.instance(
        statement,
        None,
        error,
        psycopg2.Error,
        hide_parameters=True,  # an error's text is logged, and parameters hold names
        connection_invalidated=is_broken,
    )
