"""Lanes at work: threads that take batches to a transport and bring outcomes back.

Knows no rows: it gets envelopes to make and gives outcomes. What a lane can't finish it gives back.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from newsletter.delivery.transports import (
    Envelope,
    Lane,
    Outcome,
    Transport,
    UnmakeableError,
    Unreachable,
)
from newsletter.errors import NewsletterError

_LONGEST_WAIT = 60.0  # seconds between two attempts to reach the other side
Job = Any  #: what the engine hands over; a lane only passes it to `make`


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a lane reports beside outcomes."""

    error: Exception
    fatal: bool  #: nobody's messages can go this way
    wait: float | None = None  #: seconds that the other side asked for


class Results:
    """What comes back, in the order in which it came: one outcome for each message. Any thread puts,
    one takes.

    Not `queue.SimpleQueue`: in CPython 3.11 its `get` with a timeout waits for ever when a signal's
    handler ran longer than the timeout.
    """

    def __init__(self) -> None:
        self._items: deque[Outcome | Trouble] = deque()
        self._bell = threading.Lock()  # locked while there is nothing new
        self._bell.acquire()
        self._waiting = False

    def put(self, item: Outcome | Trouble) -> None:
        self._items.append(item)
        if self._waiting:
            with suppress(RuntimeError):  # somebody else has rung already
                self._bell.release()

    def get_nowait(self) -> Outcome | Trouble:
        """Raises queue.Empty."""
        try:
            return self._items.popleft()
        except IndexError:
            raise queue.Empty from None

    def get(self, timeout: float) -> Outcome | Trouble:
        """The next one, within so many seconds. Raises queue.Empty, also a little too early."""
        self._waiting = True  # before the look, so that nothing comes in between unheard
        try:
            if not self._items:
                self._bell.acquire(timeout=timeout)
        finally:
            self._waiting = False
        return self.get_nowait()

    def empty(self) -> bool:
        return not self._items


class Courier(Protocol):
    """Takes batches to the other side and brings outcomes back; started once, ended once.

    `Lanes` is one for every transport. A transport may bring its own with a method `courier(make)`.
    """

    @property
    def results(self) -> Results:
        """What comes back."""

    def start(self) -> None: ...

    def put(self, batch: Sequence[Job]) -> None:
        """Hand over a batch; the next free lane takes it."""

    def backlog(self) -> int:
        """How many batches wait for a lane."""

    def take_back(self) -> int:
        """Return what no lane has begun as `unsent`; for stopping. Returns how many."""

    def stop(self) -> None:
        """End after what is in hand; lanes that wait for the other side end now."""

    def abort(self) -> None:
        """Cut the connections: whatever is on its way ends now, deferred or uncertain."""

    def join(self, seconds: float) -> bool:
        """Wait for the end; False when something is still at work."""


class Lanes:
    """A thread for each lane."""

    def __init__(self, transport: Transport, make: Callable[[Job], Envelope]) -> None:
        """`make` turns a job (with an attribute `n`) into an envelope, on the thread of a lane; what
        it raises rejects that message alone."""
        self.transport = transport
        self.make = make
        self.results = Results()
        self._work: queue.SimpleQueue[Sequence[Job] | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lanes: list[Lane] = []

    def start(self) -> None:
        for n in range(self.transport.lanes):
            lane = self.transport.lane()
            self._lanes.append(lane)
            thread = threading.Thread(
                target=self._run, args=(lane,), name=f"{self.transport.name}-{n + 1}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def put(self, batch: Sequence[Job]) -> None:
        """Hand over a batch; the next free lane takes it."""
        self._work.put(batch)

    def backlog(self) -> int:
        """How many batches wait for a lane."""
        return self._work.qsize()

    def take_back(self) -> int:
        """Return what no lane has begun as `unsent`; for stopping. Returns how many."""
        count = 0
        while True:
            try:
                batch = self._work.get_nowait()
            except queue.Empty:
                return count
            for job in batch or ():
                self.results.put(Outcome(job.n, "unsent"))
                count += 1

    def stop(self) -> None:
        """End the threads after what they have in hand; lanes that wait for the other side end now."""
        self._stop.set()
        for _ in self._threads:
            self._work.put(None)

    def abort(self) -> None:
        """Cut the connections: whatever is on its way ends now, deferred or uncertain."""
        self.stop()
        for lane in self._lanes:
            if cut := getattr(lane, "abort", None):
                cut()

    def join(self, seconds: float) -> bool:
        """Wait for the threads; False when one is still at work."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, lane: Lane) -> None:
        failures = 0
        try:
            while (batch := self._work.get()) is not None:
                wait = self._deliver(lane, batch)
                if wait is None:
                    failures = 0
                    continue
                failures += 1
                self._stop.wait(wait or longest_wait(failures))
        finally:
            lane.close()

    def _deliver(self, lane: Lane, batch: Sequence[Job]) -> float | None:
        """Returns None when all went well, else the seconds that the other side asked to wait."""
        left: dict[int, None] = {job.n: None for job in batch}
        put = self.results.put
        envelopes: list[Envelope] = []
        for job in batch:
            try:
                envelopes.append(self.make(job))
            except Exception as error:  # noqa: BLE001  (one person must never stop the rest)
                answer = f"the message can't be made: {type(error).__name__}: {error}"
                left.pop(job.n)
                put(Outcome(job.n, "rejected", "", answer))
        if not envelopes:
            return None
        rest: str = "uncertain"
        trouble: Trouble | None = None
        try:
            for outcome in lane.send(envelopes):
                if left.pop(outcome.n, self) is None:
                    put(outcome)
        except UnmakeableError as error:
            left.pop(error.n, None)
            put(Outcome(error.n, "rejected", "", str(error)))
            rest = "unsent"
        except Unreachable as error:
            rest, trouble = "unsent", Trouble(error, fatal=False, wait=error.wait)
        except NewsletterError as error:
            rest, trouble = "unsent", Trouble(error, fatal=True)
        except Exception as error:  # noqa: BLE001  (a mistake of ours or of a plug-in: stop, say so)
            trouble = Trouble(error, fatal=True)
        if trouble:  # before the outcomes, so that the engine does not hand them out again at once
            put(trouble)
        for n in left:
            put(Outcome(n, rest))  # type: ignore[arg-type]
        return None if trouble is None else trouble.wait or 0.0


def longest_wait(failures: int) -> float:
    """Seconds that a lane rests after so many failures in a row to reach the other side."""
    return min(_LONGEST_WAIT, 0.1 * 2.0 ** min(failures, 12))
