"""python -m tests.reliability [--scenario NAME]… [--runs N] [--recipients N] [--write docs/reliability.md]"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGKILL

from tests.reliability.harness import WINDOW, Count, Scenario, Template, run
from tests.reliability.scenarios import BY_NAME, SCENARIOS

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=list(BY_NAME), help="only these")
    parser.add_argument("--runs", type=int, help="of each, instead of its own number")
    parser.add_argument("--recipients", type=int, default=2000)
    parser.add_argument("--write", type=Path, help="a document to put the table into")
    options = parser.parse_args()
    chosen = [BY_NAME[name] for name in options.scenario] if options.scenario else SCENARIOS
    counts: list[tuple[Scenario, Count]] = []
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder, ThreadPoolExecutor(2) as two:
        template = Template(Path(folder), options.recipients)
        for transport in {scenario.transport for scenario in chosen}:
            template.prepare(transport)
        for scenario in chosen:
            total = Count()
            seeds = range(options.runs or scenario.runs)
            for seed, one in enumerate(two.map(lambda n, s=scenario: run(s, template, n), seeds)):
                total.add(one)
                for problem in one.broken:
                    print(f"{scenario.name}, seed {seed}: {problem}", file=sys.stderr)  # noqa: T201
            counts.append((scenario, total))
            print(_row(scenario, total), flush=True)  # noqa: T201
    table = "\n".join([*_HEAD, *(_row(scenario, total) for scenario, total in counts)])
    if options.write:
        text = options.write.read_text("utf-8")
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        options.write.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", "utf-8")
    sys.exit(any(total.broken for _, total in counts))


_HEAD: Sequence[str] = (
    "| what was done | runs | kills | recipients | lost | doubled | most per kill | books |",
    "|---|---:|---:|---:|---:|---:|---:|---|",
)


def _row(scenario: Scenario, total: Count) -> str:
    most = f"{total.worst} of {WINDOW}" if total.kills and scenario.signal == SIGKILL else ""
    books = "balance" if not total.unbalanced else f"{total.unbalanced} do not balance"
    cells = [
        scenario.what,
        f"{total.runs:,}",
        f"{total.kills:,}" if total.kills else "",
        f"{total.recipients:,}",
        f"{total.lost:,}",
        f"{total.doubled:,}",
        most,
        books if not total.broken else f"{books}; {len(total.broken)} promises broken",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
