"""A send as it goes: a bar with rate and time left, what failed, and where."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from newsletter.cli.show import err, number
from newsletter.delivery import Progress

_DOMAINS = 5  # shown; the busiest
_NOTED = 10.0  # seconds between two lines where there is no terminal


@contextmanager
def live_progress(label: str) -> Iterator[Callable[[Progress], None]]:
    """Call the yielded function with the progress as often as one likes. Without a terminal, what a
    send waits for is said in lines, and nothing else."""
    if not err.is_terminal:
        yield _Lines(label)
        return
    begun = time.monotonic()
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    task = bar.add_task(label, total=None, rate="")
    live = Live(bar, console=err, transient=True, refresh_per_second=5)
    started = False

    def show(now: Progress) -> None:
        nonlocal started
        if not started and time.monotonic() - begun > 1:
            live.start()
            started = True
        rate = f"{now.rate:,.0f}/s" + (f", {_span(now.eta)} left" if now.eta else "")
        bar.update(task, completed=now.settled, total=now.total or None, rate=rate)
        live.update(Group(bar, *_below(now)))

    try:
        yield show
    finally:
        if started:
            live.stop()


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for cycles seldom, in the whole process. A send makes none, and what was there before
    stays: searching both for them after every few hundred messages took 5 to 10 % of the time."""
    often = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, *often[1:])
    try:
        yield
    finally:
        gc.set_threshold(*often)
        gc.unfreeze()


class _Lines:
    """Says what a send waits for, once each, at most every ten seconds."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._said = ""
        self._at = 0.0

    def __call__(self, now: Progress) -> None:
        if now.waiting and (
            now.waiting.split(",")[0] != self._said or time.monotonic() - self._at > 60
        ):
            if time.monotonic() - self._at < _NOTED and self._said:
                return
            self._said, self._at = now.waiting.split(",")[0], time.monotonic()
            err.print(f"{self.label}: {now.waiting}", markup=False)


def _below(now: Progress) -> Iterator[Text | Table]:
    """What failed, and the busiest domains."""
    parts = [
        f"{number(count)} {word}"
        for count, word in (
            (now.rejected, "refused for good"),
            (now.deferred, "to try again"),
            (now.uncertain, "in doubt"),
        )
        if count
    ]
    if parts:
        yield Text(", ".join(parts), style="yellow")
    if now.waiting:
        yield Text(f"waiting: {now.waiting}", style="cyan")
    busiest = sorted(now.domains, key=lambda name: -sum(now.domains[name].values()))[:_DOMAINS]
    if len(now.domains) > 1:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("domain", overflow="fold")
        for column in ("taken", "refused", "again"):
            table.add_column(column, justify="right")
        for name in busiest:
            states = now.domains[name]
            table.add_row(
                name, *(number(states[one]) for one in ("accepted", "rejected", "deferred"))
            )
        yield table


def _span(seconds: float) -> str:
    """`4 min`, `38 s`"""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
