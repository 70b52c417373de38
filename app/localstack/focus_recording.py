"""What the stand-in for Jicofo does about recordings: it knows the recorders of the brewery, gives
one of them a recording, and says in its own presence how that goes. See docs/stand-ins.md."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from slixmpp import JID, Iq

from app.localstack.component import Refused

NS = "http://jitsi.org/protocol/jibri"
JIBRI = f"{{{NS}}}jibri"
STATUS = f"{{{NS}}}jibri-recording-status"
RECORDER_STATUS = f"{{{NS}}}jibri-status"
BUSY = f"{{{NS}}}busy-status"

# Type and condition of Jicofo's errors (RFC 6120, 8.3.3).
UNEXPECTED = ("wait", "unexpected-request")
ALL_BUSY = ("wait", "resource-constraint")
NONE = ("cancel", "service-unavailable")
NO_SESSION = ("cancel", "item-not-found")
NOT_IN_ROOM = ("auth", "forbidden")
NOT_MODERATOR = ("cancel", "not-allowed")


@dataclass
class Recording:
    """The recording of one room."""

    session_id: str
    recorder: str
    initiator: str
    app_data: str
    tried: set[str] = field(default_factory=set)
    # Somebody wants it to end, so that no other recorder takes over.
    is_wanted: bool = True


class Recordings:
    """All recordings, by room.

    Args:
        send: sends one `<jibri>` to a recorder, by its address in the brewery.
        show: puts an element into the focus' presence in a room.
    """

    def __init__(
        self, send: Callable[[str, ET.Element], None], show: Callable[[str, ET.Element], None]
    ) -> None:
        self._send, self._show = send, show
        self._recorders: dict[str, str] = {}
        self._recordings: dict[str, Recording] = {}

    def forget(self) -> None:
        """Know of nobody any more: the connection was lost."""
        self._recorders.clear()
        self._recordings.clear()

    def close(self, room: str) -> None:
        """The room is gone; its recorder is told to stop."""
        recording = self._recordings.pop(room, None)
        if recording is not None:
            self._send(recording.recorder, _order("stop", recording, room))

    def on_recorder(self, presence: ET.Element) -> None:
        """Note how a recorder of the brewery is."""
        who = presence.get("from", "")
        status = presence.find(f"{RECORDER_STATUS}/{BUSY}")
        if presence.get("type") == "unavailable":
            self._recorders.pop(who, None)
            for room in [r for r, one in self._recordings.items() if one.recorder == who]:
                self._replace(room, "error")
        elif status is not None:
            self._recorders[who] = status.get("status", "")

    def asked(self, iq: Iq, role: str | None) -> ET.Element:
        """Do what somebody in a room asks for; return the answer.

        Raises:
            Refused: see the table in docs/stand-ins.md.
        """
        room, child = iq["from"].bare, order_in(iq)
        if role != "moderator":
            raise Refused(*(NOT_IN_ROOM if role is None else NOT_MODERATOR))
        if child.get("action") == "stop":
            return self._stop(room)
        return self._start(room, iq["from"].full, child.get("app_data", ""))

    def told(self, iq: Iq) -> None:
        """Take in what a recorder says of its recording."""
        child = order_in(iq)
        room = JID(child.get("room", "")).bare
        recording = self._recordings.get(room)
        if recording is None or recording.session_id != child.get("session_id"):
            return
        status, failure = child.get("status", ""), child.get("failure_reason")
        if status == "off" and failure and recording.is_wanted:
            self._replace(room, failure)
        elif status == "off":
            self._end(room, None)
        else:
            self._show(room, _status(recording, status))

    def _start(self, room: str, initiator: str, app_data: str) -> ET.Element:
        if room in self._recordings:
            raise Refused(*UNEXPECTED)
        if not self._recorders:
            raise Refused(*NONE)
        idle = self._idle(set())
        if idle is None:
            raise Refused(*ALL_BUSY)
        recording = Recording(secrets.token_hex(8), idle, initiator, app_data)
        self._recordings[room] = recording
        self._give(room, recording)
        return ET.Element(JIBRI, status="pending", session_id=recording.session_id)

    def _stop(self, room: str) -> ET.Element:
        recording = self._recordings.get(room)
        if recording is None:
            raise Refused(*NO_SESSION)
        recording.is_wanted = False
        self._send(recording.recorder, _order("stop", recording, room))
        return ET.Element(JIBRI, status="off", session_id=recording.session_id)

    def _give(self, room: str, recording: Recording) -> None:
        recording.tried.add(recording.recorder)
        self._recorders[recording.recorder] = "busy"
        self._send(recording.recorder, _order("start", recording, room))
        self._show(room, _status(recording, "pending"))

    def _replace(self, room: str, failure: str) -> None:
        """Give the recording to another recorder, under the same name; or give it up."""
        recording = self._recordings[room]
        other = self._idle(recording.tried) if recording.is_wanted else None
        if other is None:
            self._end(room, failure)
            return
        recording.recorder = other
        self._give(room, recording)

    def _end(self, room: str, failure: str | None) -> None:
        self._show(room, _status(self._recordings.pop(room), "off", failure))

    def _idle(self, tried: set[str]) -> str | None:
        return next((r for r, s in self._recorders.items() if s == "idle" and r not in tried), None)


def order_in(iq: Iq) -> ET.Element:
    """Return the `<jibri>` of an IQ, by which it was chosen."""
    return next(child for child in iq.xml if child.tag == JIBRI)


def _order(action: str, recording: Recording, room: str) -> ET.Element:
    return ET.Element(
        JIBRI,
        action=action,
        recording_mode="file",
        room=room,
        session_id=recording.session_id,
        app_data=recording.app_data,
    )


def _status(recording: Recording, status: str, failure: str | None = None) -> ET.Element:
    element = ET.Element(
        STATUS,
        status=status,
        session_id=recording.session_id,
        recording_mode="file",
        initiator=recording.initiator,
    )
    if failure:
        element.set("failure_reason", failure)
    return element
