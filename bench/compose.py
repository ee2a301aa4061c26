"""An issue of ten briefs: composed into editions, checked, and many editions on all cores."""

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
from bench.sample import ISSUE, Reader, in_new_process, readers, ten_briefs, workspace_folder

EDITIONS, MANY = 16, 500
COLD, WARM, LARGE = 5, 11, 5  #: runs
COMPOSED, CHECKED, LARGE_RUN = 150.0, 2000.0, 3000.0  #: ms wanted
_ARMS = """
[[split.arm]]
name = "b"
share = 0.3
subject = "Another subject"

[[split.arm]]
name = "c"
share = 0.3
subject = "A third subject"
"""


def run(*, profile: bool = False) -> Result:
    """Each cold run is a process and a workspace of its own; the warm ones share a process."""
    with workspace_folder() as folder:
        ten_briefs(folder)
        chosen = readers(folder, EDITIONS)
        warm = in_new_process("bench.compose", "compose", str(folder), str(WARM), given=chosen)
        checks = in_new_process("bench.compose", "check", str(folder), str(WARM), given=chosen)
        if profile:
            print(_profiled(folder, chosen), file=sys.stderr)
    cold = []
    for _ in range(COLD):
        with workspace_folder() as folder:
            ten_briefs(folder)
            cold.append(in_new_process("bench.compose", "compose", str(folder), "0", given=chosen))
    with workspace_folder() as folder:
        ten_briefs(folder)
        large = in_new_process("bench.compose", "large", str(folder), str(LARGE), given=chosen)
    first = Figure("first time in a new process", "ms", [one["ms"][0] for one in cold])
    again = Figure("again in that process", "ms", warm["ms"][1:])
    checked = Figure(f"a full check of the {EDITIONS} editions, off line", "ms", checks["ms"])
    many = Figure(f"{MANY} editions, all cores", "ms", large["ms"])
    return Result(
        name="compose",
        title=f"An issue of ten briefs into {EDITIONS} editions",
        figures=[
            first,
            again,
            Figure("again, per edition", "ms", [one / EDITIONS for one in warm["ms"][1:]]),
            Figure("imports, not counted above", "ms", [one["import_ms"] for one in cold]),
            Figure("HTML of an edition", "kB", [b / 1000 for b in warm["html_bytes"]]),
            checked,
            many,
            Figure(f"{MANY} editions, one core", "ms", large["alone_ms"]),
        ],
        targets=[
            Target(first, COMPOSED),
            Target(again, COMPOSED),
            Target(checked, CHECKED),
            Target(many, LARGE_RUN),
        ],
        notes=[
            "The first time compiles the templates and parses the style sheets.",
            "Every run has a new Workspace; between runs of a process only module-level caches stay.",
            f"{MANY} editions: segments, three languages and three arms of a split test.",
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


def check(folder: Path, chosen: list[Reader]) -> float:
    """Milliseconds for everything that `issue check` does with these editions, rendering left out."""
    from newsletter import Workspace
    from newsletter.audience import ReaderKind
    from newsletter.checking import Shown

    with Workspace(folder) as workspace:
        issue = workspace.issue(ISSUE)
        planned = workspace.editions(issue, [ReaderKind(one, "en") for one in chosen])
        shown = [Shown(one.edition, 10, one.readers[0].segments) for one in planned]
        begun = time.perf_counter()
        workspace.checking.issue(issue, (), shown, transport="outbox", today=workspace.today)
        return (time.perf_counter() - begun) * 1000


def large(folder: Path) -> tuple[float, float]:
    """Milliseconds for many editions on all cores, and on one."""
    from itertools import chain, combinations, product

    from newsletter import Workspace
    from newsletter.editions import render_all

    manifest = folder / "issues" / ISSUE / "issue.toml"
    text = manifest.read_text("utf-8")
    if _ARMS not in text:
        all_actions = text.replace('resolution = "first"', 'resolution = "all"')
        manifest.write_text(all_actions + _ARMS, "utf-8")
    with Workspace(folder) as workspace:
        composer = workspace.composer(workspace.issue(ISSUE))
        keys = workspace.segments.keys
        sets = list(chain.from_iterable(combinations(keys, n) for n in range(len(keys) + 1)))
        distinct = {
            composer.signature(reader, language=language, arm=arm): reader
            for language, arm, reader in product(("en", "de", "fr"), ("a", "b", "c"), sets)
        }
        jobs = list(distinct.items())[:MANY]
        if len(jobs) < MANY:
            raise SystemExit(f"only {len(jobs)} editions")
        begun = time.perf_counter()
        render_all(workspace.renderer, composer, jobs)
        together = (time.perf_counter() - begun) * 1000
        begun = time.perf_counter()
        for signature, reader in jobs:
            workspace.renderer.edition(composer, reader, signature)
        return together, (time.perf_counter() - begun) * 1000


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


def _main(what: str, folder: str, more: str) -> dict[str, Any]:
    """In a new process: import, do it once, then as many times `more`."""
    chosen = [tuple(reader) for reader in json.load(sys.stdin)]
    begun = time.perf_counter()
    import newsletter.workspace  # noqa: F401

    import_ms = (time.perf_counter() - begun) * 1000
    if what == "check":
        return {"ms": [check(Path(folder), chosen) for _ in range(1 + int(more))]}
    if what == "large":
        both = [large(Path(folder)) for _ in range(int(more))]
        return {"ms": [one for one, _ in both], "alone_ms": [one for _, one in both]}
    runs = [compose(Path(folder), chosen) for _ in range(1 + int(more))]
    return {"import_ms": import_ms, "ms": [ms for ms, _ in runs], "html_bytes": runs[0][1]}


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:])))
