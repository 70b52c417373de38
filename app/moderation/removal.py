"""Removing a person: everybody waits for it, so it is one statement and one way to PostgreSQL."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor, Entry
from app.db.engine import Database
from app.ids import new_id
from app.participants import service as participants
from app.ports import RoomOrder
from app.rooms.orders import FIRST_REPEAT_S
from app.sessions import service as sessions

# Sent together, the two are one transaction: limited to the organisation like any other, it takes
# the locks, writes state, link, event and order (migration 0075), and the audit entry the first
# time.
REMOVE = f"""
    SELECT set_config('teleconsult.organisation_id', %s, true);
    WITH removed AS MATERIALIZED (
      SELECT p.*, s.room_name
      FROM teleconference.remove_participant(%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s) p
      JOIN teleconference.sessions s ON s.id = p.session_id),
    told AS ({audit.INSERT} SELECT {audit.VALUES} FROM removed WHERE removed.removed_at = %s)
    SELECT * FROM removed"""  # noqa: S608 - nothing but our own words


def remove_participant(
    db: Session,
    database: Database,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
    ban_s: int | None = None,
) -> tuple[Row[Any], RoomOrder]:
    """Take a person out, for good or for `ban_s` seconds, and have them put out of the room. For
    good, their link and every token of theirs is dead from here on; else the link works again then.

    It is committed on return, whatever becomes of `db`'s transaction: removing twice is no error,
    and the later word counts. The state changes first and the room is told after that, so there is
    no moment in which a person put out could come back.

    Returns:
        The participant's row, and the order to the room.

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
    entry = Entry(
        action="participant.removed",
        actor=actor,
        organisation_id=organisation_id,
        session_id=session_id,
        participant_id=participant_id,
        detail={"until": until and until.isoformat()},
    )
    given = (organisation_id, session_id, participant_id, now, new_id(), command_id)
    due = (orjson.dumps(args).decode(), now + timedelta(seconds=FIRST_REPEAT_S), until)
    values = (str(organisation_id), *given, *due, *audit.row_of(entry, now), now)
    with database.statements() as connection:
        row = connection.exec_driver_sql(REMOVE, values).first()
    if row is None:
        _say_what_is_missing(db, organisation_id, session_id, participant_id)
    assert row is not None
    if row.removed_until is not None:
        args["ban_until"] = row.removed_until.timestamp()
    return row, RoomOrder(command_id, "kick", {"room": row.room_name, **args})


def _say_what_is_missing(
    db: Session, organisation_id: UUID, session_id: UUID, participant_id: UUID
) -> None:
    sessions.get(db, organisation_id=organisation_id, session_id=session_id)
    participants.get(
        db, organisation_id=organisation_id, session_id=session_id, participant_id=participant_id
    )
