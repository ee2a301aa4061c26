"""What a benchmark hands back, and how it is printed and kept."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

RESULTS = Path(__file__).parent / "results"  #: git-ignored


def machine() -> dict[str, Any]:
    """What the figures depend on, without naming anybody's machine."""
    return {
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, several times over."""

    what: str
    unit: str  #: "ms", "rows/s", "×" …
    values: Sequence[float]  #: one a run

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def as_dict(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "unit": self.unit,
            "median": round(self.median, 3),
            "min": round(min(self.values), 3),
            "max": round(max(self.values), 3),
            "runs": len(self.values),
        }


@dataclass(frozen=True)
class Target:
    """A figure's median against what was set out for it."""

    figure: Figure
    limit: float  #: in the figure's unit
    at_most: bool = True

    @property
    def met(self) -> bool:
        return (
            self.figure.median <= self.limit if self.at_most else self.figure.median >= self.limit
        )

    def __str__(self) -> str:
        figure, bound = self.figure, "at most" if self.at_most else "at least"
        off = f"by {abs(figure.median - self.limit):,.1f} {figure.unit}"
        verdict = "met" if self.met else "MISSED"
        return f"{figure.what}: {bound} {self.limit:g} {figure.unit}; {verdict} {off}"


@dataclass(frozen=True)
class Result:
    """A finished benchmark."""

    name: str
    title: str
    figures: Sequence[Figure]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = ()
    profiles: dict[str, str] = field(default_factory=dict)  #: where the time goes, by what was run
    machine: dict[str, Any] = field(default_factory=machine)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": self.machine,
            "figures": [figure.as_dict() for figure in self.figures],
            "targets": [
                {
                    "what": target.figure.what,
                    "limit": target.limit,
                    "at_most": target.at_most,
                    "met": target.met,
                }
                for target in self.targets
            ],
            "notes": list(self.notes),
            "profiles": self.profiles,
        }

    def keep(self) -> None:
        """Write it to bench/results/<name>.json."""
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(self.as_dict(), indent=2, ensure_ascii=False)
        (RESULTS / f"{self.name}.json").write_text(text + "\n", "utf-8")

    def show(self, console: Console) -> None:
        table = Table(title=self.title, title_justify="left", title_style="bold")
        table.add_column("")
        for column in ("median", "min", "max", "unit", "runs"):
            table.add_column(column, justify="left" if column == "unit" else "right")
        for figure in self.figures:
            numbers = (figure.median, min(figure.values), max(figure.values))
            table.add_row(
                figure.what, *map(_rounded, numbers), figure.unit, str(len(figure.values))
            )
        console.print(table)
        for line in (*map(str, self.targets), *self.notes):
            console.print(Padding(Text(line), (0, 0, 0, 2)))
        for what, lines in self.profiles.items():
            console.print(
                Padding(Text(f"\n{what}, own time of the functions:\n{lines}"), (0, 0, 0, 2))
            )
        console.print()


def _rounded(number: float) -> str:
    return (
        f"{number:,.0f}" if number >= 1000 else f"{number:.3g}" if number < 100 else f"{number:.0f}"
    )
