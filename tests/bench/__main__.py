"""`script/bench`: run the benches, print the table, write it as JSON."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.bench import exchange, files, joins, kick, memory, scale, streams, webhook
from tests.bench.figures import Figure, table, write_json
from tests.bench.lab import QUICK, Scale

BENCHES: dict[str, Callable[[Scale], list[Figure]]] = {
    "exchange": exchange.bench,
    "kick": kick.bench,
    "webhook": webhook.bench,
    "joins": joins.bench,
    "memory": memory.bench,
    "streams": streams.bench,
    "files": files.bench,
    "scale": scale.bench,
}
# Loading takes long, and 20 GB.
WHEN_ASKED = {"scale"}


def main(words: Sequence[str]) -> None:
    """Run what the command line asks for."""
    options = _options(words)
    names = options.only or [name for name in BENCHES if name not in WHEN_ASKED]
    names += [name for name in sorted(WHEN_ASKED) if options.scale and name not in names]
    began, figures = datetime.now(UTC), []
    for name in names:
        figures += _run(name, _scale(options))
    click.echo(f"\n{table(figures)}")
    write_json(
        figures,
        options.json,
        began=began.isoformat(timespec="seconds"),
        cores=os.cpu_count(),
        load_average=os.getloadavg(),
        quick=options.quick,
    )


def _scale(options: argparse.Namespace) -> Scale:
    chosen = QUICK if options.quick else Scale()
    return replace(chosen, stored_sessions=options.sessions) if options.sessions else chosen


def _run(name: str, scale: Scale) -> list[Figure]:
    click.echo(f"{name} ...")
    began = time.monotonic()
    figures = BENCHES[name](scale)
    end = "\r\033[K" if sys.stderr.isatty() else ""
    click.echo(f"{end}{table(figures)}\n{name} took {time.monotonic() - began:.0f} s\n")
    return figures


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("bench-results.json"), metavar="FILE")
    parser.add_argument("--only", action="append", choices=list(BENCHES), metavar="NAME")
    parser.add_argument("--scale", action="store_true", help="also the million sessions")
    parser.add_argument(
        "--sessions", type=int, metavar="N", help="of `scale`; a million if not said"
    )
    parser.add_argument("--quick", action="store_true", help="only show that everything runs")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(sys.argv[1:])
