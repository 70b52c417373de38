"""Orders to the live room about microphones, cameras and screens."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.ports import RoomOrder
from app.rooms.models import RoomCommand
from app.rooms.orders import FIRST_REPEAT_S, Target, order


def mute(
    db: Session, target: Target, *, participant_id: UUID, media: str, now: datetime
) -> RoomOrder:
    """Order that one person is muted."""
    args = {"participant_id": str(participant_id), "media": media}
    return _order_in(db, target, "mute", args, now=now)


def mute_all(
    db: Session,
    target: Target,
    *,
    media: str,
    spared: Collection[UUID],
    moderators: bool,
    now: datetime,
) -> RoomOrder:
    """Order that everybody is muted but those spared, and without `moderators` but them."""
    args = {"media": media, "moderators": moderators, "except": [str(one) for one in spared]}
    return _order_in(db, target, "mute", args, now=now)


def ask_to_unmute(
    db: Session, target: Target, *, participant_id: UUID, media: str, now: datetime
) -> RoomOrder:
    """Order that one person is asked to switch on; when it is moderated, they may from now on."""
    args = {"participant_id": str(participant_id), "media": media}
    return _order_in(db, target, "unmute", args, now=now)


def moderate_av(
    db: Session,
    target: Target,
    *,
    state: Mapping[str, Any],
    now: datetime,
    first_repeat_s: float = FIRST_REPEAT_S,
) -> RoomOrder:
    """Order whose microphones and cameras may be on. An older such order that still waits is
    dropped: carried out later than this one, it would undo it."""
    db.execute(
        update(RoomCommand)
        .where(
            RoomCommand.session_id == target.session_id,
            RoomCommand.name == "av_moderation",
            RoomCommand.state == "pending",
        )
        .values(state="failed", finished_at=now, result={"dropped": "a newer order"})
        .execution_options(synchronize_session=False)
    )
    return _order_in(
        db, target, "av_moderation", dict(state), now=now, first_repeat_s=first_repeat_s
    )


def _order_in(
    db: Session,
    target: Target,
    name: str,
    args: dict[str, Any],
    *,
    now: datetime,
    first_repeat_s: float = FIRST_REPEAT_S,
) -> RoomOrder:
    return order(
        db,
        organisation_id=target.organisation_id,
        session_id=target.session_id,
        name=name,
        args={"room": target.room, **args},
        now=now,
        first_repeat_s=first_repeat_s,
    )
