"""The two ways a Jitsi client carries XMPP: websocket (RFC 7395) and BOSH (XEP-0124, XEP-0206)."""

import random
import socket
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol, Self
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import aiohttp

from app.localstack import names

FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
OPEN = f'<open xmlns="{FRAMING}" to="{names.DOMAIN}" version="1.0"/>'
CLOSE = f'<close xmlns="{FRAMING}"/>'
HTTP_BIND = "http://jabber.org/protocol/httpbind"
XBOSH = "urn:xmpp:xbosh"
BOSH_WAIT_S = 5


class Disconnected(Exception):
    """The server closed the stream; the text is its last word."""


class XmppLink(Protocol):
    """One stream to the server, element by element."""

    async def open(self) -> None:
        """Begin the stream, or begin it again after the login."""

    async def send(self, element: str) -> None:
        """Send one element as it is."""

    async def receive(self) -> ET.Element:
        """Return the next element.

        Raises:
            Disconnected: there is none any more.
        """

    async def close(self) -> None:
        """End the stream in order."""

    async def vanish(self) -> None:
        """Break the connection without a word."""


class WebsocketLink:
    """A websocket, the query of its URL included, as browsers open it."""

    def __init__(self, http: aiohttp.ClientSession, link: aiohttp.ClientWebSocketResponse) -> None:
        self._http = http
        self._link = link

    @classmethod
    async def connect(cls, port: int, query: Mapping[str, str]) -> Self:
        """Connect to Prosody's HTTP port."""
        http = aiohttp.ClientSession(headers={"Host": names.DOMAIN})
        url = f"ws://127.0.0.1:{port}/xmpp-websocket?{urlencode(query)}"
        try:
            return cls(http, await http.ws_connect(url, protocols=["xmpp"]))
        except BaseException:
            await http.close()
            raise

    async def open(self) -> None:
        """Send the opening element; the server's own comes before its features."""
        await self.send(OPEN)

    async def send(self, element: str) -> None:
        """Send one element."""
        await self._link.send_str(element)

    async def receive(self) -> ET.Element:
        """Return the next element."""
        message = await self._link.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise Disconnected(message.type.name)
        return ET.fromstring(message.data)

    async def close(self) -> None:
        """End the stream, so that the server sees a leave and no lost connection."""
        try:
            if not self._link.closed:
                await self._link.send_str(CLOSE)
            await self._link.close()
        finally:
            await self._http.close()

    async def vanish(self) -> None:
        """Cut the TCP connection: the server keeps the session for its return."""
        wire: socket.socket = self._link.get_extra_info("socket")
        wire.shutdown(socket.SHUT_RDWR)
        with suppress(ConnectionError):
            await self._link.close()  # frees what is on our side
        await self._http.close()


class BoshLink:
    """XMPP over plain HTTP requests, for networks without websockets. One request at a time."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        self._sid = ""
        self._rid = random.randrange(10**6, 10**9)
        self._came: deque[ET.Element] = deque()

    @classmethod
    async def connect(cls, port: int, query: Mapping[str, str]) -> Self:
        """Nothing is sent before `open`."""
        http = aiohttp.ClientSession(headers={"Host": names.DOMAIN})
        return cls(http, f"http://127.0.0.1:{port}/http-bind?{urlencode(query)}")

    async def open(self) -> None:
        """Make the session, or restart its stream after the login."""
        version = f'xmlns:xmpp="{XBOSH}" xmpp:version="1.0" to="{names.DOMAIN}"'
        first = f'{version} wait="{BOSH_WAIT_S}" hold="1" ver="1.6" xml:lang="en"'
        await self._post(f'{version} xmpp:restart="true"' if self._sid else first)

    async def send(self, element: str) -> None:
        """Send one element; what comes back with the answer is kept."""
        await self._post("", element)

    async def receive(self) -> ET.Element:
        """Return the next element, asking for it if none came yet."""
        while not self._came:
            await self._post("")
        return self._came.popleft()

    async def close(self) -> None:
        """End the session."""
        try:
            if self._sid:
                await self._post('type="terminate"')
        finally:
            await self._http.close()

    async def vanish(self) -> None:
        """Ask no more."""
        await self._http.close()

    async def _post(self, attributes: str, content: str = "") -> None:
        self._rid += 1
        sid = f'sid="{self._sid}"' if self._sid else ""
        body = f'<body xmlns="{HTTP_BIND}" rid="{self._rid}" {sid} {attributes}>{content}</body>'
        async with self._http.post(self._url, data=body) as answer:
            came = ET.fromstring(await answer.text())
        self._sid = came.get("sid", self._sid)
        self._came.extend(came)
        if came.get("type") == "terminate":
            self._sid = ""
            if not self._came and not attributes:
                raise Disconnected(came.get("condition", "terminate"))
