"""A measured figure, what it is held against, and how both are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

HEADINGS = ("name", "ours", "floor", "ratio", "goal", "met")


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit on a figure, or on its ratio to the floor."""

    limit: float
    of: str = "ours"  # or "ratio"
    at_least: bool = False

    def holds(self, figure: Figure) -> bool:
        """Tell whether the figure meets it."""
        value = figure.ratio if self.of == "ratio" else figure.ours
        if value is None:
            return False
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        """Return it as the table shows it."""
        return f"{self.of} {'>=' if self.at_least else '<='} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. Without a goal it is only told."""

    name: str
    unit: str
    ours: float
    floor: float | None = None
    goal: Goal | None = None
    # The ratio of each round, where rounds were interleaved; their median is the ratio.
    rounds: Sequence[float] = field(default=())

    @property
    def ratio(self) -> float | None:
        """Return ours over floor."""
        if self.rounds:
            return median(self.rounds)
        return self.ours / self.floor if self.floor else None

    @property
    def is_met(self) -> bool | None:
        """Tell whether the goal is met; None without one."""
        return self.goal.holds(self) if self.goal else None

    def as_json(self) -> dict[str, Any]:
        """Return all there is to know."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "floor": self.floor,
            "ratio": self.ratio,
            "rounds": list(self.rounds),
            "goal": str(self.goal) if self.goal else None,
            "met": self.is_met,
        }

    def cells(self) -> tuple[str, ...]:
        """Return the line of the table."""
        met = {True: "yes", False: "NO", None: ""}[self.is_met]
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        floor = "" if self.floor is None else f"{self.floor:.4g}"
        goal = str(self.goal) if self.goal else ""
        return (f"{self.name} ({self.unit})", f"{self.ours:.4g}", floor, ratio, goal, met)


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as lines of aligned columns."""
    rows = [HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def write_json(figures: Sequence[Figure], path: Path, **about: Any) -> None:
    """Write the figures and what is known about the run."""
    content = {**about, "figures": [figure.as_json() for figure in figures]}
    path.write_text(json.dumps(content, indent=2) + "\n")


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
