"""Many people coming and going at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import aiohttp

from tests.bench.lab import Seat, progress
from tests.bench.visitor import Visitor

LEAVING_AT_ONCE = 50


def visitors(
    web: aiohttp.ClientSession, port: int, seats: Sequence[Seat], tokens: Sequence[str]
) -> list[Visitor]:
    """Return people who are not connected yet."""
    people = zip(seats, tokens, strict=True)
    return [
        Visitor(web, port, seat.room, token, f"n{number}")
        for number, (seat, token) in enumerate(people)
    ]


async def enter(crowd: Sequence[Visitor], *, at_once: int) -> float:
    """Connect everybody and bring them into their rooms; return the seconds it took."""
    slots, began, inside = asyncio.Semaphore(at_once), time.perf_counter(), 0

    async def one(visitor: Visitor) -> None:
        nonlocal inside
        async with slots:
            await visitor.connect()
            await visitor.join()
        inside += 1
        if not inside % 20:
            progress(f"{inside} of {len(crowd)} people are in their rooms")

    await asyncio.gather(*map(one, crowd))
    return time.perf_counter() - began


async def leave(crowd: Sequence[Visitor]) -> None:
    """Have everybody leave in order."""
    for first in range(0, len(crowd), LEAVING_AT_ONCE):
        await asyncio.gather(*(v.leave() for v in crowd[first : first + LEAVING_AT_ONCE]))
