"""Who was in the room, worked out from what Prosody saw of every connection."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.attendance.intervals import Interval, interruptions, merge, seconds_late
from app.organisations.policy_service import policy_of
from app.participants.models import Attendance, Participant
from app.sessions import service as sessions
from app.sessions.models import CareSession
from app.sessions.states import OVER


@dataclass(frozen=True, slots=True)
class PersonAttendance:
    """What one person did of the session."""

    participant: Participant
    intervals: Sequence[Interval]
    outcome: str
    late_s: int | None
    present_s: int

    @property
    def first_joined_at(self) -> datetime | None:
        """Return the first arrival."""
        return self.intervals[0].joined_at if self.intervals else None

    @property
    def last_left_at(self) -> datetime | None:
        """Return the last departure; None while the person is inside, or never came."""
        return self.intervals[-1].left_at if self.intervals else None

    @property
    def interruptions(self) -> int:
        """Return how often the person was cut off and came back."""
        return interruptions(self.intervals)


@dataclass(frozen=True, slots=True)
class SessionAttendance:
    """A session and everybody invited to it."""

    session: CareSession
    people: Sequence[PersonAttendance]
    overrun_s: int


def of_session(
    db: Session, *, organisation_id: UUID, session_id: UUID, now: datetime
) -> SessionAttendance:
    """Return who was there, in the order they were invited.

    Raises:
        NotFound: see `sessions.service.get`.
    """
    session = sessions.get(db, organisation_id=organisation_id, session_id=session_id)
    stays = _stays(db, session_id)
    policy = policy_of(db, organisation_id, session.visit_type)
    people = [
        _person(session, person, stays[person.id], now, late_after_s=policy.late_after_s)
        for person in _people(db, session_id)
    ]
    return SessionAttendance(session, people, _overrun_s(session, people, now))


def _people(db: Session, session_id: UUID) -> Sequence[Participant]:
    query = select(Participant).where(Participant.session_id == session_id)
    return db.scalars(query.order_by(Participant.created_at, Participant.id)).all()


def _stays(db: Session, session_id: UUID) -> defaultdict[UUID, list[Attendance]]:
    found: defaultdict[UUID, list[Attendance]] = defaultdict(list)
    for stay in db.scalars(select(Attendance).where(Attendance.session_id == session_id)):
        found[stay.participant_id].append(stay)
    return found


def _person(
    session: CareSession,
    participant: Participant,
    stays: Sequence[Attendance],
    now: datetime,
    *,
    late_after_s: int,
) -> PersonAttendance:
    intervals = merge(stays)
    return PersonAttendance(
        participant=participant,
        intervals=intervals,
        outcome=_outcome(session, participant, intervals),
        late_s=seconds_late(
            intervals[0].joined_at if intervals else None,
            planned_start=session.planned_start,
            late_after_s=late_after_s,
        ),
        present_s=round(sum(one.seconds(now) for one in intervals)),
    )


def _outcome(session: CareSession, participant: Participant, intervals: Sequence[Interval]) -> str:
    if intervals:
        return "present" if intervals[-1].left_at is None else "attended"
    may_still_come = session.state not in OVER and participant.state != "removed"
    return "expected" if may_still_come else "absent"


def _overrun_s(session: CareSession, people: Sequence[PersonAttendance], now: datetime) -> int:
    """Return for how long after the planned end somebody was still inside."""
    ends = [one.left_at or now for person in people for one in person.intervals]
    if session.planned_end is None or not ends:
        return 0
    return max(0, round((max(ends) - session.planned_end).total_seconds()))
