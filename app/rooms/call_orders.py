"""Orders to the live room about microphones, cameras and screens, and about what is shown in it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.ports import RoomOrder
from app.rooms import av_moderation
from app.rooms.orders import FIRST_REPEAT_S, Target, drop_pending, order


def mute(
    db: Session, target: Target, *, participant_id: UUID, media: str, now: datetime
) -> RoomOrder:
    """Order that one person is muted."""
    args = {"participant_id": str(participant_id), "media": media}
    return order(db, target, "mute", args, now=now)


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
    return order(db, target, "mute", args, now=now)


def ask_to_unmute(
    db: Session, target: Target, *, participant_id: UUID, media: str, now: datetime
) -> RoomOrder:
    """Order that one person is asked to switch on; when it is moderated, they may from now on."""
    version = av_moderation.version(db, session_id=target.session_id)
    args = {"participant_id": str(participant_id), "media": media, "version": version}
    return order(db, target, "unmute", args, now=now)


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
    drop_pending(db, target, ("av_moderation",), now=now)
    args = {**state, "version": av_moderation.version(db, session_id=target.session_id)}
    return order(db, target, "av_moderation", args, now=now, first_repeat_s=first_repeat_s)


def show_files(db: Session, target: Target, *, now: datetime) -> RoomOrder:
    """Order that Jitsi's list of files is brought up to date: the room asks us what is there, so
    no file is named here. The next sweep carries it out."""
    drop_pending(db, target, ("files",), now=now)
    return order(db, target, "files", {}, now=now, first_repeat_s=0)
