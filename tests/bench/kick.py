"""From the API request that removes somebody to that person's client, beside a bare kick.

The client is the real lib-jitsi-meet in a browser, for all; and once more, without a goal, a raw
websocket, which shows our own part alone. The bare kick is slixmpp's own call (`set_role` of its
plugin for XEP-0045), by a component that is an owner in the same room of the same Prosody: the
focus, which this bench plays itself. A second one is stricter: the same stanza, written as text
past slixmpp's stanzas and queue, which is how our gateway writes its orders.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import aiohttp
from playwright.async_api import BrowserContext
from slixmpp.plugins.xep_0045 import XEP_0045
from slixmpp.plugins.xep_0045.stanza import register_plugins

from app.localstack import names
from app.localstack.focus import Focus
from tests.bench.figures import Figure, Goal, percentile
from tests.bench.lab import WHOLE, Lab, Scale, Seat, progress, running
from tests.bench.tab import Tab, chromium
from tests.bench.visitor import KICKED, Visitor, web_session

TAB_SETTLE_S = 1.0  # what the page does on entering is over: after 0.4 to 0.7 s it is idle
SETTLE_S = 0.03  # the events of the join are on their way before the kick is
OWNER = f"{names.FOCUS_USER}/{names.FOCUS_NICK}"
MUC_ADMIN = "http://jabber.org/protocol/muc#admin"

Kick = Callable[[Seat, str], Awaitable[None]]


@dataclass(slots=True)
class Api:
    """A keep-alive connection to the API."""

    lab: Lab
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _answer: asyncio.Task[float] | None = None

    @classmethod
    async def connect(cls, lab: Lab) -> Api:
        """Open it."""
        return cls(lab, *await asyncio.open_connection("127.0.0.1", lab.stack.ports["api"]))

    async def remove(self, seat: Seat, _nick: str) -> None:
        """Send the request that removes somebody."""
        path = f"/sessions/{seat.session_id}/participants/{seat.participant_id}"
        bearer = f"authorization: Bearer {self.lab.hospital.token}"
        self.writer.write(f"DELETE {path} HTTP/1.1\r\nhost: bench\r\n{bearer}\r\n\r\n".encode())
        self._answer = asyncio.create_task(self._read(time.perf_counter()))

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        await self.writer.wait_closed()

    async def answered(self) -> float:
        """Return the milliseconds from the request to its answer."""
        assert self._answer is not None
        return await self._answer

    async def _read(self, began: float) -> float:
        """Read the answer, which must be that the room has confirmed it."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        body = await self.reader.readexactly(length)
        if not head.startswith("http/1.1 200"):
            raise RuntimeError(f"{head}{body.decode()}")
        return (time.perf_counter() - began) * 1000


@dataclass(slots=True)
class Room:
    """A room with its host in it; people come one after the other to be sent away."""

    lab: Lab
    web: aiohttp.ClientSession
    host: Seat
    numbers: count[int]

    async def arrive(self, seat: Seat) -> Visitor:
        """Bring somebody into the room."""
        token = await asyncio.to_thread(self.lab.token, seat)
        port = self.lab.stack.prosody.ports.http
        visitor = Visitor(self.web, port, seat.room, token, f"n{next(self.numbers)}")
        await visitor.connect()
        await visitor.join()
        return visitor

    async def newcomer(self) -> Seat:
        """Invite somebody."""
        session = {"id": self.host.session_id, "room_name": self.host.room}
        return await asyncio.to_thread(self.lab.invite, session, "nurse")

    async def timed(self, kick: Kick) -> float:
        """Return the milliseconds from a kick until its stanza is on its victim's websocket."""
        seat = await self.newcomer()
        visitor = await self.arrive(seat)
        await asyncio.sleep(SETTLE_S)
        began = time.perf_counter()
        await kick(seat, visitor.nick)
        await visitor.wait_for("unavailable", KICKED)
        passed = time.perf_counter() - began
        await visitor.leave()
        return passed * 1000

    async def timed_in(self, browser: BrowserContext, kick: Kick) -> float:
        """Return the milliseconds from a kick to its victim's KICKED event in lib-jitsi-meet."""
        seat = await self.newcomer()
        tab = await Tab.enter(browser, f"{self.lab.stack.api_url}/j/{seat.code}")
        await asyncio.sleep(TAB_SETTLE_S)
        began = time.time()  # not monotonic: it is compared with the page's clock
        await kick(seat, tab.nick)
        passed = await tab.kicked_at() - began
        await tab.close()
        return passed * 1000


