"""What every process holds after a day's work: a thousand sessions, two thousand joins."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.localstack.process import Part
from tests.bench.crowd import enter, leave, visitors
from tests.bench.figures import Figure, Goal
from tests.bench.lab import Lab, Scale, Seat, progress, running
from tests.bench.processes import megabytes, tree
from tests.bench.visitor import web_session

AT_ONCE = 20
SETTLE_S = 5.0
GOALS = {"api": 150.0, "gateway": 80.0, "prosody": 120.0}
TOLD = ("api", "gateway", "prosody", "relay", "worker", "focus")


def bench(scale: Scale) -> list[Figure]:
    """Return the memory while everybody is in their room, and when all have left."""
    with running(env={"API_WORKERS": "1"}) as lab:
        seats = lab.sessions(scale.sessions)
        progress("exchanging links")
        return asyncio.run(_measure(lab, seats, lab.tokens(seats)))


async def _measure(lab: Lab, seats: Sequence[Seat], tokens: Sequence[str]) -> list[Figure]:
    async with web_session() as web:
        crowd = visitors(web, lab.stack.prosody.ports.http, seats, tokens)
        await enter(crowd, at_once=AT_ONCE)
        await asyncio.sleep(SETTLE_S)
        full = _figures(lab, f"with {len(crowd)} inside")
        progress("everybody leaves")
        await leave(crowd)
    await asyncio.sleep(SETTLE_S)
    return [*full, *_figures(lab, "after")]


def _figures(lab: Lab, when: str) -> list[Figure]:
    return [figure for name in TOLD for figure in _of(lab.stack.part(name), when)]


def _of(part: Part, when: str) -> list[Figure]:
    """Return RSS and PSS of the part's largest process: one that only starts and watches the
    others is not what grows."""
    rss, pss = max(megabytes(process) for process in tree(part))
    limit = GOALS.get(part.name)
    return [
        Figure(f"{part.name} RSS, {when}", "MB", rss, goal=Goal(limit) if limit else None),
        Figure(f"{part.name} PSS, {when}", "MB", pss),
    ]
