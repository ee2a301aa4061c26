"""What lanes bring back: in order, across threads, and whatever signals come meanwhile."""

from __future__ import annotations

import queue
import signal
import threading
import time
from typing import Any

import pytest

from newsletter.delivery import Outcome
from newsletter.delivery.lanes import Results


def test_results_come_in_the_order_in_which_they_were_put() -> None:
    results = Results()
    for n in range(3):
        results.put(Outcome(n, "accepted"))
    assert [results.get(timeout=60).n for _ in range(3)] == [0, 1, 2]  # type: ignore[union-attr]
    assert results.empty()
    with pytest.raises(queue.Empty):
        results.get_nowait()
    with pytest.raises(queue.Empty):
        results.get(timeout=0.001)


def test_nothing_is_lost_between_threads() -> None:
    results, most = Results(), 20_000

    def put(first: int) -> None:
        for n in range(first, most, 4):
            results.put(Outcome(n, "accepted"))

    threads = [threading.Thread(target=put, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    found: list[Any] = []
    while len(found) < most:
        try:
            found.append(results.get(timeout=5))
        except queue.Empty:
            continue
    for thread in threads:
        thread.join()
    assert sorted(one.n for one in found) == list(range(most))


def test_a_signal_whose_handler_takes_longer_than_the_timeout_does_not_end_the_waiting() -> None:
    """`queue.SimpleQueue` of CPython 3.11 would wait for ever."""

    def slow(_number: int, _frame: Any) -> None:
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            pass

    before = signal.signal(signal.SIGALRM, slow)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        with pytest.raises(queue.Empty):
            Results().get(timeout=0.03)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