@dataclass(slots=True)
class Times:
    """Milliseconds of ours, of the bare kick, and in the browser of the one written as text."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    text: list[float] = field(default_factory=list)

    def at(self, percent: float) -> tuple[float, float]:
        """Return a percentile of ours and of the bare kick."""
        return percentile(self.ours, percent), percentile(self.bare, percent)

    def strictly_at(self, percent: float) -> tuple[float, float]:
        """Return a percentile of ours and of the one written as text."""
        return percentile(self.ours, percent), percentile(self.text, percent)


def bench(scale: Scale) -> list[Figure]:
    """Return how long a person stays after somebody decided otherwise."""
    with running(parts=WHOLE - {"focus"}) as lab:
        client, raw, answers = asyncio.run(_measure(lab, scale))
    return [
        Figure("kick, request to lib-jitsi-meet, p50", "ms", *client.at(50), Goal(2.0, "ratio")),
        Figure("kick, request to lib-jitsi-meet, p95", "ms", *client.at(95)),
        Figure("kick, the floor as text, p50", "ms", *client.strictly_at(50), Goal(2.0, "ratio")),
        Figure("kick, request to raw stanza, p50", "ms", *raw.at(50)),
        Figure("kick, request to raw stanza, p95", "ms", *raw.at(95)),
        Figure("kick, request to answer, p50", "ms", percentile(answers, 50)),
    ]


async def _measure(lab: Lab, scale: Scale) -> tuple[Times, Times, list[float]]:
    client, raw, answers = Times(), Times(), list[float]()
    async with _focus(lab) as focus, web_session() as web, chromium() as browser:
        api = await Api.connect(lab)
        host = (await asyncio.to_thread(lab.session, ["doctor"]))[0]
        room = Room(lab, web, host, count())
        doctor, bare, text = await room.arrive(host), _slixmpp_kick(focus), _text_kick(focus)
        for number in range(scale.kicks):
            progress(f"kick {number + 1} of {scale.kicks}")
            raw.ours.append(await room.timed(api.remove))
            answers.append(await api.answered())
            raw.bare.append(await room.timed(bare))
        for number in range(scale.client_kicks):
            progress(f"kick {number + 1} of {scale.client_kicks} in a browser")
            client.ours.append(await room.timed_in(browser, api.remove))
            await api.answered()
            client.bare.append(await room.timed_in(browser, bare))
            client.text.append(await room.timed_in(browser, text))
        await doctor.leave()
        await api.close()
    return client, raw, answers


def _slixmpp_kick(focus: Focus) -> Kick:
    register_plugins()
    muc = XEP_0045(focus)  # not registered at the focus: its handlers would search every stanza
    under_way = set[asyncio.Task[None]]()

    async def kick(seat: Seat, nick: str) -> None:
        setting = muc.set_role(f"{seat.room}@{names.MUC}", nick, "none", ifrom=OWNER)
        task = asyncio.create_task(setting)  # nobody waits for its answer, as nobody does for ours
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    return kick


def _text_kick(focus: Focus) -> Kick:
    async def kick(seat: Seat, nick: str) -> None:
        item = f"<item nick='{nick}' role='none'/>"
        focus.send_raw(
            f"<iq type='set' id='kick-{nick}' from='{OWNER}' to='{seat.room}@{names.MUC}'>"
            f"<query xmlns='{MUC_ADMIN}'>{item}</query></iq>"
        )

    return kick


@asynccontextmanager
async def _focus(lab: Lab) -> AsyncIterator[Focus]:
    """Be the focus: the owner of all rooms."""
    connected = lab.stack.data_dir / "focus-connected"
    port, secret = lab.stack.ports["prosody_component"], lab.stack.secrets.focus
    focus = Focus(secret=secret, port=port, connected_file=connected)
    focus.connect()
    async with asyncio.timeout(5):
        while not connected.exists():
            await asyncio.sleep(0.02)
    yield focus
    await focus.end()
    await asyncio.wait_for(focus.disconnected, 2)
