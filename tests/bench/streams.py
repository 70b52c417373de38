"""A thousand listeners on one process: how soon an event reaches all, what they cost, and what is
left for other requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import median

from tests.bench.figures import Figure, Goal, percentile
from tests.bench.lab import Lab, Scale, Seat, progress, running
from tests.bench.load import post, requests
from tests.bench.processes import megabytes, tree

PARTS = frozenset({"postgres", "redis", "api", "stream", "relay"})
CLIENTS = 8
CONNECTED_AT_ONCE = 50
ALL_WITHIN_S = 30.0
MARK = b"event: session.created"
EVERY_S = 1.0


class Crowd:
    """Everybody who listens, and when each heard of something last."""

    def __init__(self) -> None:
        self.links: list[_Link] = []
        self.heard: list[float] = []
        self._all = asyncio.Event()
        self._expected = 0

    def expect(self) -> None:
        """Begin to count those who hear of the next event."""
        self.heard.clear()
        self._all.clear()
        self._expected = len(self.links)

    async def all_heard(self) -> None:
        """Wait until everybody has heard.

        Raises:
            TimeoutError: somebody has not.
        """
        await asyncio.wait_for(self._all.wait(), ALL_WITHIN_S)

    def note(self) -> None:
        """One more has heard."""
        self.heard.append(time.perf_counter())
        if len(self.heard) == self._expected:
            self._all.set()


class _Link(asyncio.Protocol):
    """One listener, as cheap as can be: the server is what is measured."""

    def __init__(self, crowd: Crowd, request: bytes) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._crowd, self._request = crowd, request
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.opened.done() and b"retry:" in data:
            self.opened.set_result(None)
        for _ in range(data.count(MARK)):
            self._crowd.note()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("the stream was closed"))


def bench(scale: Scale) -> list[Figure]:
    """Return delay, memory and what other requests keep."""
    with running(parts=PARTS) as lab:
        seats = lab.sessions((scale.links + 1) // 2)
        return asyncio.run(_measure(lab, seats, scale))


async def _measure(lab: Lab, seats: Sequence[Seat], scale: Scale) -> list[Figure]:
    texts = [post(f"/j/{seat.code}/token") for seat in seats]
    await _rate(lab, texts, scale.round_s)
    alone, together, last, each = [], [], [], []
    for number in range(scale.stream_rounds):
        progress(f"streams: round {number + 1} of {scale.stream_rounds}")
        alone.append(await _with_events(lab, texts, scale.round_s * 4))
        async with _crowd(lab, scale.listeners) as crowd:
            together.append(await _with_events(lab, texts, scale.round_s * 4))
            for _ in range(scale.stream_events):
                began = await _event(lab, crowd)
                last.append((max(crowd.heard) - began) * 1000)
                each += [(moment - began) * 1000 for moment in crowd.heard]
            memory = max(megabytes(process) for process in tree(lab.stack.part("stream")))
    ratios = [a / b for a, b in zip(together, alone, strict=True)]
    name = f"streams, {scale.listeners} listeners"
    return [
        Figure(f"{name}, event reaches all, p50", "ms", percentile(last, 50), goal=Goal(1000)),
        Figure(f"{name}, event reaches one, p50", "ms", percentile(each, 50)),
        Figure(f"{name}, RSS", "MB", memory[0], goal=Goal(250)),
        Figure(
            f"{name}, exchange beside one event a second", "1/s", median(together), median(alone),
            Goal(0.7, "ratio", at_least=True), ratios,
        ),
    ]  # fmt: skip


async def _event(lab: Lab, crowd: Crowd) -> float:
    crowd.expect()
    began = time.perf_counter()
    await asyncio.to_thread(lab.hospital.session)
    await crowd.all_heard()
    return began


async def _with_events(lab: Lab, texts: Sequence[bytes], seconds: float) -> float:
    """Return the exchange's rate while an event happens every second."""
    beside = asyncio.create_task(_happening(lab))
    try:
        return await _rate(lab, texts, seconds)
    finally:
        beside.cancel()


async def _happening(lab: Lab) -> None:
    while True:
        await asyncio.to_thread(lab.hospital.session)
        await asyncio.sleep(EVERY_S)


async def _rate(lab: Lab, texts: Sequence[bytes], seconds: float) -> float:
    port = lab.stack.ports["api"]
    return (await requests(port, texts, clients=CLIENTS, seconds=seconds)).rate


@asynccontextmanager
async def _crowd(lab: Lab, count: int) -> AsyncIterator[Crowd]:
    """Connect everybody; hang up at the end."""
    crowd, loop = Crowd(), asyncio.get_running_loop()
    token, port = lab.hospital.token, lab.stack.ports["stream"]
    request = f"GET /stream/events HTTP/1.1\r\nhost: b\r\nauthorization: Bearer {token}\r\n\r\n"
    for first in range(0, count, CONNECTED_AT_ONCE):
        some = [
            _Link(crowd, request.encode()) for _ in range(min(CONNECTED_AT_ONCE, count - first))
        ]
        await asyncio.gather(
            *(loop.create_connection(lambda link=link: link, "127.0.0.1", port) for link in some)  # type: ignore[misc]
        )
        await asyncio.gather(*(link.opened for link in some))
        crowd.links += some
    try:
        yield crowd
    finally:
        for link in crowd.links:
            if link.transport is not None:
                link.transport.abort()
