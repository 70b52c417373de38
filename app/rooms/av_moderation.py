"""Whose microphone and camera may be on in a room: stored, because a room forgets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.events import service as events
from app.rooms.models import AvModeration

MEDIA = ("audio", "video")
FREE: Mapping[str, Any] = {"audio": False, "video": False, "audio_allowed": [], "video_allowed": []}


def state(db: Session, *, session_id: UUID) -> dict[str, Any]:
    """Return what is moderated in a session's room, and who may all the same."""
    row = db.get(AvModeration, session_id, populate_existing=True)
    return {name: getattr(row, name) if row else FREE[name] for name in FREE}


def version(db: Session, *, session_id: UUID) -> int:
    """Return how often that was changed, so that the room knows an old order from a new one."""
    query = select(AvModeration.version).where(AvModeration.session_id == session_id)
    return db.scalars(query).one_or_none() or 0


def write(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    wanted: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> dict[str, Any]:
    """Store the whole state and tell of it, unless it is the same. The session is locked.

    A medium that is not moderated has no exceptions.
    """
    wanted = {
        name: wanted[name] if name in MEDIA or wanted[name.removesuffix("_allowed")] else []
        for name in FREE
    }
    if wanted == state(db, session_id=session_id):
        return wanted
    values = {**wanted, "updated_at": now}
    db.execute(
        insert(AvModeration)
        .values(session_id=session_id, organisation_id=organisation_id, **values)
        .on_conflict_do_update(
            index_elements=["session_id"], set_={**values, "version": AvModeration.version + 1}
        )
    )
    events.append(db, "room.av_moderation_changed", session_id=session_id, data=wanted, now=now)
    audit.record(
        db,
        action="room.av_moderation_changed",
        actor=actor,
        now=now,
        organisation_id=organisation_id,
        session_id=session_id,
        detail=wanted,
    )
    return wanted


def moderated(db: Session, *, session_id: UUID) -> dict[str, Any] | None:
    """Return the state of a session's room if anything is moderated there."""
    found = db.scalars(
        select(AvModeration.session_id).where(
            AvModeration.session_id == session_id, AvModeration.audio | AvModeration.video
        )
    ).first()
    return state(db, session_id=session_id) if found else None
