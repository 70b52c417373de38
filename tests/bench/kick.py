"""From the API request that removes somebody to that person's client, beside a bare kick.

The bare kick is one stanza of a slixmpp component that is an owner in the same room of the same
Prosody: the focus, which this bench plays itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

import aiohttp

from app.localstack import names
from app.localstack.focus import Focus
from tests.bench.figures import Figure, Goal, percentile
from tests.bench.lab import WHOLE, Lab, Scale, Seat, progress, running
from tests.bench.visitor import KICKED, Visitor, web_session

SETTLE_S = 0.03  # the events of the join are on their way before the kick is
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

    async def timed(self, kick: Kick) -> float:
        """Return the milliseconds from a kick to its victim's hearing of it."""
        session = {"id": self.host.session_id, "room_name": self.host.room}
        seat = await asyncio.to_thread(self.lab.invite, session, "nurse")
        visitor = await self.arrive(seat)
        await asyncio.sleep(SETTLE_S)
        began = time.perf_counter()
        await kick(seat, visitor.nick)
        await visitor.wait_for("unavailable", KICKED)
        passed = time.perf_counter() - began
        await visitor.leave()
        return passed * 1000


def bench(scale: Scale) -> list[Figure]:
    """Return how long a person stays after somebody decided otherwise."""
    with running(parts=WHOLE - {"focus"}) as lab:
        ours, bare, answers = asyncio.run(_measure(lab, scale.kicks))
    p50, p95 = ((percentile(ours, p), percentile(bare, p)) for p in (50, 95))
    return [
        Figure("kick, request to client, p50", "ms", *p50, Goal(2.0, "ratio")),
        Figure("kick, request to client, p95", "ms", *p95),
        Figure("kick, request to answer, p50", "ms", percentile(answers, 50)),
    ]


async def _measure(lab: Lab, kicks: int) -> tuple[list[float], list[float], list[float]]:
    ours: list[float] = []
    bare: list[float] = []
    answers: list[float] = []
    async with _focus(lab) as focus, web_session() as web:
        api = await Api.connect(lab)
        host = (await asyncio.to_thread(lab.session, ["doctor"]))[0]
        room = Room(lab, web, host, count())
        doctor = await room.arrive(host)
        for number in range(kicks):
            progress(f"kick {number + 1} of {kicks}")
            ours.append(await room.timed(api.remove))
            answers.append(await api.answered())
            bare.append(await room.timed(_bare(focus)))
        await doctor.leave()
        await api.close()
    return ours, bare, answers


def _bare(focus: Focus) -> Kick:
    async def kick(seat: Seat, nick: str) -> None:
        item = f"<item nick='{nick}' role='none'/>"
        focus.send_raw(
            f"<iq type='set' id='kick-{nick}' from='{names.FOCUS_USER}/{names.FOCUS_NICK}'"
            f" to='{seat.room}@{names.MUC}'><query xmlns='{MUC_ADMIN}'>{item}</query></iq>"
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
    focus.end()
    await asyncio.wait_for(focus.disconnected, 2)
