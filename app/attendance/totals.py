"""Adding finished stays up, a batch at a time. The relay does it; any number may, side by side."""

from sqlalchemy import text
from sqlalchemy.orm import Session

COUNT = text("SELECT teleconference.count_stays(:limit)")
BATCH = 5000


def count(db: Session, *, limit: int = BATCH) -> int:
    """Move up to `limit` finished stays into the totals and return how many there were."""
    return int(db.scalar(COUNT, {"limit": limit}))
