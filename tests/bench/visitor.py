"""A person's connection to Prosody without a browser: raw XMPP over websocket (RFC 7395)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import aiohttp

from app.localstack import names

FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
OPEN = f'<open xmlns="{FRAMING}" to="{names.DOMAIN}" version="1.0"/>'
AUTH = '<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>'
BIND = (
    '<iq xmlns="jabber:client" type="set" id="bind">'
    '<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>'
)
CONFERENCE = "http://jitsi.org/protocol/focus"
WITHIN_S = 30.0
OWN_PRESENCE, KICKED = "110", "307"  # XEP-0045 status codes


@dataclass(slots=True)
class Visitor:
    """One connection. Stanzas are searched as text: parsing thousands would cost what is measured.

    Args:
        web: shared by all visitors.
        port: Prosody's HTTP port.
        room: name of the room the token is for.
        token: the Jitsi token.
    """

    web: aiohttp.ClientSession
    port: int
    room: str
    token: str
    nick: str
    _link: aiohttp.ClientWebSocketResponse = field(init=False)

    @property
    def address(self) -> str:
        """Return the room's address."""
        return f"{self.room}@{names.MUC}"

    async def connect(self) -> None:
        """Open the websocket, log in by the token, get an address."""
        self._link = await self.web.ws_connect(
            f"ws://127.0.0.1:{self.port}/xmpp-websocket?room={self.room}&token={self.token}",
            protocols=["xmpp"],
            headers={"Host": names.DOMAIN},
        )
        # One step at a time: what arrives while the server resets its stream is lost.
        for words, answer in ((OPEN, "<stream:features"), (AUTH, "<success"), (OPEN, "features")):
            await self._link.send_str(words)
            await self.wait_for(answer)
        await self._link.send_str(BIND)
        await self.wait_for("<jid>")

    async def join(self) -> None:
        """Ask for the conference, enter the room, wait until we are in."""
        request = f'<conference xmlns="{CONFERENCE}" room="{self.address}" machine-uid="b"/>'
        await self._link.send_str(
            f'<iq xmlns="jabber:client" type="set" to="{names.FOCUS}" id="c">{request}</iq>'
        )
        await self.wait_for("focusjid")
        await self._link.send_str(
            f'<presence xmlns="jabber:client" to="{self.address}/{self.nick}">'
            '<x xmlns="http://jabber.org/protocol/muc"/></presence>'
        )
        await self.wait_for("<presence", OWN_PRESENCE)

    async def wait_for(self, *words: str) -> str:
        """Return the next stanza that holds all `words`; pass over the others.

        Raises:
            RuntimeError: an error came instead.
            TimeoutError: nothing came.
        """
        async with asyncio.timeout(WITHIN_S):
            while True:
                text = await self._link.receive_str()
                if all(word in text for word in words):
                    return text
                if "<failure" in text or "<error" in text:
                    raise RuntimeError(text)

    async def leave(self) -> None:
        """Close the stream in order, so that the server sees a leave and no lost connection."""
        if not self._link.closed:
            await self._link.send_str(f'<close xmlns="{FRAMING}"/>')
            await self._link.close()


def web_session() -> aiohttp.ClientSession:
    """Return a client without a limit on connections."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
