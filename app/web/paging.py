"""Keyset pages: stable while rows are added, and as quick at the end as at the start."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import Session

from app.errors import Invalid

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows in their order, and where the next ones start."""

    items: Sequence[Row]
    next_cursor: str | None


def keyset_page(
    db: Session,
    query: Select[Any],
    model: Any,
    *,
    cursor: str | None,
    limit: int,
    by: str = "created_at",
    newest_first: bool = True,
) -> Page[Any]:
    """Return one page of `query`, ordered by the moment `by`, then `id`; descending unless told.

    Args:
        by: the column that says when, if it is another.

    Raises:
        Invalid: the cursor is not one of ours.
    """
    order = (getattr(model, by), model.id)
    if cursor:
        last = tuple_(*read_cursor(cursor))
        query = query.where(tuple_(*order) < last if newest_first else tuple_(*order) > last)
    query = query.order_by(*(column.desc() for column in order) if newest_first else order)
    rows = db.scalars(query.limit(limit + 1)).all()
    more = len(rows) > limit
    return Page(rows[:limit], write_cursor(rows[limit - 1], by) if more else None)


def write_cursor(row: Any, by: str) -> str:
    """Return where the page after this row starts, in the order of the moment `by`."""
    text = f"{getattr(row, by).isoformat()} {row.id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Return moment and id of the row before the next page.

    Raises:
        Invalid: the cursor is not one of ours.
    """
    try:
        moment, _, row_id = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        created_at = datetime.fromisoformat(moment)
        if created_at.tzinfo is None:
            raise ValueError(cursor)
        # In UTC: PostgreSQL does not take every offset Python does.
        return created_at.astimezone(UTC), UUID(row_id)
    except (ValueError, OverflowError, binascii.Error) as error:
        raise Invalid(
            "This cursor is not one of ours; start without it.",
            code="cursor_invalid",
            field="cursor",
        ) from error
