"""Full joins per second through Prosody with all our modules, beside the same Prosody with the
token check alone; and beside one that has, of our modules, that of its garbage collector, too."""

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

# So that there is always something to do: with 20 a Prosody that asks stood still for a tenth of
# the time, and the waiting was measured, not the work.
AT_ONCE = 50
COLLECTOR = ("teleconsult_heap",)
PAUSE_S = 1.0  # what is still told of the last round's people is not the next round's cost


@dataclass(slots=True)
class Side:
    """One of the Prosodys."""

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
    with (
        running() as lab,
        _token_check_only(lab, ()) as as_it_comes,
        _token_check_only(lab, COLLECTOR) as tuned,
    ):
        seats = lab.sessions(scale.joining // 2)
        tokens = lab.tokens(seats)
        sides = [Side(stack) for stack in (lab.stack, as_it_comes, tuned)]
        asyncio.run(_measure(sides, scale, seats, tokens))
    ours, *floors = sides
    named = zip(("", ", same collector"), floors, strict=True)
    return [figure for name, floor in named for figure in _figures(name, ours, floor)]


def _figures(name: str, ours: Side, floor: Side) -> list[Figure]:
    ratios = [a / b for a, b in zip(ours.rates, floor.rates, strict=True)]
    rates = (median(ours.rates), median(floor.rates))
    costs = (median(ours.cpu_ms), median(floor.cpu_ms))
    goal = Goal(0.8, "ratio", at_least=True)
    return [
        Figure(f"full joins{name}", "1/s", *rates, goal, ratios),
        Figure(f"full join{name}, CPU of Prosody", "ms", *costs),
    ]


async def _measure(
    sides: Sequence[Side], scale: Scale, seats: Sequence[Seat], tokens: Sequence[str]
) -> None:
    few = slice(0, AT_ONCE)
    for side in sides:  # keys fetched, rooms' code loaded
        await side.round(seats[few], tokens[few])
        side.rates.clear()
        side.cpu_ms.clear()
    for number in range(scale.join_rounds):
        progress(f"joins: round {number + 1} of {scale.join_rounds}")
        # In turns, and in turns of who is first.
        for side in sides if number % 2 else reversed(sides):
            await side.round(seats, tokens)


@contextmanager
def _token_check_only(lab: Lab, modules: tuple[str, ...]) -> Iterator[LocalStack]:
    """Run another Prosody that believes every good token, beside the lab's API with its keys.

    Args:
        modules: what it has of ours besides.
    """
    options = ProsodyOptions(
        global_modules=modules,
        host_modules=(),
        muc_modules=(),
        extra={"teleconsult_key_server": f"{lab.stack.api_url}/jitsi/keys"},
    )
    with tempfile.TemporaryDirectory(prefix="teleconsult-bench-floor-") as folder:
        bare = LocalStack(Path(folder), parts={"prosody", "focus"}, durable=False, prosody=options)
        with bare:
            yield bare
