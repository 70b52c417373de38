"""One transaction per request, opened around the whole view and closed before the answer leaves."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, g
from psycopg2 import errors as pg
from sqlalchemy.exc import OperationalError

from app.web.services import current_services

T = TypeVar("T")
AfterCommit = Callable[[Response], Response]


def transactional(view: Callable[..., Any]) -> Callable[..., Any]:
    """Give the view `db`; commit when it returns, roll back when it raises.

    What was registered with `after_commit` runs when the commit has succeeded.
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Response:
        response = repeatable(lambda: _run(view, args, kwargs))
        for finish in cast("list[AfterCommit]", g.pop("after_commit", [])):
            response = finish(response)
        return response

    return wrapper


def repeatable(transaction: Callable[[], T]) -> T:
    """Run a whole transaction; once more after a deadlock or a serialization failure, since nothing
    of the first try remains."""
    try:
        return transaction()
    except OperationalError as error:
        if not isinstance(error.orig, (pg.DeadlockDetected, pg.SerializationFailure)):
            raise
        return transaction()


def after_commit(finish: AfterCommit) -> None:
    """Run `finish` on the answer once the transaction is committed."""
    g.setdefault("after_commit", []).append(finish)


def _run(view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Response:
    g.pop("after_commit", None)
    # Whose rows it may see is said by `requires`, or by `across_organisations`.
    with current_services().database.begin(None) as db:
        return cast("Response", view(*args, db=db, **kwargs))
