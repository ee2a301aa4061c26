"""The intake: durable before the answer, loaded once, judged with a rule."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.tracking import RawEvent, Spool, judge
from newsletter.tracking.spool import Numbers

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def raw(n: int = 1, kind: str = "click", **values: object) -> RawEvent:
    defaults: dict[str, object] = {
        "mailing": 1, "delivery": 1, "ref": 1, "at": 0.0, "method": "GET", "agent": BROWSER,
    }  # fmt: skip
    return RawEvent(n=n, kind=kind, **{**defaults, **values})  # type: ignore[arg-type]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "intake.db")
    yield opened
    opened.close()


def test_events_come_out_once_and_in_order(spool: Spool) -> None:
    events = [raw(spool.next_number(), ref=i) for i in range(1, 1201)]
    for done in [spool.put(event) for event in events]:
        done.result(timeout=10)
    taken = [event for batch in spool.batches(most=500) for event in batch]
    assert taken == events
    assert not list(spool.batches())


def test_a_batch_that_was_not_taken_in_comes_again(spool: Spool) -> None:
    spool.put(raw(1)).result(timeout=10)
    first = next(spool.batches())
    assert next(spool.batches()) == first


def test_many_threads_lose_nothing(spool: Spool) -> None:
    def put() -> None:
        for _ in range(200):
            spool.put(raw(spool.next_number())).result(timeout=10)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(batch) for batch in spool.batches()) == 1600


def test_a_file_that_cannot_be_opened_is_told_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "intake.db"
    path.mkdir()
    spool = Spool(path)
    with pytest.raises((OSError, sqlite3.Error)):
        spool.put(raw(1)).result(timeout=10)
    path.rmdir()
    spool.put(raw(2)).result(timeout=10)
    spool.close()
    assert [event.n for batch in spool.batches() for event in batch] == [2]


def test_whoever_stops_waiting_ends_nobody_elses_wait(spool: Spool) -> None:
    impatient = spool.put(raw(1))
    impatient.cancel()
    spool.put(raw(2)).result(timeout=10)
    spool.put(raw(3)).result(timeout=10)
    assert {event.n for batch in spool.batches() for event in batch} >= {2, 3}


def test_numbers_rise_and_are_never_given_twice() -> None:
    numbers = Numbers()
    given = [numbers.next() for _ in range(20_000)]
    assert given == sorted(set(given))
    assert given[-1] < 2**63


_ANSWERED = """
import os, signal, sys
from tests.tracking.test_intake import raw
from newsletter.tracking import Spool
from pathlib import Path
spool = Spool(Path(sys.argv[1]))
for i in range(1, 100000):
    spool.put(raw(i)).result()
    print(i, flush=True)
"""


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "intake.db"
    with subprocess.Popen(
        [sys.executable, "-c", _ANSWERED, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout is not None
        answered = 0
        while answered < 50:
            answered = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        answered = max([answered, *(int(line) for line in process.stdout if line.endswith("\n"))])
    there = {event.n for batch in Spool(path).batches() for event in batch}
    assert there >= set(range(1, answered + 1))


@pytest.mark.parametrize(
    ("event", "verdict", "rule"),
    [
        (raw(), "human", "browser"),
        (raw(method="HEAD"), "machine", "head-request"),
        (raw(agent=""), "machine", "no-agent"),
        (raw(agent="Mozilla/5.0 (compatible; Googlebot/2.1)"), "machine", "agent-list"),
        (raw(agent="curl/8.0"), "machine", "agent-list"),
        (raw(purpose="prefetch"), "machine", "prefetch"),
        (raw(kind="open", agent="Mozilla/5.0"), "machine", "apple-privacy"),
        (
            raw(kind="open", agent="Mozilla/5.0 (via ggpht.com GoogleImageProxy)"),
            "unknown",
            "gmail-proxy",
        ),
        (raw(kind="done", method="POST", agent=""), "human", "form"),
    ],
)
def test_verdicts_bear_the_rule_that_gave_them(event: RawEvent, verdict: str, rule: str) -> None:
    assert judge(event) == (verdict, rule)


def test_what_was_acknowledged_stays_while_other_processes_come_and_go(tmp_path: Path) -> None:
    """Closing any descriptor of a file drops every POSIX lock that the process holds on it: then SQLite
    in another process takes the log away from under the one that writes."""
    path = tmp_path / "intake.db"
    other = (
        "import sys; from newsletter.tracking import Spool; from pathlib import Path; "
        "spool = Spool(Path(sys.argv[1])); print(sum(len(batch) for batch in spool.batches()))"
    )
    spool = Spool(path)
    spool.put(raw(1, "unsubscribe")).result()
    list(spool.batches())  # as the loader of the same process does
    for number in (2, 3):
        spool.put(raw(number, "unsubscribe")).result()
        found = subprocess.run(
            [sys.executable, "-c", other, str(path)], capture_output=True, text=True, check=True
        )
        assert found.stdout == "1\n", found.stderr
    spool.close()
