"""Lost updates: the version of a row is its ETag, and a change must name the one it read."""

from typing import Any

from flask import request
from werkzeug.exceptions import PreconditionRequired

from app.errors import Invalid


def etag(version: int) -> str:
    """Return the ETag of a version."""
    return f'"{version}"'


def with_etag(item: Any) -> tuple[Any, dict[str, str]]:
    """Return a view's result with its version as ETag."""
    return item, {"ETag": etag(item.version)}


def expected_version() -> int:
    """Return the version the caller read, from `If-Match`.

    Raises:
        PreconditionRequired: there is no `If-Match` (428).
        Invalid: it is not an ETag of ours.
    """
    tags = request.if_match.as_set()
    if not tags:
        raise PreconditionRequired("Send the ETag you read in If-Match.")
    tag = next(iter(tags))
    if len(tags) > 1 or not tag.isascii() or not tag.isdigit() or len(tag) > 9:
        raise Invalid(
            "If-Match takes the one ETag you read.", code="etag_invalid", field="If-Match"
        )
    return int(tag)
