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
    """Some rows, newest first, and where the next ones start."""

    items: Sequence[Row]
    next_cursor: str | None


def keyset_page(
    db: Session,
    query: Select[Any],
    model: Any,
    *,
    cursor: str | None,
    limit: int,
    moment: str = "created_at",
) -> Page[Any]:
    """Return one page of `query`, ordered by `(created_at, id)` descending.

    Args:
        moment: the column that says when, if it is another.

    Raises:
        Invalid: the cursor is not one of ours.
    """
    when = getattr(model, moment)
    if cursor:
        query = query.where(tuple_(when, model.id) < tuple_(*read_cursor(cursor)))
    newest_first = query.order_by(when.desc(), model.id.desc())
    rows = db.scalars(newest_first.limit(limit + 1)).all()
    more = len(rows) > limit
    return Page(rows[:limit], _write(rows[limit - 1], moment) if more else None)


def _write(row: Any, moment: str) -> str:
    when = getattr(row, moment).isoformat()
    return base64.urlsafe_b64encode(f"{when} {row.id}".encode()).decode()


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
