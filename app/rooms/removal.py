"""Removing a person: everybody waits for it, so it is one statement and one way to PostgreSQL."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor, Entry
from app.db.engine import Database, run
from app.ids import new_id
from app.participants import service as participants
from app.ports import RoomOrder
from app.rooms.orders import FIRST_REPEAT_S
from app.sessions import service as sessions

# Takes the locks, writes state, link, event, audit entry and order (migration 0156).
REMOVE = f"""
    SELECT (r.person).*, r.room_name
    FROM teleconference.remove_participant({{organisation}}, {", ".join(["%s"] * 15)}) r"""  # noqa: S608 - our own words
REMOVE_WITHIN = REMOVE.format(organisation="%s")
# Arguments are worked out before the call, so the transaction is limited to the organisation first.
REMOVE_AT_ONCE = REMOVE.format(
    organisation="set_config('teleconsult.organisation_id', %s, true)::uuid"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Who is taken out by whom, for good or for `ban_s` seconds. For good, their link and every
    token of theirs is dead from then on; else the link works again after that.

    The state changes first and the room is told after the commit, so there is no moment in which a
    person put out could come back. Removing twice is no error, and the later word counts.
    """

    organisation_id: UUID
    session_id: UUID
    participant_id: UUID
    actor: Actor
    now: datetime
    reason: str = ""
    ban_s: int | None = None

    def made_at_once(self, db: Session, database: Database) -> tuple[SimpleNamespace, RoomOrder]:
        """Remove the person as `attempted` does, whatever becomes of `db`'s transaction.

        Raises:
            NotFound: there is no such session or participant.
        """
        made = self.attempted(database)
        if made is None:
            self._say_what_is_missing(db)
        assert made is not None
        return made

    def attempted(self, database: Database) -> tuple[SimpleNamespace, RoomOrder] | None:
        """Remove the person by a transaction of its own: it is committed on return. Return the
        participant's row and the order to the room, or None: there is no such participant."""
        command_id = new_id()
        with database.direct() as connection:
            row = connection.named(REMOVE_AT_ONCE, self._values(command_id))
        return None if row is None else (row, self._order(command_id, row))

    def made_within(self, db: Session) -> None:
        """Remove the person as a part of `db`'s transaction. The relay sends the order."""
        run(db, REMOVE_WITHIN, self._values(new_id()))

    def _values(self, command_id: UUID) -> tuple[Any, ...]:
        until = None if self.ban_s is None else self.now + timedelta(seconds=self.ban_s)
        entry = Entry(
            action="participant.removed",
            actor=self.actor,
            organisation_id=self.organisation_id,
            session_id=self.session_id,
            participant_id=self.participant_id,
            detail={"until": until and until.isoformat()},
        )
        who = (str(self.organisation_id), self.session_id, self.participant_id)
        args = orjson.dumps(self._args()).decode()
        next_attempt = self.now + timedelta(seconds=FIRST_REPEAT_S)
        removed = (*who, self.now, new_id(), command_id, args, next_attempt, until)
        row = audit.row_of(entry, self.now)
        entry_id, (kind, actor, action), proved = row[0], row[3:6], row[9:]
        return (*removed, entry_id, kind, actor, action, *proved)

    def _args(self) -> dict[str, Any]:
        reason = {"reason": self.reason} if self.reason else {}
        return {"participant_id": str(self.participant_id), "ban": True, **reason}

    def _order(self, command_id: UUID, row: SimpleNamespace) -> RoomOrder:
        until = row.removed_until
        ends = {} if until is None else {"ban_until": until.timestamp()}
        return RoomOrder(command_id, "kick", {"room": row.room_name, **self._args(), **ends})

    def _say_what_is_missing(self, db: Session) -> None:
        where = {"organisation_id": self.organisation_id, "session_id": self.session_id}
        sessions.get(db, **where)
        participants.get(db, **where, participant_id=self.participant_id)
