"""Import, plan and send to the outbox; the reference is writing the same files and nothing else."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import people
from bench.figures import Figure, Result
from bench.sample import ISSUE, in_new_process, interleaved, workspace_folder

PEOPLE, RUNS = 10_000, 3
_BATCH = 8  # messages between two syncs of the folder, as in the outbox


def run(**_: Any) -> Result:
    """Each run is a new process with a new workspace; the reference follows each of them."""
    sizes: list[int] = []

    def mails() -> dict[str, float]:
        with workspace_folder() as folder:
            figures: dict[str, Any] = in_new_process("bench.outbox", str(folder))
        sizes[:] = figures.pop("sizes")
        return figures

    ours, bare = interleaved(mails, lambda: _bare(sizes), rounds=RUNS)
    rates = [one["rate"] for one in ours]
    return Result(
        name="outbox",
        title=f"{PEOPLE:,} people: import, plan, send to the outbox",
        figures=[
            Figure("import", "rows/s", [PEOPLE / one["import_s"] for one in ours]),
            Figure("plan", "s", [one["plan_s"] for one in ours]),
            Figure("editions", "", [one["editions"] for one in ours]),
            Figure("send", "messages/s", rates),
            Figure("bare writing of such files", "files/s", bare),
            Figure("send to bare writing", "×", [a / b for a, b in zip(rates, bare, strict=True)]),
            Figure("size of a message", "kB", [size / 1000 for size in sizes]),
            Figure("peak memory of the process", "MB", [one["peak_mb"] for one in ours]),
        ],
        notes=[
            "Bare writing: the same sizes by as many threads; write, fdatasync, rename.",
            f"It syncs the folder every {_BATCH} files, as the outbox does; it keeps no books.",
            "Both write to the temporary folder; set TMPDIR to measure another disk.",
        ],
    )


def _bare(sizes: list[int]) -> float:
    """Files a second when nothing is done but writing them safely."""
    from newsletter.delivery import OutboxTransport

    body = os.urandom(max(sizes))
    with workspace_folder() as folder, ThreadPoolExecutor(OutboxTransport.lanes) as pool:
        draft, done = folder / "draft", folder / "done"
        draft.mkdir()
        done.mkdir()

        def write(n: int) -> None:
            descriptor = os.open(draft / f"{n}.eml", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(descriptor, body[: sizes[n]])
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(draft / f"{n}.eml", done / f"{n}.eml")

        begun = time.perf_counter()
        for first in range(0, len(sizes), _BATCH):
            list(pool.map(write, range(first, min(first + _BATCH, len(sizes)))))
            descriptor = os.open(done, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        return len(sizes) / (time.perf_counter() - begun)


def _main(folder: str) -> dict[str, Any]:
    """In a new process: the whole way of one issue, each step timed."""
    from newsletter import Workspace

    source = people.write(Path(folder) / "people.csv", PEOPLE)
    with Workspace(folder, actor="bench") as workspace:
        import_s, result = _timed(lambda: workspace.import_people(source))
        plan_s, plan = _timed(lambda: workspace.plan(ISSUE))
        workspace.approve(ISSUE, plan=plan.hash)
        send_s, status = _timed(lambda: workspace.start(ISSUE))
        accepted = status["states"]["accepted"]
        if (result.added, accepted) != (PEOPLE, PEOPLE) or not workspace.audit(ISSUE)["ok"]:
            raise SystemExit(f"of {PEOPLE} people {result.added} came in, {accepted} were sent to")
        sizes = [path.stat().st_size for path in (Path(folder) / "var/outbox/new").iterdir()]
        return {
            "import_s": import_s,
            "plan_s": plan_s,
            "editions": len(plan.editions),
            "rate": accepted / send_s,
            "sizes": sizes,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        }


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = call()
    return time.perf_counter() - begun, result


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:])))
