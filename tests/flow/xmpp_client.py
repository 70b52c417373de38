"""A Jitsi client as far as the wire shows it: token in the URL, anonymous login, bind, conference
request, entry. No media. What it is refused, it raises with the words it was told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Self
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from app.localstack import names
from tests.flow.xmpp_links import BoshLink, Disconnected, WebsocketLink, XmppLink

JABBER = "{jabber:client}"
FOCUS = "http://jitsi.org/protocol/focus"
MUC = "http://jabber.org/protocol/muc"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
SM = "urn:xmpp:sm:3"
CONDITIONS = ("{urn:ietf:params:xml:ns:xmpp-stanzas}", f"{{{SASL}}}")
ANSWER_WITHIN_S = 10.0

Stanza = ET.Element
Wanted = Callable[[Stanza], bool]


class Refused(Exception):
    """The server said no: an XMPP condition, and "<code>: <sentence>" when the no is ours."""

    def __init__(self, condition: str, text: str) -> None:
        super().__init__(f"{condition}: {text}")
        self.condition = condition
        self.text = text

    @property
    def code(self) -> str:
        """Our own code, or '' when another part of the server refused."""
        code, colon, _ = self.text.partition(": ")
        return code if colon else ""

    @classmethod
    def of(cls, error: Stanza) -> Self:
        """Read an `error` or `failure` element."""
        condition, text = "undefined-condition", ""
        for child in error:
            if child.tag.endswith("}text"):
                text = child.text or ""
            elif child.tag.startswith(CONDITIONS):
                condition = child.tag.partition("}")[2]
        return cls(condition, text)


class XmppClient:
    """One connection of one person; every stanza that came is kept in `seen`."""

    def __init__(self, link: XmppLink) -> None:
        self.link = link
        self.seen: list[Stanza] = []
        self.jid = ""
        self._numbers = 0

    @property
    def nick(self) -> str:
        """The nickname a Jitsi client takes: the first eight digits of its user name."""
        return self.jid[:8]

    # --- the way in

    async def log_in(self) -> None:
        """Show the token that is in the URL.

        Raises:
            Refused: it is not accepted.
        """
        await self._open()
        self.seen.clear()
        await self.link.send(f'<auth xmlns="{SASL}" mechanism="ANONYMOUS"/>')
        answer = await self.until(lambda stanza: stanza.tag.startswith(f"{{{SASL}}}"))
        if answer.tag.endswith("}failure"):
            raise Refused.of(answer)
        self.seen.clear()
        await self._open()

    async def bind(self) -> None:
        """Get an address."""
        answer = await self.ask("set", "", '<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/>')
        self.jid = next(each.text or "" for each in answer.iter() if each.tag.endswith("}jid"))

    async def request_conference(
        self, room: str, *, to: str = names.FOCUS, muc: str = names.MUC
    ) -> Stanza:
        """Ask the focus to open the room, as every Jitsi client does first.

        Raises:
            Refused: the gate in front of the focus, or the focus, says no.
        """
        address = quoteattr(f"{room}@{muc}")
        child = f'<conference xmlns="{FOCUS}" room={address} machine-uid="test"/>'
        return await self.ask("set", to, child)

    async def join(self, room: str, nick: str = "") -> None:
        """Enter the room.

        Raises:
            Refused: the room says no.
        """
        address = room_jid(room, nick or self.nick)
        came = len(self.seen)
        await self.send_join(address)
        answer = await self.until(lambda stanza: _is_from(stanza, "presence", address), came)
        _raise_error(answer)

    async def enter(self, room: str) -> Self:
        """Request the conference and join."""
        await self.request_conference(room)
        await self.join(room)
        return self

    async def leave(self, room: str) -> None:
        """Leave the room and wait until it is done."""
        address = room_jid(room, self.nick)
        came = len(self.seen)
        await self.send(f'<presence to={quoteattr(address)} type="unavailable"/>')
        await self.until_out(room, came)

    async def until_out(self, room: str, came: int = 0) -> Stanza:
        """Wait until the room says that we are not in it any more."""
        address = room_jid(room, self.nick)

        def is_goodbye(stanza: Stanza) -> bool:
            return _is_from(stanza, "presence", address) and stanza.get("type") == "unavailable"

        return await self.until(is_goodbye, came)

    # --- stanzas

    async def send_join(self, address: str) -> None:
        """Send the presence that asks to enter, and wait for nothing."""
        await self.send(f'<presence to={quoteattr(address)}><x xmlns="{MUC}"/></presence>')

    async def send(self, stanza: str) -> None:
        """Send one stanza; it needs no namespace."""
        name, space, rest = stanza.partition(" ")
        await self.link.send(f'{name} xmlns="jabber:client"{space}{rest}')

    async def ask(self, kind: str, to: str, child: str) -> Stanza:
        """Send an IQ and return its result.

        Raises:
            Refused: the answer is an error.
        """
        self._numbers += 1
        name, came = f"q{self._numbers}", len(self.seen)
        address = f"to={quoteattr(to)}" if to else ""
        await self.send(f'<iq type="{kind}" id="{name}" {address}>{child}</iq>')
        answer = await self.until(lambda stanza: stanza.get("id") == name, came)
        _raise_error(answer)
        return answer

    async def until(self, wanted: Wanted, came: int = 0) -> Stanza:
        """Return the first element, of those after the first `came` or coming, that is wanted."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            for stanza in self.seen[came:]:
                if wanted(stanza):
                    return stanza
            while True:
                stanza = await self.link.receive()
                self.seen.append(stanza)
                if wanted(stanza):
                    return stanza

    # --- stream management (XEP-0198)

    async def become_resumable(self) -> str:
        """Ask that the session outlives its connection; return the id it can be resumed with."""
        await self.link.send(f'<enable xmlns="{SM}" resume="true"/>')
        enabled = await self.until(lambda stanza: stanza.tag == f"{{{SM}}}enabled")
        return enabled.attrib["id"]

    async def resume(self, previd: str) -> None:
        """Take up a session whose connection was lost.

        Raises:
            Refused: it is not ours, or is gone.
        """
        await self.link.send(f'<resume xmlns="{SM}" previd={quoteattr(previd)} h="0"/>')
        answer = await self.until(lambda s: s.tag in (f"{{{SM}}}resumed", f"{{{SM}}}failed"))
        if answer.tag.endswith("}failed"):
            raise Refused.of(answer)

    async def _open(self) -> None:
        await self.link.open()
        await self.until(lambda stanza: stanza.tag.endswith("}features"))


