"""Removing a person: everybody waits for it, so it is one call of a database function."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Text, column, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session
from sqlalchemy.sql import bindparam

from app.audit import service as audit
from app.audit.service import Actor
from app.ids import new_id
from app.participants import service as participants
from app.participants.models import Participant
from app.ports import RoomOrder
from app.rooms.orders import FIRST_REPEAT_S
from app.sessions import service as sessions

# Takes the locks and writes state, link, event and order (migration 0075).
REMOVE = select(Participant, column("room_name", Text)).from_statement(
    text("""
        SELECT p.*, s.room_name
        FROM teleconference.remove_participant(:organisation, :session, :participant, :now,
          :event, :command, :args, :next_attempt, :until) p
        JOIN teleconference.sessions s ON s.id = p.session_id""").bindparams(
        bindparam("args", type_=JSONB())
    )
)


def remove_participant(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
    ban_s: int | None = None,
) -> tuple[Participant, RoomOrder]:
    """Take a person out, for good or for `ban_s` seconds, and have them put out of the room. For
    good, their link and every token of theirs is dead from here on; else the link works again then.

    The state changes first and the room is told after the commit, so there is no moment in which
    a person put out could come back. Removing twice is no error, and the later word counts.

    Raises:
        NotFound: there is no such session or participant.
    """
    args: dict[str, Any] = {
        "participant_id": str(participant_id),
        "ban": True,
        **({"reason": reason} if reason else {}),
    }
    command_id = new_id()
    until = None if ban_s is None else now + timedelta(seconds=ban_s)
    values = {
        "organisation": organisation_id,
        "session": session_id,
        "participant": participant_id,
        "now": now,
        "event": new_id(),
        "command": command_id,
        "args": args,
        "next_attempt": now + timedelta(seconds=FIRST_REPEAT_S),
        "until": until,
    }
    row = db.execute(REMOVE, values).first()
    if row is None:
        _say_what_is_missing(db, organisation_id, session_id, participant_id)
    assert row is not None
    participant, room = row
    if participant.removed_at == now:
        audit.record(
            db,
            action="participant.removed",
            actor=actor,
            now=now,
            organisation_id=organisation_id,
            session_id=session_id,
            participant_id=participant_id,
            detail={"until": until and until.isoformat()},
        )
    if participant.removed_until is not None:
        args["ban_until"] = participant.removed_until.timestamp()
    return participant, RoomOrder(command_id, "kick", {"room": room, **args})


def _say_what_is_missing(
    db: Session, organisation_id: UUID, session_id: UUID, participant_id: UUID
) -> None:
    sessions.get(db, organisation_id=organisation_id, session_id=session_id)
    participants.get(
        db, organisation_id=organisation_id, session_id=session_id, participant_id=participant_id
    )
