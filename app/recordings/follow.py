"""A recording's steps, and what the room says of it. Below the rooms, because their facts move it.

Whoever calls has locked the session, so that there is one step at a time.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.events import service as events
from app.recordings.models import Recording
from app.recordings.states import LIVE, State, Step, target_of

# How long until it is looked for a free recorder again.
TRY_AGAIN = timedelta(seconds=5)
BUSY, STOPPED, NO_MODERATOR = "busy", "stopped", "no-moderator"
# What a request that was allowed came to nothing for, and what it then waits for. `newcomer`:
# somebody came in meanwhile; `stopped`: a stop of an older one overtook it; `unavailable`: Prosody
# did not hear that it was allowed.
TRIED_AGAIN = {
    BUSY: BUSY,
    "newcomer": "consent_missing",
    STOPPED: "unavailable",
    "unavailable": "unavailable",
}
EVENT_OF = {
    Step.ALLOW: "recording.starting",
    Step.QUEUE: "recording.waiting",
    Step.BEGIN: "recording.started",
    Step.STOP: "recording.stopping",
    Step.FINISH: "recording.stopped",
    Step.FAIL: "recording.failed",
    Step.KEEP: "recording.available",
    Step.FIND: "recording.found",
    Step.EXPIRE: "recording.expired",
    Step.DELETE: "recording.deleted",
}


def live(db: Session, session_id: UUID) -> Recording | None:
    """Return the recording of a session that is not over, if there is one."""
    query = select(Recording).where(Recording.session_id == session_id, Recording.state.in_(LIVE))
    return db.scalars(query.execution_options(populate_existing=True)).first()


def take(
    db: Session,
    recording: Recording,
    step: Step,
    *,
    actor: Actor,
    now: datetime,
    reason: str | None = None,
    **values: Any,
) -> bool:
    """Take one step, and tell of it; False when it makes no sense from where it stands."""
    target = target_of(recording.state, step)
    if target is None:
        return False
    recording.state, recording.reason, recording.changed_at = target, reason, now
    for name, value in values.items():
        setattr(recording, name, value)
    recording.version += 1
    db.flush()
    tell(db, recording, EVENT_OF[step], actor=actor, now=now)
    return True


def tell(db: Session, recording: Recording, type_: str, *, actor: Actor, now: datetime) -> None:
    """Write the event and the audit entry of something that happened to a recording."""
    data = {"recording_id": str(recording.id), "reason": recording.reason}
    events.append(db, type_, session_id=recording.session_id, data=data, now=now)
    audit.record(
        db,
        action=type_,
        actor=actor,
        now=now,
        organisation_id=recording.organisation_id,
        session_id=recording.session_id,
        detail=data,
    )


def wait(db: Session, recording: Recording, reason: str, *, actor: Actor, now: datetime) -> None:
    """Note what a requested recording waits for; told when it is something else than before."""
    recording.next_attempt_at = now + TRY_AGAIN
    if recording.reason != reason:
        recording.reason, recording.version = reason, recording.version + 1
        db.flush()
        tell(db, recording, "recording.waiting", actor=actor, now=now)


def stop(db: Session, recording: Recording, reason: str, *, actor: Actor, now: datetime) -> bool:
    """Begin to stop; one that has not begun is over at once. True: the room must be told."""
    if recording.state == State.REQUESTED:
        take(db, recording, Step.FAIL, actor=actor, now=now, reason=reason)
        return False
    return take(db, recording, Step.STOP, actor=actor, now=now, reason=reason)


def over(
    db: Session, recording: Recording, reason: str, *, now: datetime, actor: Actor = audit.ROOM
) -> None:
    """Nothing is recorded any more. Why it was stopped stays the reason; without a recorder ever
    having recorded there is nothing to fetch."""
    told = (recording.reason if recording.state == State.STOPPING else None) or reason
    step = Step.FINISH if recording.started_at else Step.FAIL
    take(db, recording, step, actor=actor, now=now, reason=told, stopped_at=now)
    _wake_next(db, now)


def heard(
    db: Session,
    recording: Recording,
    *,
    status: str,
    code: str,
    reference: str,
    at: datetime,
    now: datetime,
) -> None:
    """Move a live recording after what the focus and Prosody said of it.

    Args:
        status: `pending`, `on` or `off` as in the focus's presence; Prosody says `off`, too, when
            it has shut the door. `refused`: the focus answered our request with an error, or
            Prosody did not make it.
        code: why: `busy`, `error`, or the reason of a refusal; '' when it did not say.
        reference: Jitsi's name of the recording; '' when it did not say.
        at: when, by Prosody's clock.
    """
    if reference and recording.jitsi_session != reference:
        recording.jitsi_session = reference
        db.flush()
    if status == "on":
        _began(db, recording, min(at, now), now)
    elif status == "refused":
        _refused(db, recording, code, now)
    elif status == "off":
        _ended(db, recording, code, now)


def recorder_left(db: Session, recording: Recording, *, now: datetime) -> None:
    """The recorder is gone while it should record. The focus looks for another one by itself."""
    if recording.state == State.ACTIVE:
        recording.reason = "recorder_lost"
        db.flush()
        tell(db, recording, "recording.recorder_lost", actor=audit.ROOM, now=now)


def _began(db: Session, recording: Recording, at: datetime, now: datetime) -> None:
    if recording.state == State.STOPPING and recording.started_at is None:
        recording.started_at = at  # the stop came too late for there to be nothing
        db.flush()
    else:
        take(db, recording, Step.BEGIN, actor=audit.ROOM, now=now, started_at=at)


def _refused(db: Session, recording: Recording, code: str, now: datetime) -> None:
    if recording.state == State.STARTING and code in TRIED_AGAIN:
        _queue(db, recording, TRIED_AGAIN[code], now)
    elif recording.state == State.STARTING or (recording.state, code) == (State.STOPPING, STOPPED):
        _ended(db, recording, code, now)
    elif (recording.state, code) == (State.REQUESTED, NO_MODERATOR):
        wait(db, recording, "no_moderator", actor=audit.ROOM, now=now)


def _queue(db: Session, recording: Recording, reason: str, now: datetime) -> None:
    values: Mapping[str, Any] = {"next_attempt_at": now + TRY_AGAIN}
    take(db, recording, Step.QUEUE, actor=audit.ROOM, now=now, reason=reason, **values)


def _ended(db: Session, recording: Recording, code: str, now: datetime) -> None:
    if recording.state == State.STARTING and code == BUSY:
        _queue(db, recording, BUSY, now)
    elif recording.state != State.REQUESTED:
        over(db, recording, REASONS.get(code, "recorder_failed"), now=now)


def _wake_next(db: Session, now: datetime) -> None:
    """A recorder is free again: it is the turn of who has waited longest for one."""
    first = (
        select(Recording.id)
        .where(Recording.state == State.REQUESTED, Recording.reason == BUSY)
        .order_by(Recording.created_at)
        .limit(1)
        .scalar_subquery()
    )
    db.execute(
        update(Recording)
        .where(Recording.id == first)
        .values(next_attempt_at=now)
        .execution_options(synchronize_session=False)
    )


# What the focus says, in our words. Without a word of why, Jitsi ended it by itself: for example
# because everybody was muted for ten minutes.
REASONS = {
    "": "stopped_by_jitsi",
    BUSY: BUSY,
    "error": "recorder_failed",
    "no-recorder": "no_recorder",
}
