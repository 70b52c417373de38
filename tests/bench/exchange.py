"""The join exchange (link -> Jitsi token) beside its floor under the same server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from app.localstack.ports import Ports
from app.localstack.process import Part
from app.localstack.supervisor import LocalStack
from tests.bench.figures import Figure, Goal, percentile
from tests.bench.floor import Floor
from tests.bench.lab import Lab, Scale, progress, running
from tests.bench.load import post, requests
from tests.bench.processes import cpu_s

PARTS = frozenset({"postgres", "redis", "api"})
CLIENTS = 16
BLOCK = 100  # requests of one kind in a row, with one client
COUNTED = 20  # requests in which statements are counted
STATEMENT = b"role_telehealth@teleconsult LOG:  statement:"


@dataclass(slots=True)
class Side:
    """One of the two endpoints and what was seen of it."""

    port: int
    texts: Sequence[bytes]
    parts: tuple[Part, ...]
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    async def warm(self) -> None:
        """Let every thread make its connection, and every cache fill."""
        await requests(self.port, self.texts, clients=CLIENTS, count=10 * CLIENTS)

    async def press(self, seconds: float) -> None:
        """Send from many clients."""
        before = cpu_s(*self.parts)
        run = await requests(self.port, self.texts, clients=CLIENTS, seconds=seconds)
        self.cpu_ms.append((cpu_s(*self.parts) - before) * 1000 / len(run.latencies))
        self.rates.append(run.rate)

    async def ask(self, count: int) -> None:
        """Send from one client."""
        run = await requests(self.port, self.texts, clients=1, count=count)
        self.latencies += [seconds * 1000 for seconds in run.latencies]


def bench(scale: Scale) -> list[Figure]:
    """Return throughput, latency and statements of one exchange."""
    with running(parts=PARTS, env={"API_WORKERS": "2"}) as lab, _floor(lab.stack) as floor:
        codes = [seat.code for seat in lab.sessions((scale.links + 1) // 2)]
        postgres, port = lab.stack.postgres, lab.stack.ports["api"]
        links = [post(f"/j/{code}/token") for code in codes]
        ours = Side(port, links, (postgres, lab.stack.part("api")))
        bare = Side(floor.port, [post(f"/j/{code}") for code in codes], (postgres, floor))
        asyncio.run(_measure(ours, bare, scale))
        return [*_figures(ours, bare), _statements(lab, ours)]


async def _measure(ours: Side, bare: Side, scale: Scale) -> None:
    for side in (ours, bare):
        await side.warm()
    for number in range(scale.rounds):
        progress(f"exchange: round {number + 1} of {scale.rounds}, {CLIENTS} clients")
        # In turns, and in turns of who is first: whatever else the machine does meets both.
        for side in (ours, bare) if number % 2 else (bare, ours):
            await side.press(scale.round_s)
    while len(ours.latencies) < scale.single_requests:
        progress(f"exchange: {len(ours.latencies)} requests of one client")
        await ours.ask(min(BLOCK, scale.single_requests))
        await bare.ask(min(BLOCK, scale.single_requests))


def _figures(ours: Side, bare: Side) -> list[Figure]:
    ratios = [a / b for a, b in zip(ours.rates, bare.rates, strict=True)]
    rates = (median(ours.rates), median(bare.rates))
    costs = (median(ours.cpu_ms), median(bare.cpu_ms))
    p50, p99 = ((percentile(ours.latencies, p), percentile(bare.latencies, p)) for p in (50, 99))
    return [
        Figure(
            f"exchange, {CLIENTS} clients", "1/s", *rates, Goal(0.6, "ratio", at_least=True), ratios
        ),
        Figure("exchange, CPU of API and PostgreSQL", "ms", *costs),
        Figure("exchange, 1 client, p50", "ms", *p50, Goal(2.0)),
        Figure("exchange, 1 client, p99", "ms", *p99, Goal(5.0)),
    ]


def _statements(lab: Lab, ours: Side) -> Figure:
    """Count what PostgreSQL itself sees of the API while some links are exchanged."""
    with _every_statement_logged(lab.stack):
        log = lab.stack.postgres.log
        before = log.stat().st_size
        asyncio.run(requests(ours.port, ours.texts, clients=1, count=COUNTED))
        seen = log.read_bytes()[before:]
    count = seen.count(STATEMENT)
    return Figure("exchange, SQL statements", "1", count / COUNTED, 1, Goal(3))


@contextmanager
def _every_statement_logged(stack: LocalStack) -> Iterator[None]:
    with stack.postgres.as_admin() as admin:
        admin.execute("ALTER SYSTEM SET log_statement = 'all'")
        admin.execute("ALTER SYSTEM SET log_min_duration_statement = -1")
        admin.execute("SELECT pg_reload_conf(), pg_sleep(0.5)")
        yield
        admin.execute("ALTER SYSTEM RESET ALL")
        admin.execute("SELECT pg_reload_conf()")


@contextmanager
def _floor(stack: LocalStack) -> Iterator[Floor]:
    claims = Ports()
    port = claims.choose()
    floor = Floor("floor", stack.data_dir / "floor", {**stack.environment, "PORT": str(port)})
    floor.start()
    try:
        yield floor
    finally:
        floor.stop()
        claims.release()
