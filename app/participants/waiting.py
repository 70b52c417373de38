"""The queue of the waiting room: who waits, at which place, and for how long still.

Somebody is in the queue as long as they give signs of life: their page asks where they stand, or
Prosody asks for them while their client is in the lobby. What is decided about them is in
`app.waiting`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.audit.service import Actor
from app.db.engine import Database, Runner, run
from app.participants import service
from app.participants.models import Participant, Waiting
from app.participants.seats import Seat
from app.sessions import service as sessions
from app.sessions.states import OVER

# A page asks every two seconds and Prosody every ten: who misses this long has gone.
PRESENT_FOR = timedelta(seconds=25)
# Not each sign of life is a write.
WORTH_WRITING = timedelta(seconds=5)
# Who comes back within this has their old place: a reload, a tunnel, a call in between.
PLACE_KEPT_FOR = timedelta(minutes=5)

# Of the latest admissions of a session; fewer pauses than two are no pace.
LATEST = 8
FEWEST_PAUSES = 2
# People let in together, a family for instance, say nothing of how long the next one takes.
TOGETHER_S = 15

STANDING = """
    SELECT w.since, w.present_until,
      (SELECT count(*) FROM teleconference.waiting o
       WHERE o.session_id = w.session_id AND o.state = 'waiting' AND o.present_until > %s
         AND (o.since, o.participant_id) < (w.since, w.participant_id)),
      ARRAY(SELECT a.decided_at FROM teleconference.waiting a
            WHERE a.session_id = w.session_id AND a.state = 'admitted'
            ORDER BY a.decided_at DESC LIMIT %s)
    FROM teleconference.waiting w WHERE w.participant_id = %s"""
MESSAGE = "SELECT message FROM teleconference.waiting WHERE participant_id = %s"
SIGN_OF_LIFE = """
    UPDATE teleconference.waiting SET present_until = %s
    WHERE participant_id = %s AND state = 'waiting'"""
GONE = """
    UPDATE teleconference.waiting SET present_until = least(present_until, %s)
    WHERE participant_id = %s AND state = 'waiting'"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody stands in the queue; `estimate_s` is None when there is no ground to say."""

    place: int
    ahead: int
    estimate_s: int | None
    since: datetime

    def shown(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return asdict(self)


def attend(db: Runner, database: Database, seat: Seat, *, now: datetime) -> Place | None:
    """Note that a person who is not admitted yet is there; return their place.

    None when the session ended, or the decision fell, while this was asked.

    Args:
        db: where each statement is a transaction of its own; `database` is for the one that is not.
    """
    found = run(db, STANDING, (now, LATEST, seat.participant_id))
    if found is None or found[1] + PLACE_KEPT_FOR <= now:
        with database.begin(seat.organisation_id) as transaction:
            _arrive(transaction, seat, now)
        found = run(db, STANDING, (now, LATEST, seat.participant_id))
    elif found[1] < now + PRESENT_FOR - WORTH_WRITING:
        run(db, SIGN_OF_LIFE, (now + PRESENT_FOR, seat.participant_id))
    return _place(found, now) if found else None


def told(db: Runner, seat: Seat) -> str | None:
    """Return what a denied person is told, if the one who denied them said something."""
    found = run(db, MESSAGE, (seat.participant_id,))
    return found[0] if found else None


def gone(db: Session, *, participant_id: UUID, at: datetime) -> None:
    """Note that a person's client left the lobby; a page of theirs may still be waiting."""
    run(db, GONE, (at, participant_id))


def estimate(admissions: Sequence[datetime], *, place: int, now: datetime) -> int | None:
    """Return in how many seconds somebody is let in, by the pace of the latest admissions.

    Each one ahead takes as long as one usually took. What has passed since the last admission
    counts, but never as more than one turn: nobody is promised a door that opens at once.

    Args:
        admissions: when people were admitted, latest first.
    """
    pauses = [(later - earlier).total_seconds() for later, earlier in pairwise(admissions)]
    turns = [pause for pause in pauses if pause > TOGETHER_S]
    if len(turns) < FEWEST_PAUSES:
        return None
    turn = median(turns)
    passed = min(max((now - admissions[0]).total_seconds(), 0), turn)
    return round(turn * place - passed)


def _place(found: Sequence[Any], now: datetime) -> Place:
    since, _, ahead, admissions = found
    place = ahead + 1
    return Place(place, ahead, estimate(admissions, place=place, now=now), since)


def _arrive(db: Session, seat: Seat, now: datetime) -> None:
    """Join the queue at its end; who was away for long does so again."""
    session = sessions.lock(db, organisation_id=seat.organisation_id, session_id=seat.session_id)
    if session.state in OVER:
        return
    row = insert(Waiting).values(
        participant_id=seat.participant_id,
        organisation_id=seat.organisation_id,
        session_id=seat.session_id,
        state="waiting",
        since=now,
        present_until=now + PRESENT_FOR,
    )
    came = db.scalar(
        row.on_conflict_do_update(
            index_elements=[Waiting.participant_id],
            set_={"since": now, "present_until": now + PRESENT_FOR},
            # Of two tabs that come at once one joins; who was admitted meanwhile does not wait.
            where=(Waiting.state == "waiting") & (Waiting.present_until <= now - PLACE_KEPT_FOR),
        ).returning(Waiting.participant_id)
    )
    participant = came and db.get(Participant, came)
    if participant:
        actor = Actor("participant", str(participant.id))
        service.tell(db, participant, "participant.waiting", actor=actor, now=now)
