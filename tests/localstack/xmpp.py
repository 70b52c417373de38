"""A small XMPP client over websocket, as a browser would connect (RFC 7395)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self
from xml.etree import ElementTree as ET

import aiohttp

from app.localstack import names

FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
OPEN = f'<open xmlns="{FRAMING}" to="{names.DOMAIN}" version="1.0"/>'
AUTH = '<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>'
BIND = (
    '<iq xmlns="jabber:client" type="set" id="bind">'
    '<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>'
)
ANSWER_WITHIN_S = 5.0


class Client:
    """One anonymous connection; every stanza that came is kept in `seen`."""

    def __init__(self, http_port: int) -> None:
        self._url = f"ws://127.0.0.1:{http_port}/xmpp-websocket"
        self._ids = 0
        self.seen: list[ET.Element] = []

    async def __aenter__(self) -> Self:
        """Connect and log in."""
        self._http = aiohttp.ClientSession()
        self._link = await self._http.ws_connect(
            self._url, protocols=["xmpp"], headers={"Host": names.DOMAIN}
        )
        # One step at a time: what arrives while the server resets its stream is lost.
        for words, answer in ((OPEN, "features"), (AUTH, "success"), (OPEN, "features")):
            await self._link.send_str(words)
            await self._tagged(answer)
            self.seen.clear()
        await self._link.send_str(BIND)
        bound = await self.until(lambda stanza: stanza.get("id") == "bind")
        self.jid = next(
            element.text or "" for element in bound.iter() if element.tag.endswith("}jid")
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the stream in order, so that the server sees a leave and no lost connection."""
        await self._link.send_str(f'<close xmlns="{FRAMING}"/>')
        await self._link.close()
        await self._http.close()

    async def send(self, stanza: str) -> None:
        """Send one stanza as it is."""
        await self._link.send_str(stanza)

    async def ask(self, to: str, child: str) -> ET.Element:
        """Send an IQ with this child and return the answer, result or error."""
        self._ids += 1
        name = f"q{self._ids}"
        await self.send(f'<iq xmlns="jabber:client" type="set" to="{to}" id="{name}">{child}</iq>')
        return await self.until(lambda stanza: stanza.get("id") == name)

    async def join(self, room: str, nick: str) -> ET.Element:
        """Enter a room and return the presence that answers."""
        join = '<x xmlns="http://jabber.org/protocol/muc"/>'
        await self.send(f'<presence xmlns="jabber:client" to="{room}/{nick}">{join}</presence>')
        return await self.until(
            lambda stanza: (
                stanza.tag.endswith("presence") and stanza.get("from") == f"{room}/{nick}"
            )
        )

    async def _tagged(self, name: str) -> None:
        await self.until(lambda stanza: stanza.tag.endswith(f"}}{name}"))

    async def until(self, wanted: Callable[[ET.Element], bool]) -> ET.Element:
        """Return the first stanza, past or coming, for which this is true."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            for stanza in self.seen:
                if wanted(stanza):
                    return stanza
            while True:
                stanza = ET.fromstring(await self._link.receive_str())
                self.seen.append(stanza)
                if wanted(stanza):
                    return stanza
