"""The intake: an event is durable before its response is sent, even while the database is busy.

A file of its own, because one shared with the sender made clicks wait for its commits. One writer
thread takes what has come in and commits it together; whoever waits is told after the commit.
"""

from __future__ import annotations

import json
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from newsletter.errors import NewsletterError
from newsletter.files import make_private

_MOST_WAITING = 10_000  #: events in memory; beyond it the next one is refused
_MOST_TOGETHER = 500  #: events a commit


@dataclass(frozen=True, slots=True)
class RawEvent:
    """Something that came back, as it came; no verdict yet. No address of anybody is kept."""

    n: int  #: unique over all machines: milliseconds since 1970, machine bits, counter
    mailing: int
    delivery: int
    kind: str  #: open | click | done | not_for_me | undo | unsubscribe | resubscribe
    ref: int | None  #: number of the link or action
    at: float  #: seconds since 1970, UTC
    method: str  #: of the HTTP request
    agent: str  #: the user agent, cut at 200 characters
    purpose: str = ""  #: of a prefetch: the header Purpose or Sec-Purpose


_Entry = tuple[RawEvent, Future[None]]


class SpoolFullError(NewsletterError):
    """No place in memory for another event; whoever brings it must come again."""


def _tell(batch: Sequence[_Entry], error: Exception | None) -> None:
    for _, done in batch:
        if not done.set_running_or_notify_cancel():
            continue  # nobody waits any more; the event is on the disk all the same
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


class Numbers:
    """Event numbers: 41 bits of milliseconds, 10 of this process, 12 of a counter; always rising."""

    def __init__(self) -> None:
        self._process = secrets.randbelow(1 << 10)
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        with self._lock:
            earliest = (int(time.time() * 1000) << 22) | (self._process << 12)
            same_millisecond = earliest >> 22 <= self._last >> 22
            self._last = self._last + 1 if same_millisecond else earliest
            return self._last


class Spool:
    """Durable, ordered, bounded. `put` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: queue.Queue[_Entry | None] = queue.Queue(_MOST_WAITING)
        self._numbers = Numbers()
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()

    def next_number(self) -> int:
        """A number for a new event."""
        return self._numbers.next()

    def put(self, event: RawEvent) -> Future[None]:
        """Queue an event; the future is done when it is on the disk, or fails when it can't be.

        Never blocks: raises SpoolFullError when the disk is so far behind that memory is used up.
        """
        with self._lock:
            if self._writer is None or not self._writer.is_alive():
                self._writer = threading.Thread(target=self._write, name="spool", daemon=True)
                self._writer.start()
        done: Future[None] = Future()
        try:
            self._queue.put_nowait((event, done))
        except queue.Full:
            raise SpoolFullError("events come in faster than the disk takes them") from None
        return done

    def close(self) -> None:
        """Write what is queued, then end the writer."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer:
            self._queue.put(None)
            writer.join()

    def _write(self) -> None:
        """The writer: whatever goes wrong is told to those who wait, and the next batch is tried
        with a fresh connection."""
        connection: sqlite3.Connection | None = None
        ended = False
        while not ended:
            batch, ended = self._next_batch()
            try:
                if connection is None:
                    connection = self._open()
                self._commit(connection, [event for event, _ in batch])
            except (sqlite3.Error, OSError) as error:
                if connection is not None:
                    connection.close()
                connection = None
                _tell(batch, error)
            else:
                _tell(batch, None)
        if connection is not None:
            connection.close()

    def _next_batch(self) -> tuple[list[_Entry], bool]:
        """What waits, at least one entry, and whether the end has come."""
        batch: list[_Entry] = []
        entry = self._queue.get()
        while entry is not None:
            batch.append(entry)
            if len(batch) == _MOST_TOGETHER or self._queue.empty():
                return batch, False
            entry = self._queue.get_nowait()
        return batch, True

    @staticmethod
    def _commit(connection: sqlite3.Connection, events: Sequence[RawEvent]) -> None:
        rows = [(event.n, json.dumps(asdict(event))) for event in events]
        with connection:
            connection.executemany("INSERT OR IGNORE INTO spool (n, event) VALUES (?, ?)", rows)

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        make_private(self.path)
        connection = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS spool (n INTEGER PRIMARY KEY, event TEXT NOT NULL)"
        )
        connection.commit()
        return connection

    # -- taking out ----------------------------------------------------------------------------

    def batches(self, most: int = 5_000) -> Iterator[list[RawEvent]]:
        """Events in order of arrival, in batches; a batch leaves the spool when the next is asked
        for, so that whoever fails in between gets it again."""
        if not self.path.exists():
            return
        with closing(self._open()) as connection:
            while rows := connection.execute(
                "SELECT n, event FROM spool ORDER BY n LIMIT ?", (most,)
            ).fetchall():
                yield [_event(json.loads(text)) for _, text in rows]
                with connection:
                    connection.executemany("DELETE FROM spool WHERE n = ?", [(n,) for n, _ in rows])


def _event(values: dict[str, Any]) -> RawEvent:
    known = RawEvent.__dataclass_fields__
    return RawEvent(**{name: value for name, value in values.items() if name in known})
