"""Lost updates: the version of a row is its ETag, and a change must name the one it read."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import request
from werkzeug.exceptions import PreconditionRequired

from app.errors import Invalid
from app.web.auth import describe

HEADER = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "description": "The ETag you read: 412 when somebody changed it since, 428 without it.",
    "schema": {"type": "string", "pattern": '^"[0-9]{1,9}"$'},
}
OPTIONAL_HEADER = {
    **HEADER,
    "required": False,
    "description": "The ETag you read: 412 when somebody changed it since. Where it is wanted, the"
    " answer without it is 409.",
}
OWN = re.compile(r'"([0-9]{1,9})"')


def etag(version: int) -> str:
    """Return the ETag of a version."""
    return f'"{version}"'


def with_etag(item: Any, status: int | None = None) -> tuple[Any, int | None, dict[str, str]]:
    """Return a view's result with its version as ETag, and a status other than the usual one."""
    return item, status, {"ETag": etag(item.version)}


def conditional(view: Callable[..., Any]) -> Callable[..., Any]:
    """Give the view the `version` its caller read. Stands inside `requires`."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, version=expected_version(), **kwargs)

    return describe(wrapper, parameters=[HEADER])


def may_be_conditional(view: Callable[..., Any]) -> Callable[..., Any]:
    """The same, or None: whether the caller must say it depends on what there is."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, version=_told_version(), **kwargs)

    return describe(wrapper, parameters=[OPTIONAL_HEADER])


def expected_version() -> int:
    """Return the version the caller read, from `If-Match`.

    Raises:
        PreconditionRequired: there is no `If-Match`, or nothing in it (428).
        Invalid: it is not an ETag of ours.
    """
    version = _told_version()
    if version is None:
        raise PreconditionRequired("Send the ETag you read in If-Match.")
    return version


def _told_version() -> int | None:
    header = request.headers.get("If-Match", "").strip()
    if not header:
        return None
    # Not werkzeug's reading of it, which also takes a tag without its quotes.
    found = OWN.fullmatch(header)
    if found is None:
        raise Invalid(
            "If-Match takes the one ETag you read.", code="etag_invalid", field="If-Match"
        )
    return int(found[1])
