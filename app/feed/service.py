"""Following the feed from a place in it."""

import re
from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.errors import Invalid
from app.events import feed

# Far more events than there will ever be, and still a bigint.
CURSOR = re.compile(r"[0-9]{1,18}")


def read(
    db: Session,
    *,
    organisation_id: UUID,
    after: str | None,
    limit: int,
    types: Collection[str] = (),
    session_id: UUID | None = None,
) -> dict[str, Any]:
    """Return the events after a cursor and the cursor to go on with.

    Raises:
        Invalid: the cursor is not one of ours.
    """
    page = feed.page(
        db,
        organisation_id=organisation_id,
        after=position_of(after),
        limit=limit,
        types=types,
        session_id=session_id,
    )
    items = [{**feed.envelope(event), "position": event.position} for event in page.items]
    return {"items": items, "next_after": str(page.edge), "has_more": page.has_more}


def position_of(cursor: str | None) -> int:
    """Return the position a cursor stands for, 0 for none.

    Raises:
        Invalid: it is not one of ours.
    """
    if not cursor:
        return 0
    if CURSOR.fullmatch(cursor) is None:
        raise Invalid(
            "This cursor is not one of ours; start without it.",
            code="cursor_invalid",
            field="after",
        )
    return int(cursor)
