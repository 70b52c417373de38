"""Orders to the live room about microphones, cameras and screens, and about what is shown in it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.ports import RoomOrder
from app.rooms import av_moderation
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
    version = av_moderation.version(db, session_id=target.session_id)
    args = {"participant_id": str(participant_id), "media": media, "version": version}
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
    dropped, and one that is on its way is told by its version: carried out later than this one, it
    would undo it."""
    _drop_pending(db, target, "av_moderation", now)
    args = {**state, "version": av_moderation.version(db, session_id=target.session_id)}
    return _order_in(db, target, "av_moderation", args, now=now, first_repeat_s=first_repeat_s)


def show_files(db: Session, target: Target, *, now: datetime) -> RoomOrder:
    """Order that Jitsi's list of files is brought up to date: the room asks us what is there, so
    no file is named here. The next sweep carries it out."""
    _drop_pending(db, target, "files", now)
    return _order_in(db, target, "files", {}, now=now, first_repeat_s=0)


def _drop_pending(db: Session, target: Target, name: str, now: datetime) -> None:
    db.execute(
        update(RoomCommand)
        .where(
            RoomCommand.session_id == target.session_id,
            RoomCommand.name == name,
            RoomCommand.state == "pending",
        )
        .values(state="failed", finished_at=now, result={"dropped": "a newer order"})
        .execution_options(synchronize_session=False)
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
