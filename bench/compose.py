"""Composing an issue into sixteen editions: files, resolution, Jinja2, MJML, inlining, links, MIME."""

from __future__ import annotations

import cProfile
import io
import json
import pstats
import sys
import time
from pathlib import Path
from typing import Any

from bench.figures import Figure, Result, Target
from bench.sample import ISSUE, Reader, in_new_process, readers, workspace_folder

EDITIONS = 16
COLD, WARM = 7, 15  #: runs
TARGET = 150.0  #: ms


def run(*, profile: bool = False) -> Result:
    """Each cold run is a process and a workspace of its own; the warm ones share a process."""
    with workspace_folder() as folder:
        chosen = readers(folder, EDITIONS)
        warm = in_new_process("bench.compose", str(folder), str(WARM), given=chosen)["ms"][1:]
        if profile:
            print(_profiled(folder, chosen), file=sys.stderr)
    cold = []
    for _ in range(COLD):
        with workspace_folder() as folder:
            cold.append(in_new_process("bench.compose", str(folder), "0", given=chosen))
    first = Figure("first time in a new process", "ms", [one["ms"][0] for one in cold])
    again = Figure("again in that process", "ms", warm)
    return Result(
        name="compose",
        title=f"Issue {ISSUE} into {EDITIONS} editions",
        figures=[
            first,
            again,
            Figure("again, per edition", "ms", [one / EDITIONS for one in warm]),
            Figure("imports, not counted above", "ms", [one["import_ms"] for one in cold]),
            Figure("HTML of an edition", "kB", [b / 1000 for b in cold[0]["html_bytes"]]),
        ],
        targets=[Target(first, TARGET), Target(again, TARGET)],
        notes=[
            "The first time compiles the templates and parses the style sheets.",
            "Every run has a new Workspace; between runs of a process only module-level caches stay.",
        ],
    )


def compose(folder: Path, chosen: list[Reader]) -> tuple[float, list[int]]:
    """Milliseconds for one whole composition, and the bytes of HTML of each edition."""
    from newsletter import Workspace
    from newsletter.audience import ReaderKind

    begun = time.perf_counter()
    with Workspace(folder) as workspace:
        planned = workspace.editions(
            workspace.issue(ISSUE), [ReaderKind(one, "en") for one in chosen]
        )
    taken = (time.perf_counter() - begun) * 1000
    if len(planned) != len(chosen):
        raise SystemExit(f"{len(planned)} editions came of {len(chosen)} signatures")
    return taken, [one.edition.html_bytes for one in planned]


def _profiled(folder: Path, chosen: list[Reader]) -> str:
    """cProfile's top ten by cumulative and by own time, of a second composition."""
    compose(folder, chosen)
    profiler = cProfile.Profile()
    profiler.runcall(compose, folder, chosen)
    report = io.StringIO()
    stats = pstats.Stats(profiler, stream=report).strip_dirs()
    stats.sort_stats("cumulative").print_stats(10)
    stats.sort_stats("tottime").print_stats(10)
    return report.getvalue()


def _main(folder: str, more: str) -> dict[str, Any]:
    """In a new process: import, compose once, then as many times `more`."""
    chosen = [tuple(reader) for reader in json.load(sys.stdin)]
    begun = time.perf_counter()
    import newsletter.workspace  # noqa: F401

    import_ms = (time.perf_counter() - begun) * 1000
    runs = [compose(Path(folder), chosen) for _ in range(1 + int(more))]
    return {"import_ms": import_ms, "ms": [ms for ms, _ in runs], "html_bytes": runs[0][1]}


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:])))
