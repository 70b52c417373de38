"""Who is in the room right now, read from attendance."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.participants.models import Attendance


def present(db: Session, session_id: UUID) -> list[UUID]:
    """Return the ids of those with an open interval, each once, in order of arrival."""
    rows = db.scalars(
        select(Attendance.participant_id)
        .where(Attendance.session_id == session_id, Attendance.left_at.is_(None))
        .order_by(Attendance.joined_at)
    )
    return list(dict.fromkeys(rows))
