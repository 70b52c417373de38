"""From a join in Prosody to the hospital's webhook, at fifty joins a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from app.localstack.process import wait_until
from tests.bench.crowd import leave, visitors
from tests.bench.figures import Figure, Goal, percentile
from tests.bench.lab import Lab, Scale, Seat, progress, running
from tests.bench.visitor import Visitor, web_session

JOINS_PER_S = 50
LAST_WITHIN_S = 20.0
EVENT = "participant.joined"

Moments = dict[str, float]


@dataclass(slots=True)
class Story:
    """When each person was in their room, when the service stored it, when the hospital heard."""

    joined: Moments = field(default_factory=dict)
    stored: Moments = field(default_factory=dict)
    received: Moments = field(default_factory=dict)

    def waits_ms(self, since: Moments) -> list[float]:
        """Return how long after `since` the hospital heard."""
        return [(self.received[person] - since[person]) * 1000 for person in self.joined]


def bench(scale: Scale) -> list[Figure]:
    """Return how long the news of a join is on its way."""
    with running() as lab:
        seats = lab.sessions(1 + scale.webhook_joins // 2)
        progress("exchanging links")
        first, story, rate = asyncio.run(_measure(lab, seats, lab.tokens(seats)))
    waits, of_it = story.waits_ms(story.joined), story.waits_ms(story.stored)
    return [
        Figure("webhook, joins", "1/s", rate, JOINS_PER_S),
        Figure("webhook, join to receiver, p50", "ms", percentile(waits, 50), goal=Goal(100)),
        Figure("webhook, join to receiver, p99", "ms", percentile(waits, 99), goal=Goal(500)),
        Figure("webhook, of it stored to receiver, p50", "ms", percentile(of_it, 50)),
        Figure("webhook, the first after a start", "ms", max(first.waits_ms(first.joined))),
    ]


async def _measure(
    lab: Lab, seats: Sequence[Seat], tokens: Sequence[str]
) -> tuple[Story, Story, float]:
    """Return the story of the first two people, that of all others, and their joins per second."""
    first, story = Story(), Story()
    async with _receiver(first, story) as url, web_session() as client:
        body = {"url": url, "event_types": [EVENT]}
        await asyncio.to_thread(lab.hospital.make, "/webhooks", body)
        crowd = visitors(client, lab.stack.prosody.ports.http, seats, tokens)
        await _arrive(crowd[:2], seats[:2], first)
        seconds = await _arrive(crowd[2:], seats[2:], story)
        await leave(crowd)
    return first, story, len(story.joined) / seconds


async def _arrive(crowd: Sequence[Visitor], seats: Sequence[Seat], story: Story) -> float:
    """Have one person come every 20 ms, however long each takes, and wait for all the news.

    Returns the seconds until the last one was in.

    Raises:
        RuntimeError: some news did not come.
    """

    async def one(visitor: Visitor, seat: Seat, at: float) -> None:
        await asyncio.sleep(at - time.time())
        await visitor.connect()
        await visitor.join()
        story.joined[seat.participant_id] = time.time()

    began = time.time()
    people = enumerate(zip(crowd, seats, strict=True))
    await asyncio.gather(*(one(v, s, began + number / JOINS_PER_S) for number, (v, s) in people))
    seconds = time.time() - began
    progress("waiting for the last webhooks")
    if not await asyncio.to_thread(wait_until, lambda: _all_told(story), LAST_WITHIN_S):
        raise RuntimeError(f"{len(story.joined) - len(story.received)} webhooks did not come")
    return seconds


def _all_told(story: Story) -> bool:
    return story.joined.keys() <= story.received.keys()


@asynccontextmanager
async def _receiver(first: Story, story: Story) -> AsyncIterator[str]:
    """Be the hospital's receiver; yield its address."""

    async def take(request: web.Request) -> web.Response:
        arrived = time.time()  # not monotonic: it is compared with what the service stored
        event = await request.json()
        person = event["data"]["participant_id"]
        for told in (first, story):
            told.stored.setdefault(person, datetime.fromisoformat(event["timestamp"]).timestamp())
            told.received.setdefault(person, arrived)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}/hook"
    await runner.cleanup()
