"""A stand-in for Jicofo, enough for peer-to-peer calls; `python -m app.localstack.focus FILE`.

It answers conference requests, opens the room as occupant `focus`, forwards mute requests, gives
recordings to recorders, and leaves rooms that are empty. It has no bridge: a third person ends
the media of the first two. What each stanza imitates, and where upstream does it:
docs/stand-ins.md.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

from slixmpp import JID, Iq, Presence
from slixmpp.xmlstream.handler import Callback, CoroutineCallback
from slixmpp.xmlstream.matcher import MatchXPath
from slixmpp.xmlstream.stanzabase import StanzaBase

from app.localstack import focus_moderation, names
from app.localstack.component import MUC_JOIN, STREAM, Component, Refused, log_to_stderr, serve
from app.localstack.focus_conference import (
    Conference,
    address_in,
    cancel,
    role_in,
    stop_timer,
)
from app.localstack.focus_recording import JIBRI, Recordings

CONFERENCE = "{http://jitsi.org/protocol/focus}conference"
PROPERTY = "{http://jitsi.org/protocol/focus}property"
PROPERTIES = "{http://jitsi.org/protocol/focus}conference-properties"
DIAL = "{urn:xmpp:rayo:1}dial"
MUTES = tuple(f"{{http://jitsi.org/jitmeet/{kind}}}mute" for kind in ("audio", "video", "desktop"))

JOIN_WITHIN_S = 5.0
# Jicofo's own default is 15 s for a room nobody enters; an emptied room it leaves at once. The
# second here spares a room whose only occupant reloads the page.
FIRST_OCCUPANT_WITHIN_S = 15.0
LEAVE_EMPTY_AFTER_S = 1.0

log = logging.getLogger(__name__)

Answer = Callable[[Iq], Awaitable[Iq]]


class Focus(Component):
    """The component `focus.<domain>`."""

    def __init__(self, *, secret: str, port: int, connected_file: Path) -> None:
        super().__init__(names.FOCUS, secret=secret, port=port, connected_file=connected_file)
        self._conferences: dict[str, Conference] = {}
        self._recordings = Recordings(self._send_to_recorder, self._show_recording)
        self._answers: dict[str, Answer] = {
            CONFERENCE: self._on_conference_request,
            JIBRI: self._on_jibri,
            DIAL: self._on_unavailable_service,
            **dict.fromkeys(MUTES, self._on_mute),
        }
        for kind, handle in (("presence", self._on_presence), ("message", self._on_message)):
            self.register_handler(Callback(kind, MatchXPath(f"{{{STREAM}}}{kind}"), handle))
        # One for all: slixmpp searches each stanza once for each handler there is.
        self.register_handler(CoroutineCallback("iq", MatchXPath(f"{{{STREAM}}}iq"), self._on_iq))

    async def _on_iq(self, iq: StanzaBase) -> None:
        if not isinstance(iq, Iq) or iq["type"] not in {"get", "set"}:
            return
        known = (self._answers[child.tag] for child in iq.xml if child.tag in self._answers)
        answer = next(known, None)
        if answer is None:
            iq.unhandled()
            return
        try:
            reply = await answer(iq)
        except Refused as refusal:
            reply = iq.reply()
            reply.error()
            reply["error"]["type"] = refusal.kind
            reply["error"]["condition"] = refusal.condition
        reply.send()

    def when_connected(self) -> None:
        """Be there for recorders, too."""
        self.connected_file.touch()
        presence = self._presence(names.BREWERY)
        presence.append(ET.Element(MUC_JOIN))
        presence.send()
        log.info("connected")

    def when_lost(self) -> None:
        """Be in no room any more."""
        for conference in self._conferences.values():
            cancel(conference)
        self._conferences.clear()
        self._recordings.forget()

    # --- the conference request

    async def _on_conference_request(self, iq: Iq) -> Iq:
        request = iq.xml.find(CONFERENCE)
        room = JID(request.get("room", "") if request is not None else "").bare
        if not room.endswith(f"@{names.MUC}"):
            raise Refused("modify", "bad-request")
        await self._enter(room)
        log.info("conference request for %s", room)
        reply: Iq = iq.reply()
        reply.append(_conference_answer(room))
        return reply

    async def _enter(self, room: str) -> None:
        conference = self._conferences.get(room)
        if conference is None:
            conference = self._conferences[room] = Conference(self.loop.create_future())
            self._send_join(room)
        if not conference.roles:
            self._leave_after(room, FIRST_OCCUPANT_WITHIN_S)
        try:
            await asyncio.wait_for(asyncio.shield(conference.joined), JOIN_WITHIN_S)
        except (TimeoutError, asyncio.CancelledError) as error:
            raise Refused("wait", "remote-server-timeout") from error

    def _send_join(self, room: str) -> None:
        presence = self._described(room)
        presence.append(ET.Element(MUC_JOIN))
        presence.send()

    def _described(self, room: str) -> Presence:
        presence = self._presence(room)
        properties = ET.SubElement(presence.xml, PROPERTIES)
        ET.SubElement(properties, PROPERTY, key="support-terminate-restart", value="true")
        recording = self._conferences[room].recording
        if recording is not None:
            presence.xml.append(recording)
        return presence

    def _presence(self, room: str, kind: Literal["unavailable"] | None = None) -> Presence:
        address = f"{names.FOCUS_USER}/{names.FOCUS_NICK}"
        return self.make_presence(pto=f"{room}/{names.FOCUS_NICK}", pfrom=address, ptype=kind)

    # --- who is in the room

    def _on_presence(self, presence: StanzaBase) -> None:
        sender = presence["from"]
        room, nick = sender.bare, sender.resource
        if room == names.BREWERY:
            self._recordings.on_recorder(presence.xml)
        conference = self._conferences.get(room)
        if conference is None:
            return
        if nick == names.FOCUS_NICK:
            self._on_own_presence(room, conference, presence)
        elif presence.xml.get("type") == "unavailable":
            conference.roles.pop(nick, None)
            if not conference.has_people:
                self._leave_after(room, LEAVE_EMPTY_AFTER_S)
        elif presence.xml.get("type") is None:
            conference.roles[nick] = role_in(presence.xml)
            if address_in(presence.xml).domain == names.RECORDER_DOMAIN:
                conference.hidden.add(nick)
            else:
                stop_timer(conference)

    def _on_own_presence(self, room: str, conference: Conference, presence: StanzaBase) -> None:
        kind = presence.xml.get("type")
        if kind is None and not conference.joined.done():
            conference.joined.set_result(None)
        elif kind is not None:
            log.info("out of %s (%s)", room, kind)
            self._recordings.close(room)
            cancel(self._conferences.pop(room))

    def _leave_after(self, room: str, seconds: float) -> None:
        conference = self._conferences[room]
        stop_timer(conference)
        conference.leaving = self.loop.call_later(seconds, self._leave, room)

    def _leave(self, room: str) -> None:
        # Forgotten at once: a request that comes while the leave is under way must send a new join.
        self._conferences.pop(room)
        self._recordings.close(room)
        self._presence(room, "unavailable").send()
        log.info("left empty room %s", room)

    # --- what moderators ask for

    async def _on_mute(self, iq: Iq) -> Iq:
        muter, mute = iq["from"], next(child for child in iq.xml if child.tag in MUTES)
        conference = self._conferences.get(muter.bare)
        target = JID(mute.get("jid", ""))
        if (
            conference is None
            or target.bare != muter.bare
            or target.resource not in conference.roles
        ):
            raise Refused("cancel", "item-not-found")
        mutes_other = target.resource != muter.resource
        if mutes_other and (
            conference.roles.get(muter.resource) != "moderator" or mute.text != "true"
        ):
            raise Refused("cancel", "not-allowed")
        if mutes_other:
            self._mute(mute.tag, target.full, muter.full)
        reply: Iq = iq.reply()
        return reply

    def _on_message(self, message: StanzaBase) -> None:
        room = focus_moderation.room_of(message.xml)
        if conference := self._conferences.get(room):
            sender = str(message["from"])
            wanted = focus_moderation.to_mute(sender, message.xml, conference.roles)
            for nick, namespace in wanted:
                self._mute(f"{{{namespace}}}mute", f"{room}/{nick}", f"{room}/{names.FOCUS_NICK}")

    def _mute(self, tag: str, target: str, actor: str) -> None:
        forwarded = self.make_iq_set(ito=target, ifrom=f"{names.FOCUS_USER}/{names.FOCUS_NICK}")
        child = ET.Element(tag, jid=target, actor=actor)
        child.text = "true"
        forwarded.append(child)
        self.send_raw(str(forwarded))  # clients never answer it, so nothing may wait for an answer

    async def _on_jibri(self, iq: Iq) -> Iq:
        reply: Iq = iq.reply()
        if iq["from"].bare.endswith(f"@{names.RECORDER_DOMAIN}"):
            self._recordings.told(iq)
            return reply
        conference = self._conferences.get(iq["from"].bare)
        role = conference.roles.get(iq["from"].resource) if conference else None
        reply.append(self._recordings.asked(iq, role))
        return reply

    def _send_to_recorder(self, address: str, order: ET.Element) -> None:
        iq = self.make_iq_set(ito=address, ifrom=f"{names.FOCUS_USER}/{names.FOCUS_NICK}")
        iq.append(order)
        self.send_raw(str(iq))  # what became of it the recorder says by itself

    def _show_recording(self, room: str, status: ET.Element) -> None:
        if conference := self._conferences.get(room):
            conference.recording = status
            self._described(room).send()

    async def _on_unavailable_service(self, _iq: Iq) -> Iq:
        raise Refused("cancel", "service-unavailable")


def _conference_answer(room: str) -> ET.Element:
    answer = ET.Element(CONFERENCE, room=room, ready="true", focusjid=names.FOCUS_USER)
    ET.SubElement(answer, PROPERTY, name="authentication", value="false")
    ET.SubElement(answer, PROPERTY, name="visitors-supported", value="false")
    return answer


def main() -> None:
    """Read the configuration file named on the command line and serve."""
    log_to_stderr()
    values = json.loads(Path(sys.argv[1]).read_text())
    values["connected_file"] = Path(values["connected_file"])
    asyncio.run(begin(values))


async def begin(values: dict[str, Any]) -> None:
    """Serve with these values; slixmpp wants to be made inside the loop it runs in."""
    await serve(Focus(**values))


if __name__ == "__main__":
    main()
