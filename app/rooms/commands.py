"""What the rest of the service does with live rooms: give orders, speak, and repair what was lost.

`sweep` is the relay's: it repeats orders that the rooms have not confirmed, and compares the
picture of the rooms that the gateway left in Redis.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from app.participants.removals import end_removals
from app.ports import RoomOrder
from app.rooms.models import RoomCommand
from app.rooms.orders import (
    FIRST_REPEAT_S,
    Target,
    admit,
    affiliate,
    carry_out,
    deny,
    end,
    give,
    kick,
    say,
)
from app.rooms.reconcile import reconcile_latest
from app.services import Services
from app.sessions.models import CareSession

__all__ = [
    "Target", "admit", "affiliate", "carry_out", "deny", "end", "give", "kick", "say",
    "sweep",
]  # fmt: skip

log = structlog.get_logger()

SLOWEST_REPEAT_S = 60
MOST_ATTEMPTS = 60  # most of an hour, counting only attempts while a gateway lives
KEPT_AFTER_END = timedelta(hours=1)
SWEEP_AT_ONCE = 20
# Somebody may be in a room who must not be; the others can wait.
URGENT = ("kick", "deny", "end", "record_stop")
# Said of a moment: a minute later people may have good reason to be heard, and a recording that is
# still wanted is ordered anew.
OF_A_MOMENT = ("mute", "unmute", "record_start")
A_MOMENT = timedelta(seconds=30)


def sweep(services: Services, *, now: datetime) -> int:
    """Repeat unconfirmed orders, repair attendance, return how many orders were confirmed now.
    Whoever was removed for a time that is over may come back.

    Without a gateway nothing is tried, so that an outage uses up no attempts.
    """
    end_removals(services, now=now)
    if not services.rooms.gateway_is_alive():
        return 0
    with services.database.begin() as db:
        _give_up(db, now)
        due = _claim(db, now)
    confirmed = _carry_out_all(services, due, now)
    return confirmed + _carry_out_all(services, reconcile_latest(services, now=now), now)


def _carry_out_all(services: Services, found: Sequence[RoomOrder], now: datetime) -> int:
    """Carry orders out side by side, since each may wait seconds for a room that is silent."""
    if not found:
        return 0
    with ThreadPoolExecutor(min(len(found), SWEEP_AT_ONCE)) as threads:
        return sum(threads.map(lambda one: carry_out(services, one, now=now), found))


def _claim(db: Session, now: datetime) -> list[RoomOrder]:
    """Take some due orders; the next attempt is set first, so a crash only delays it."""
    due = (
        select(RoomCommand)
        .where(RoomCommand.state == "pending", RoomCommand.next_attempt_at <= now)
        .order_by(RoomCommand.name.not_in(URGENT), RoomCommand.next_attempt_at, RoomCommand.id)
        .limit(SWEEP_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    claimed = db.scalars(due).all()
    for command in claimed:
        command.attempts += 1
        command.next_attempt_at = now + _pause(command.attempts)
    return [RoomOrder(c.id, c.name, c.args) for c in claimed]


def _pause(attempts: int) -> timedelta:
    return timedelta(seconds=min(FIRST_REPEAT_S * 2 ** min(attempts - 1, 10), SLOWEST_REPEAT_S))


def _has_passed(now: datetime) -> ColumnElement[bool]:
    return and_(RoomCommand.name.in_(OF_A_MOMENT), RoomCommand.created_at < now - A_MOMENT)


def _give_up(db: Session, now: datetime) -> None:
    """Let orders go that were tried too often, whose moment has passed, or whose session has long
    been over: by then nobody is in the room, and nobody can come in."""
    long_over = exists().where(
        CareSession.id == RoomCommand.session_id, CareSession.ended_at < now - KEPT_AFTER_END
    )
    dropped = db.scalars(
        update(RoomCommand)
        .where(
            RoomCommand.state == "pending",
            RoomCommand.next_attempt_at <= now,
            or_(RoomCommand.attempts >= MOST_ATTEMPTS, long_over, _has_passed(now)),
        )
        .values(state="failed", finished_at=now)
        .returning(RoomCommand.id)
        .execution_options(synchronize_session=False)
    ).all()
    for command_id in dropped:
        log.error("room_order_failed", order_id=str(command_id))