@asynccontextmanager
async def connection(
    port: int, token: str | None, *, previd: str = "", over: str = "websocket"
) -> AsyncIterator[XmppClient]:
    """A connection on which nobody has logged in yet; ended in order.

    Args:
        port: Prosody's HTTP port.
        token: None leaves it out of the URL.
        previd: the stream management id a client adds when it means to resume.
        over: `websocket` or `bosh`.
    """
    query = {"room": "any"}
    query |= {"token": token} if token is not None else {}
    query |= {"previd": previd} if previd else {}
    kind = BoshLink if over == "bosh" else WebsocketLink
    client = XmppClient(await kind.connect(port, query))
    try:
        yield client
    finally:
        with suppress(OSError, Disconnected):
            await client.link.close()


@asynccontextmanager
async def logged_in(
    port: int, token: str | None, *, over: str = "websocket"
) -> AsyncIterator[XmppClient]:
    """A connection that is logged in and has an address.

    Raises:
        Refused: the token is not accepted.
    """
    async with connection(port, token, over=over) as client:
        await client.log_in()
        await client.bind()
        yield client


def room_jid(room: str, nick: str = "") -> str:
    """Return the address of a room, or of somebody in it."""
    return f"{room}@{names.MUC}" + (f"/{nick}" if nick else "")


def _is_from(stanza: Stanza, kind: str, address: str) -> bool:
    # The server writes addresses in small letters, however they were asked for.
    return stanza.tag == f"{JABBER}{kind}" and stanza.get("from", "") == address.lower()


def _raise_error(stanza: Stanza) -> None:
    if stanza.get("type") == "error":
        error = stanza.find(f"{JABBER}error")
        raise Refused.of(error if error is not None else stanza)
