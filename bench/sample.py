"""The sample publication, as benchmarks use it: in a throw-away workspace, out of the box."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, combinations
from pathlib import Path
from typing import Any

ISSUE = "2026-W48"
ROOT = Path(__file__).parent.parent
Reader = tuple[str, ...]  #: keys of the segments that a reader is in


@contextmanager
def workspace_folder() -> Iterator[Path]:
    """A new workspace in the system's temporary folder (TMPDIR); gone afterwards."""
    from newsletter import init

    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as folder:
        yield init(Path(folder) / "publication")


def ten_briefs(folder: Path) -> None:
    """Make the issue one of ten briefs: four of the week before come along."""
    briefs = folder / "issues" / ISSUE / "briefs"
    for path in sorted((folder / "issues" / "2026-W47" / "briefs").iterdir())[:4]:
        shutil.copy(path, briefs / path.name)


def readers(folder: Path, most: int) -> list[Reader]:
    """As many sets of segments with a signature of their own, the smallest sets first."""
    from newsletter import Workspace

    with Workspace(folder) as workspace:
        composer = workspace.composer(workspace.issue(ISSUE))
        keys = workspace.segments.keys
        sets = chain.from_iterable(combinations(keys, size) for size in range(len(keys) + 1))
        distinct: dict[object, Reader] = {}
        for reader in sets:
            distinct.setdefault(composer.signature(reader), reader)
    if len(distinct) < most:
        raise SystemExit(f"{ISSUE} has {len(distinct)} editions; the benchmark needs {most}")
    return list(distinct.values())[:most]


def in_new_process(module: str, *arguments: str, given: Any = None) -> Any:
    """What `python -m module` prints, as JSON; `given` goes in as JSON. Settings of the caller's
    environment stay outside."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NEWSLETTER_")}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"python -m {module} failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout)


def interleaved(*measures: Any, rounds: int) -> list[Sequence[Any]]:
    """What each of the functions returns, called in turn: A B A B …"""
    turns = [[measure() for measure in measures] for _ in range(rounds)]
    return list(zip(*turns, strict=True))
