"""Twins in memory of what lies outside: real code, for tests and for trying things out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import Conflict, Unavailable
from app.ports import Report, RoomOrder


@dataclass(slots=True)
class MemoryRoom:
    """One live room: who is in it, with which affiliation; who was banned; what was said."""

    occupants: dict[str, str] = field(default_factory=dict)
    banned: set[str] = field(default_factory=set)
    said: list[tuple[str | None, str]] = field(default_factory=list)
    # Who was muted or asked to unmute, and how.
    muted: list[tuple[str | None, str]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    moderated: dict[str, Any] = field(default_factory=dict)
    # Which recordings the room was told to start and to stop.
    recorded: list[tuple[str, str]] = field(default_factory=list)


class MemoryRooms:
    """Live rooms that answer as Prosody's control module does.

    `alive = False` is a gateway that does not run: orders go unconfirmed.
    """

    def __init__(self) -> None:
        self.rooms: dict[str, MemoryRoom] = {}
        self.alive = True
        # A repeat of an order must be harmless, so the ids are kept for looking.
        self.carried_out: list[RoomOrder] = []

    def enter(self, room: str, participant_id: str, affiliation: str = "member") -> None:
        """Put a person into a room, which is made when it is not there.

        Raises:
            Conflict: the person was banned.
        """
        live = self.rooms.setdefault(room, MemoryRoom())
        if participant_id in live.banned:
            raise Conflict("This person was banned.", code="banned")
        live.occupants[participant_id] = affiliation

    def give(self, order: RoomOrder) -> Report:
        """See `app.ports.Rooms`."""
        return lambda timeout_s: self.execute(order, timeout_s=timeout_s)

    def execute(self, order: RoomOrder, *, timeout_s: float) -> dict[str, Any]:
        """See `app.ports.Rooms`."""
        if not self.alive:
            raise Unavailable("No gateway to the rooms is running.", code="gateway_down")
        handler = _HANDLERS.get(order.name)
        if handler is None:
            raise Conflict("The room refused the order.", code="room_refused")
        try:
            result: dict[str, Any] = handler(self, **order.args)
        except TypeError as error:
            raise Conflict("The room refused the order.", code="room_refused") from error
        self.carried_out.append(order)
        return result

    def gateway_is_alive(self) -> bool:
        """See `app.ports.Rooms`."""
        return self.alive

    def _kick(
        self,
        room: str,
        participant_id: str,
        reason: str = "",
        ban: bool = False,
        ban_until: float | None = None,
    ) -> dict[str, Any]:
        live = self.rooms.get(room) or MemoryRoom()
        if ban:
            live.banned.add(participant_id)
        present = live.occupants.pop(participant_id, None) is not None
        return {"present": present, "kicked": int(present)}

    def _admit(self, room: str, participant_id: str) -> dict[str, Any]:
        return {"present": False}

    def _deny(self, room: str, participant_id: str, reason: str = "") -> dict[str, Any]:
        return self._kick(room, participant_id, reason)

    def _end(self, room: str, reason: str = "") -> dict[str, Any]:
        return {"existed": self.rooms.pop(room, None) is not None}

    def _affiliate(
        self,
        room: str,
        participant_id: str,
        affiliation: str,
        permissions: Mapping[str, bool] | None = None,
    ) -> dict[str, Any]:
        live = self.rooms.get(room)
        if live is None or participant_id not in live.occupants:
            return {"present": False}
        live.occupants[participant_id] = affiliation
        return {"present": True}

    def _message(self, room: str, text: str, participant_id: str | None = None) -> dict[str, Any]:
        live = self.rooms.get(room) or MemoryRoom()
        hearers = [one for one in live.occupants if participant_id in (None, one)]
        live.said.append((participant_id, text))
        return {"delivered": len(hearers)}

    def _mute(
        self,
        room: str,
        media: str,
        participant_id: str | None = None,
        moderators: bool = False,
        **spared: Any,
    ) -> dict[str, Any]:
        live = self.rooms.get(room) or MemoryRoom()
        live.muted.append((participant_id, media))
        return {"present": bool(live.occupants), "muted": len(live.occupants)}

    def _unmute(self, room: str, media: str, participant_id: str, version: int) -> dict[str, Any]:
        live = self.rooms.get(room) or MemoryRoom()
        live.asked.append((participant_id, media))
        return {"present": participant_id in live.occupants}

    def _av_moderation(self, room: str, version: int, **state: Any) -> dict[str, Any]:
        live = self.rooms.get(room)
        if live is not None:
            live.moderated = state
        return {"present": live is not None}

    def _files(self, room: str) -> dict[str, Any]:
        return {"present": room in self.rooms}

    def _record_start(self, room: str, recording_id: str) -> dict[str, Any]:
        self.rooms.setdefault(room, MemoryRoom()).recorded.append(("start", recording_id))
        return {"started": True}

    def _record_stop(self, room: str, recording_id: str) -> dict[str, Any]:
        live = self.rooms.get(room)
        if live is not None:
            live.recorded.append(("stop", recording_id))
        return {"present": live is not None}

    def _rooms(self) -> dict[str, Any]:
        return {
            "source": "memory",
            "rooms": [
                {
                    "room": name,
                    "room_instance": name,
                    "occupants": [
                        {"participant_id": p, "occupant": p, "connection": p, "joined_at": 0}
                        for p in room.occupants
                    ],
                }
                for name, room in self.rooms.items()
            ],
        }


_HANDLERS: dict[str, Any] = {
    "kick": MemoryRooms._kick,
    "admit": MemoryRooms._admit,
    "deny": MemoryRooms._deny,
    "end": MemoryRooms._end,
    "affiliate": MemoryRooms._affiliate,
    "message": MemoryRooms._message,
    "mute": MemoryRooms._mute,
    "unmute": MemoryRooms._unmute,
    "av_moderation": MemoryRooms._av_moderation,
    "files": MemoryRooms._files,
    "record_start": MemoryRooms._record_start,
    "record_stop": MemoryRooms._record_stop,
    "rooms": MemoryRooms._rooms,
}
