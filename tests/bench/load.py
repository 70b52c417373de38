"""HTTP load from one thread: so cheap per request that the server is what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "


@dataclass(slots=True)
class Run:
    """What some clients saw: seconds per request, and how long all of it took."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Return requests per second."""
        return len(self.latencies) / self.seconds


def post(path: str) -> bytes:
    """Return a whole request with an empty JSON object as its body."""
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: 2\r\n\r\n{{}}".encode()


def get(path: str, token: str) -> bytes:
    """Return a whole request of a program that is signed in."""
    return f"GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n".encode()


async def requests(
    port: int, texts: Sequence[bytes], *, clients: int, seconds: float = 0.0, count: int = 0
) -> Run:
    """Send `texts` in turn, one at a time per client, for `seconds` or until `count` answers.

    Raises:
        RuntimeError: an answer was not 200.
        ConnectionError: the server closed a connection.
    """
    run, loop = Run(), asyncio.get_running_loop()
    turns = cycle(texts)
    began = time.perf_counter()
    until = began + seconds if seconds else float("inf")
    links = [_Client(run, turns, until=until, count=count) for _ in range(clients)]
    await asyncio.gather(*(loop.create_connection(_itself(c), "127.0.0.1", port) for c in links))
    try:
        await asyncio.gather(*(link.done for link in links))
    finally:
        for link in links:
            link.close()
    run.seconds = time.perf_counter() - began
    return run


def _itself(client: _Client) -> type[_Client]:
    return lambda: client  # type: ignore[return-value]


class _Client(asyncio.Protocol):
    """One keep-alive connection that sends the next request when the answer is whole."""

    def __init__(self, run: Run, turns: Iterator[bytes], *, until: float, count: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._run, self._turns, self._until, self._count = run, turns, until, count
        self._answer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Collect; note the time of a whole answer."""
        self._answer += data
        end = self._answer.find(HEAD_END)
        if end < 0 or len(self._answer) < end + len(HEAD_END) + self._body_length(end):
            return
        now = time.perf_counter()
        if not self._answer.startswith(b"HTTP/1.1 200"):
            self._fail(RuntimeError(self._answer.decode(errors="replace")[:600]))
            return
        latencies = self._run.latencies
        latencies.append(now - self._sent_at)
        if now > self._until or (self._count and len(latencies) >= self._count):
            self._finish()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so when it was not us."""
        self._fail(exc or ConnectionError("the server closed the connection"))

    def close(self) -> None:
        """Hang up."""
        self._finish()
        if self._transport is not None:
            self._transport.abort()

    def _send(self) -> None:
        assert self._transport is not None
        self._answer = b""
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._turns))

    def _body_length(self, end: int) -> int:
        head = self._answer[:end].lower()
        start = head.index(LENGTH) + len(LENGTH)
        return int(head[start:].split(b"\r", 1)[0])

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
