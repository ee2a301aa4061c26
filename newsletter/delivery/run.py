"""One run of one mailing: turn by turn, results into the ledger and messages out of it.

The engine prepares it; this is the hot path. What it knows of the transport is its courier.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from newsletter.audience import log as write_log
from newsletter.db.schema import mailing
from newsletter.delivery.canary import Canary
from newsletter.delivery.lanes import Courier, Lanes, Trouble
from newsletter.delivery.ledger import (
    LEASE,
    OPEN,
    Claim,
    Recipient,
    cancel_open,
    mailing_row,
    sent_lately,
    state_counts,
)
from newsletter.delivery.pacing import Pacing, Pool
from newsletter.delivery.progress import Progress
from newsletter.delivery.transports import Envelope, Letter, Outcome
from newsletter.errors import RefusedError, TransportError
from newsletter.text import masked

if TYPE_CHECKING:
    from newsletter.delivery.engine import Engine

log = logging.getLogger(__name__)

POLL = 0.25  #: seconds after which another process's pause or cancel is noticed at the latest
_GATHER = 0.02  # seconds that a result may wait for others to be written down with
_NAPS = 0.0005, 0.002  # seconds between two looks at the results meanwhile
_PATIENCE = 60.0  # seconds for a database that is locked or full, before a run gives up
_HURRY = 3.0  # the same once it was asked to stop


class Job(NamedTuple):
    """What a lane makes an envelope of."""

    n: int
    recipient: Recipient
    letter: Letter


class Run:
    """One run of one mailing: its claims, its messages on the way, its clock.

    Memory changes only after the commit that it follows from.
    """

    def __init__(self, engine: Engine, mailing_id: int) -> None:
        self.engine = engine
        self.mailing = mailing_id
        self.ledger = engine.ledger(mailing_id)
        self.pacing = Pacing(engine.settings)
        courier = getattr(engine.transport, "courier", None)
        self.lanes: Courier = (
            courier(self._envelope) if courier else Lanes(engine.transport, self._envelope)
        )
        self.writer = engine.database.writer()
        self.letters: dict[int, Letter] = {}
        transport = engine.transport
        # a courier of its own deals messages out one by one: no need to cut them up for it
        batch = engine.window if courier else transport.batch
        self.pool = Pool(self.pacing, batch=batch, one_edition=transport.one_edition)
        self.flying: dict[int, Recipient] = {}  # handed out, not yet reported
        self.unwritten: list[tuple[Recipient, Outcome]] = []  # reported, not yet committed
        self.after = 0  # rows up to here have been claimed
        self.exhausted = False  # nothing planned is left to claim
        self.recent: deque[str] = deque(maxlen=500)  # states of the last messages taken or refused
        self.next_look = 0.0  # monotonic
        self.renewed = time.monotonic()
        self.paused = False  # by somebody; the run stays and waits
        self.ending = ""  # why the run ends before the mailing does
        self.fatal: Exception | None = None
        self.unreachable_since: float | None = None
        self.rates: deque[tuple[float, int]] = deque()
        self.taken = 0

    # -- the sequence ----------------------------------------------------------------------------

    def to_the_end(self) -> dict[str, int]:
        """Send what can be sent; returns how many deliveries are in each state."""
        engine = self.engine
        engine.begin(self.mailing)
        try:
            self._prepare()
            self.lanes.start()
            try:
                while not self._over():
                    self._collect()
                    self._turn()
                    self._tell()
            finally:
                self.lanes.stop()
                self.lanes.join(5)
        finally:
            self._leave()
        if self.fatal:
            raise self.fatal
        return self._finish()

    def _prepare(self) -> None:
        engine = self.engine
        self.letters = engine.letters(self.mailing)
        with engine.database.read() as connection:
            row = mailing_row(connection, self.mailing)
            counts = state_counts(connection, self.mailing)
            if longest := self.pacing.longest:
                self.pacing.remember(sent_lately(connection, longest, datetime.now(UTC)))
        total = sum(counts.values())
        self.progress = Progress(total, total - sum(counts[state] for state in OPEN))
        self.canary = Canary.of(row, engine.settings)
        not_after = row.options.get("not_after")
        self.not_after = datetime.fromisoformat(not_after) if not_after else None

    def _over(self) -> bool:
        if self.engine.stop.asked:
            self.ending = self.ending or "stopped"
            if self.engine.stop.at_once:
                self.lanes.abort()
        if self.fatal or self.ending:
            self.lanes.take_back()
            return not self.flying and not self.unwritten and self.lanes.results.empty()
        if self.flying or self.unwritten or self.pool or not self.exhausted or self.paused:
            return False
        return self._nothing_left()

    def _nothing_left(self) -> bool:
        """Whether the mailing is through, when all that was claimed is settled."""
        now = datetime.now(UTC)
        if self.canary:
            self._canary(now)
            return False
        with self.engine.database.read() as connection:
            again = self.ledger.next_attempt(connection)
            counts = state_counts(connection, self.mailing)
        if counts["planned"]:  # given back by others meanwhile
            self.after, self.exhausted = 0, False
            return False
        if again is None:
            return True
        waiting = counts["deferred"] + counts["uncertain"]
        self.progress.waiting = f"{waiting} to try again, next at {again:%H:%M:%S} UTC"
        self.engine.stop.wait(min(POLL, max(0.0, (again - now).total_seconds())))
        return False

    def _canary(self, now: datetime) -> None:
        """The canary is out: wait, judge it, and go on with the rest or hold it."""
        canary = self.canary
        assert canary is not None
        if canary.until is None or now < canary.until:
            if canary.until is None:
                with self.engine.database.write() as connection:
                    canary.wait(connection, now)
            self.progress.waiting = (
                f"the canary is out; the rest waits till {canary.until:%H:%M} UTC"
            )
            self.engine.stop.wait(POLL)
            return
        with self.engine.database.write() as connection:
            verdict = canary.judge(connection)
            if verdict is None:
                canary.passed(connection)
            else:
                self._halt(connection, "held", verdict)
        if verdict is None:
            self.canary, self.after, self.exhausted = None, 0, False
            self.progress.waiting = ""

    # -- what comes back -------------------------------------------------------------------------

    def _collect(self) -> None:
        """Take in what the lanes report; wait for it when there is nothing else to do."""
        results = self.lanes.results
        timeout = self._idle()
        try:
            self._take_in(results.get(timeout=timeout) if timeout else results.get_nowait())
            # A turn costs the same for one result as for many: gather while no lane runs dry.
            until = time.monotonic() + _GATHER
            while (
                len(self.unwritten) < self.engine.window // 2
                and self.lanes.backlog() > self.engine.transport.lanes // 3
                and time.monotonic() < until
            ):
                # woken for each result, this thread would take time from the lanes
                time.sleep(min(_NAPS[1], max(_NAPS[0], 2 / (self.progress.rate or 1e6))))
                while not results.empty():
                    self._take_in(results.get_nowait())
            while True:
                self._take_in(results.get_nowait())
        except queue.Empty:
            return

    def _idle(self) -> float:
        """Seconds that the loop may wait for a result."""
        if self._quiet() or (self.exhausted and not self.pool):
            return POLL
        if not self.pool and not self.exhausted:
            return 0.0
        if self.engine.window - len(self.flying) < self.pool.step:
            return POLL
        return min(POLL, self.pacing.wait() or (0.05 if self.pool.blocked else 0.0))

    def _take_in(self, result: Outcome | Trouble) -> None:
        if isinstance(result, Trouble):
            self._trouble(result)
            return
        recipient = self.flying.pop(result.n, None)
        if recipient is None:
            log.warning("m%d n%d was reported more than once", self.mailing, result.n)
            return
        self.pacing.landed(recipient.domain)
        self.unwritten.append((recipient, result))
        if result.state in ("accepted", "rejected"):
            self.unreachable_since = None
            self.progress.waiting = ""
            self.taken += 1
            self.recent.append(result.state)
        elif result.state == "deferred" and _wants_less(result.code):
            self.pacing.slow_down(self.progress.rate)

    def _trouble(self, trouble: Trouble) -> None:
        log.debug("m%d a lane: %s", self.mailing, trouble.error)
        if trouble.fatal:
            self.fatal = self.fatal or trouble.error
            return
        self.progress.waiting = str(trouble.error)
        if trouble.wait is not None:
            self.pacing.rest(trouble.wait)
            self.pacing.slow_down(self.progress.rate)
            return
        now = time.monotonic()
        self.unreachable_since = self.unreachable_since or now
        if now - self.unreachable_since >= self.engine.settings.unreachable_for:
            self.fatal = self.fatal or TransportError(
                f"{trouble.error}. What was not sent stays planned; start again when it is back"
            )

    # -- a turn ----------------------------------------------------------------------------------

    def _quiet(self) -> bool:
        """Whether nothing may be handed out now."""
        return bool(
            self.paused
            or self.ending
            or self.fatal
            or self.engine.stop.asked
            or (self.canary and self.canary.until)
        )

    def _turn(self) -> None:
        """One transaction: results in, hand-outs and claims out. The hot path."""
        looks = time.monotonic() >= self.next_look
        batches: list[list[Claim]] = []
        hungry = False
        if not self._quiet():
            batches = self.pool.pick(self.engine.window - len(self.flying))
            hungry = self.pool.hungry and not self.exhausted
        self.pool.more = not self.exhausted
        if not (self.unwritten or batches or hungry or looks):
            return
        try:
            turn = self._committed(batches, hungry=hungry, looks=looks)
        except BaseException:
            self.pool.put_back(batches)
            raise
        self._remember(turn)
        people = {one.n: one for one in turn.handed}
        for batch in batches:
            jobs = [
                Job(claim.n, people[claim.n], self.letters[people[claim.n].edition])
                for claim in batch
                if claim.n in people
            ]
            if jobs:
                self.flying.update((job.n, job.recipient) for job in jobs)
                self.lanes.put(jobs)

    def _committed(self, batches: list[list[Claim]], *, hungry: bool, looks: bool) -> _Turn:
        """The turn's transaction, tried again while the database is locked or the disk full."""
        begun = time.monotonic()
        for attempt in range(1_000_000):
            try:
                return self._transaction(batches, hungry=hungry, looks=looks)
            except RefusedError as error:  # nothing has left for it; what flies goes on flying
                stop = self.engine.stop
                patience = _HURRY if stop.asked else _PATIENCE
                if time.monotonic() - begun >= patience or stop.at_once:
                    raise
                self.progress.waiting = str(error)
                self.engine.progress(self.progress)
                time.sleep(min(1.0, 0.02 * 2 ** min(attempt, 10)))
        raise AssertionError

    def _transaction(self, batches: list[list[Claim]], *, hungry: bool, looks: bool) -> _Turn:
        turn, ledger, engine = _Turn(), self.ledger, self.engine
        now = datetime.now(UTC)
        with self.writer.write() as connection:
            if self.unwritten:
                turn.written = ledger.settle(
                    connection,
                    self.unwritten,
                    now,
                    retries=engine.retries,
                    in_doubt=engine.transport.in_doubt,
                )
            if looks:
                self._look(connection, now, turn)
            if batches and turn.state in ("", "running"):
                rows = [claim.n for batch in batches for claim in batch]
                turn.handed, turn.skipped = ledger.hand_out(connection, rows, now)
            elif batches:
                turn.not_handed = batches
            if hungry:
                found = ledger.claim(
                    connection, after=self.after, only=self.canary.only if self.canary else None
                )
                turn.claimed += found
                turn.exhausted = not found
                turn.after = max([self.after, *(claim.n for claim in found)])
        return turn

    def _look(self, connection: sa.Connection, now: datetime, turn: _Turn) -> None:
        """Four times a second: what others decided, what is due again, whether we still own this."""
        row = connection.execute(
            sa.select(mailing.c.state, mailing.c.note).where(mailing.c.id == self.mailing)
        ).one()
        turn.state, turn.note = row.state, row.note or ""
        if time.monotonic() - self.renewed > LEASE.total_seconds() / 3:
            turn.lost = not self.ledger.renew(connection, now)
            self.renewed = time.monotonic()
        if row.state != "running":
            return
        if why := self._must_halt(now):
            state, note = why
            self._halt(connection, state, note)
            turn.state, turn.note = state, note
            return
        if not self._quiet():
            self.ledger.expire(connection, now)
            turn.claimed += self.ledger.claim_due(connection, now)

    def _must_halt(self, now: datetime) -> tuple[str, str] | None:
        """The state and the sentence, when this run has to end itself."""
        settings = self.engine.settings
        if self.not_after and now > self.not_after:
            return "held", f"it is later than {self.not_after:%Y-%m-%d %H:%M} UTC, its --not-after"
        if len(self.recent) >= settings.pause_after:
            refused = sum(state == "rejected" for state in self.recent)
            if refused > settings.pause_at * len(self.recent):
                return (
                    "paused",
                    (
                        f"{refused} of the last {len(self.recent)} messages were refused, more than "
                        f"{settings.pause_at:.0%} (sending.pause_at)"
                    ),
                )
        return None

    def _halt(self, connection: sa.Connection, state: str, note: str) -> None:
        connection.execute(
            mailing.update().where(mailing.c.id == self.mailing).values(state=state, note=note)
        )
        write_log(connection, "engine", state, str(self.mailing), {"why": note})
        self.ending = state

    def _remember(self, turn: _Turn) -> None:
        """What the commit made true."""
        for (recipient, _), outcome in zip(self.unwritten, turn.written, strict=True):
            self.progress.count(recipient.domain, outcome.state)
            self._log(outcome, recipient.address)
            if outcome.state == "unsent":
                self.pool.put_back([[Claim(outcome.n, recipient.edition, recipient.domain)]])
        self.unwritten = []
        if turn.state:
            self.next_look = time.monotonic() + POLL
            self._obey(turn)
        if turn.not_handed:
            self.pool.put_back(turn.not_handed)
        self.progress.settled += len(turn.skipped)
        for n, why in turn.skipped.items():
            log.debug("m%d n%d claimed -> skipped (%s)", self.mailing, n, why)
        self.pool.add(turn.claimed)
        self.exhausted = self.exhausted or turn.exhausted
        self.after = max(self.after, turn.after)

    def _obey(self, turn: _Turn) -> None:
        if turn.lost:
            self.fatal = self.fatal or RefusedError(
                f"mailing {self.mailing} was taken over by another process"
            )
        was = self.paused
        self.paused = turn.state == "paused" and not self.ending
        if self.paused:
            self.progress.waiting = f"paused: {turn.note}" if turn.note else "paused"
        elif was:
            self.progress.waiting = ""
        if turn.state not in ("running", "paused") and not self.ending:
            self.ending = turn.state

    def _log(self, outcome: Outcome, address: str) -> None:
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "m%d n%d handed -> %s %s %s (%s)",
                self.mailing,
                outcome.n,
                outcome.state,
                outcome.code,
                outcome.answer,
                masked(address),
            )

    def _tell(self) -> None:
        """Progress, with the rate of the last seconds."""
        now = time.monotonic()
        if not self.rates or now - self.rates[-1][0] >= 0.1:
            self.rates.append((now, self.taken))
            while len(self.rates) > 2 and now - self.rates[0][0] > 5:
                self.rates.popleft()
            (first, before), (last, count) = self.rates[0], self.rates[-1]
            self.progress.rate = (count - before) / (last - first) if last > first else 0.0
            self.engine.progress(self.progress)

    def _envelope(self, job: Job) -> Envelope:
        values, sender = self.engine.stamp(self.mailing, job.recipient)
        return Envelope(self.mailing, job.n, sender, job.recipient.address, job.letter, values)

    # -- the end ---------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Write down what is known, give back what was not sent."""
        self.lanes.take_back()
        while not self.lanes.results.empty():
            self._take_in(self.lanes.results.get_nowait())
        now = datetime.now(UTC)
        engine = self.engine
        try:
            with self.writer.write() as connection:
                self.ledger.settle(
                    connection,
                    self.unwritten,
                    now,
                    retries=engine.retries,
                    in_doubt=engine.transport.in_doubt,
                )
                self.ledger.leave(connection)
                if mailing_row(connection, self.mailing).state == "cancelled":
                    cancel_open(connection, self.mailing, now)
        except RefusedError as error:  # the next start finds a dead owner and recovers
            if not self.fatal:
                self.fatal = error
        self.writer.close()
        self.unwritten = []

    def _finish(self) -> dict[str, int]:
        with self.engine.database.write() as connection:
            counts = state_counts(connection, self.mailing)
            row = mailing_row(connection, self.mailing)
            if row.state == "running" and not sum(counts[state] for state in OPEN):
                connection.execute(
                    mailing.update()
                    .where(mailing.c.id == self.mailing)
                    .values(state="done", finished_at=datetime.now(UTC))
                )
                write_log(connection, self.engine.actor, "done", str(self.mailing), counts)
        if row.state in ("paused", "held") and self.ending == row.state:
            raise RefusedError(f"mailing {self.mailing} is {row.state}: {row.note}")
        return counts


@dataclass(slots=True)
class _Turn:
    """What one transaction did, for memory to follow after its commit."""

    written: list[Outcome] = field(default_factory=list)
    handed: list[Recipient] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    not_handed: list[list[Claim]] = field(default_factory=list)
    claimed: list[Claim] = field(default_factory=list)
    exhausted: bool = False
    after: int = 0
    state: str = ""  #: of the mailing, when it was looked at
    note: str = ""
    lost: bool = False  #: somebody else has the lease


def _wants_less(code: str) -> bool:
    """Whether a temporary failure is about how much we send, not about one mailbox."""
    return code.startswith(("421", "429", "454")) or " 4.7." in f" {code}" or "4.3.2" in code
