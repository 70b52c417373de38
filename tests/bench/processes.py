"""What processes cost: CPU time and memory, with all their children."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psutil

from app.localstack.process import Part

MEGABYTE = 1e6


def tree(part: Part) -> Iterator[psutil.Process]:
    """Yield a part's process and everything it started."""
    assert part.pid is not None, f"{part.name} does not run"
    top = psutil.Process(part.pid)
    yield top
    yield from top.children(recursive=True)


def cpu_s(*parts: Part) -> float:
    """Return the CPU seconds that living processes of these parts have used."""
    total = 0.0
    for part in parts:
        for process in tree(part):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
    return total


def megabytes(process: psutil.Process) -> tuple[float, float]:
    """Return what a process holds: resident (RSS), and with shared pages divided (PSS)."""
    memory = process.memory_full_info()
    return memory.rss / MEGABYTE, memory.pss / MEGABYTE
