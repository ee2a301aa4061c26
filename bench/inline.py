"""MJML and inlining alone, ours against npm's mjml and juice: the same sources, the same run.

Both sides are peers of this process and speak one protocol: a line with a JSON array of MJML sources
in, a line with milliseconds and characters of HTML per source out. A warm process serves all rounds.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import Figure, Result, Target
from bench.sample import ISSUE, ROOT, interleaved, readers, workspace_folder

EDITIONS, WARM_UP, ROUNDS, COLD = 16, 10, 15, 5
TARGET = 3.0  #: times as fast
NODE = Path(__file__).parent / "node"


def run(**_: Any) -> Result:
    """Raises SystemExit when Node or its packages can't be had."""
    node = _node()
    commands = {
        "ours": [sys.executable, "-m", "bench.inline"],
        "npm": [node, str(NODE / "render.mjs")],
    }
    mjml = sources()
    with _Peer.open(commands["ours"]) as ours, _Peer.open(commands["npm"]) as npm:
        for peer in (ours, npm):
            peer.render(mjml[:WARM_UP])
        mine, theirs = interleaved(
            lambda: statistics.median(ours.render(mjml)),
            lambda: statistics.median(npm.render(mjml)),
            rounds=ROUNDS,
        )
    cold_mine, cold_theirs = interleaved(
        lambda: _cold(commands["ours"], mjml[0]),
        lambda: _cold(commands["npm"], mjml[0]),
        rounds=COLD,
    )
    versions = json.loads((NODE / "package.json").read_text("utf-8"))["dependencies"]
    named = " + ".join(f"{name} {version}" for name, version in sorted(versions.items())[::-1])
    ratio = Figure("times as fast as npm", "×", [b / a for a, b in zip(mine, theirs, strict=True)])
    return Result(
        name="inline",
        title=f"MJML to inlined HTML, one edition of {ISSUE}",
        figures=[
            Figure("ours", "ms", mine),
            Figure(f"npm {named}", "ms", theirs),
            ratio,
            Figure("ours, new process to first result", "ms", cold_mine),
            Figure("npm, new process to first result", "ms", cold_theirs),
        ],
        targets=[Target(ratio, TARGET, at_most=False)],
        notes=[
            f"A run is the median of {EDITIONS} editions, in turn, after {WARM_UP} warm-up renders each.",
            "Ours parses a style sheet once a process, npm at every render.",
            "Neither validates; both keep the style tags for the media queries.",
            f"Node {subprocess.check_output([node, '--version'], text=True).strip()}.",
        ],
    )


def sources() -> list[str]:
    """The MJML of sixteen editions of the sample issue."""
    from newsletter import Workspace
    from newsletter.editions.render import MAIL

    with workspace_folder() as folder:
        chosen = readers(folder, EDITIONS)
        with Workspace(folder) as workspace:
            composer = workspace.composer(workspace.issue(ISSUE))
            views = [composer.view(composer.signature(reader), reader, "html") for reader in chosen]
            return [workspace.templates.render(MAIL, e=view) for view in views]


class _Peer:
    """A process that renders what it is sent."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @classmethod
    @contextmanager
    def open(cls, command: Sequence[str]) -> Iterator[_Peer]:
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            yield cls(process)

    def render(self, mjml: Sequence[str]) -> list[float]:
        """Milliseconds per source."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(mjml) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a renderer of the inline benchmark ended early; see above")
        answer = json.loads(line)
        if min(answer["characters"]) < len(min(mjml, key=len)) // 2:
            raise SystemExit("a renderer of the inline benchmark made next to nothing")
        return answer["ms"]


def _cold(command: Sequence[str], mjml: str) -> float:
    begun = time.perf_counter()
    with _Peer.open(command) as peer:
        peer.render([mjml])
        return (time.perf_counter() - begun) * 1000


def _node() -> str:
    """Path of node, its packages installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise SystemExit("the inline benchmark compares with npm: install Node 22 or later")
    if not (NODE / "node_modules").is_dir():
        print("npm ci in bench/node (once, over the network) …", file=sys.stderr)
        done = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"],
            cwd=NODE,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            shutil.rmtree(NODE / "node_modules", ignore_errors=True)
            raise SystemExit(f"npm ci in bench/node failed; is there a network?\n{done.stderr}")
    return node


def _main() -> None:
    from newsletter.editions.proofread import compiled
    from newsletter.editions.render import inlined, serialised

    for line in sys.stdin:
        ms, characters = [], []
        for source in json.loads(line):
            begun = time.perf_counter()
            html = serialised(inlined(compiled(source)))
            ms.append((time.perf_counter() - begun) * 1000)
            characters.append(len(html))
        print(json.dumps({"ms": ms, "characters": characters}), flush=True)


if __name__ == "__main__":
    _main()
