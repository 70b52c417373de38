"""Who is in the room right now, read from attendance."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.participants.models import Attendance, Participant


def present(db: Session, session_id: UUID) -> list[UUID]:
    """Return the ids of those with an open interval, each once, in order of arrival."""
    rows = db.scalars(
        select(Attendance.participant_id)
        .where(Attendance.session_id == session_id, Attendance.left_at.is_(None))
        .order_by(Attendance.joined_at)
    )
    return list(dict.fromkeys(rows))


def people_inside(db: Session, session_id: UUID) -> list[tuple[Participant, datetime]]:
    """Return who is in the room and since when, in order of arrival."""
    since = func.min(Attendance.joined_at)
    rows = db.execute(
        select(Participant, since)
        .join(Attendance, Attendance.participant_id == Participant.id)
        .where(Attendance.session_id == session_id, Attendance.left_at.is_(None))
        .group_by(Participant.id)
        .order_by(since, Participant.id)
    )
    return [(person, moment) for person, moment in rows]


def empty_since(db: Session, session_id: UUID) -> datetime | None:
    """Return when the last one left the room; None while somebody is inside, and when nobody ever
    was."""
    here = Attendance.session_id == session_id
    inside = func.count().filter(Attendance.left_at.is_(None))
    found = db.execute(select(inside, func.max(Attendance.left_at)).where(here)).one()
    return None if found[0] else found[1]


def note_host(db: Session, participant_id: UUID, *, is_host: bool) -> None:
    """Say of a person in the room whether their being there opens it for others from now on."""
    theirs = (Attendance.participant_id == participant_id, Attendance.left_at.is_(None))
    db.execute(update(Attendance).where(*theirs).values(is_host=is_host))
