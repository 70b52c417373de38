"""Full joins per second through Prosody with all our modules, beside the token check alone."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from app.localstack.prosody import ProsodyOptions
from app.localstack.supervisor import LocalStack
from tests.bench.crowd import enter, leave, visitors
from tests.bench.figures import Figure, Goal
from tests.bench.lab import Lab, Scale, Seat, progress, running
from tests.bench.processes import cpu_s
from tests.bench.visitor import web_session

AT_ONCE = 20
PAUSE_S = 1.0  # what is still told of the last round's people is not the next round's cost


@dataclass(slots=True)
class Side:
    """One of the two Prosodys."""

    stack: LocalStack
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    async def round(self, seats: Sequence[Seat], tokens: Sequence[str]) -> None:
        """Bring everybody in, note what it took, and let them go."""
        async with web_session() as web:
            crowd = visitors(web, self.stack.prosody.ports.http, seats, tokens)
            before = cpu_s(self.stack.prosody)
            seconds = await enter(crowd, at_once=AT_ONCE)
            self.cpu_ms.append((cpu_s(self.stack.prosody) - before) * 1000 / len(crowd))
            self.rates.append(len(crowd) / seconds)
            await leave(crowd)
        await asyncio.sleep(PAUSE_S)


def bench(scale: Scale) -> list[Figure]:
    """Return joins per second and what one costs Prosody."""
    with running() as lab, _token_check_only(lab) as bare_stack:
        seats = lab.sessions(scale.joining // 2)
        tokens = lab.tokens(seats)
        ours, bare = Side(lab.stack), Side(bare_stack)
        asyncio.run(_measure(ours, bare, scale, seats, tokens))
    ratios = [a / b for a, b in zip(ours.rates, bare.rates, strict=True)]
    rates, costs = ((median(a), median(b)) for a, b in _pairs(ours, bare))
    goal = Goal(0.8, "ratio", at_least=True)
    return [
        Figure("full joins", "1/s", *rates, goal, ratios),
        Figure("full join, CPU of Prosody", "ms", *costs),
    ]


def _pairs(ours: Side, bare: Side) -> list[tuple[list[float], list[float]]]:
    return [(ours.rates, bare.rates), (ours.cpu_ms, bare.cpu_ms)]


async def _measure(
    ours: Side, bare: Side, scale: Scale, seats: Sequence[Seat], tokens: Sequence[str]
) -> None:
    few = slice(0, AT_ONCE)
    for side in (ours, bare):  # keys fetched, rooms' code loaded
        await side.round(seats[few], tokens[few])
        side.rates.clear()
        side.cpu_ms.clear()
    for number in range(scale.join_rounds):
        progress(f"joins: round {number + 1} of {scale.join_rounds}")
        for side in (ours, bare) if number % 2 else (bare, ours):
            await side.round(seats, tokens)


@contextmanager
def _token_check_only(lab: Lab) -> Iterator[LocalStack]:
    """Run a second Prosody that believes every good token, beside the lab's API with its keys."""
    options = ProsodyOptions(
        host_modules=(),
        muc_modules=(),
        extra={"teleconsult_key_server": f"{lab.stack.api_url}/jitsi/keys"},
    )
    with tempfile.TemporaryDirectory(prefix="teleconsult-bench-floor-") as folder:
        bare = LocalStack(Path(folder), parts={"prosody", "focus"}, durable=False, prosody=options)
        with bare:
            yield bare
