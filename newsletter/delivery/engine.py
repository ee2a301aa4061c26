"""The engine: takes an approved mailing from the ledger to a transport, turn by turn.

Each turn is one transaction that writes down the last results and hands out the next messages; only
after its commit does anything leave. Killed at any moment, the next start knows what is certain.
"""

from __future__ import annotations

import logging
import os
import queue
import secrets
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

from newsletter.audience import log as write_log
from newsletter.config import SendingSettings
from newsletter.db import Database
from newsletter.db.schema import archive, edition, mailing, mailing_edition
from newsletter.delivery.canary import Canary
from newsletter.delivery.fence import Fence
from newsletter.delivery.lanes import Courier, Lanes, Trouble
from newsletter.delivery.ledger import (
    LEASE,
    OPEN,
    Claim,
    Ledger,
    Recipient,
    cancel_open,
    mailing_row,
    owners,
    sent_lately,
    state_counts,
)
from newsletter.delivery.pacing import Pacing, Pool
from newsletter.delivery.retries import Retries
from newsletter.delivery.transports import Envelope, Letter, Outcome, Transport
from newsletter.editions import Skeleton, mailbox
from newsletter.errors import RefusedError, TransportError
from newsletter.text import masked

log = logging.getLogger(__name__)

AHEAD = (
    2  #: batches handed out for each lane: one at work, one waiting, so that no lane waits for us
)
POLL = 0.25  #: seconds after which another process's pause or cancel is noticed at the latest
_MOST_DOMAINS = 1000  # counted apart; the rest together, so that memory stays bounded
_GATHER = 0.02  # seconds that a result may wait for others to be written down with
_PATIENCE = 60.0  # seconds for a database that is locked or full, before a run gives up
_HURRY = 3.0  # the same once it was asked to stop

_at_work: set[str] = set()  #: owners whose engine runs in this process right now


class Stamp(Protocol):
    """Plain values by slot name, and the envelope sender, of one delivery; the tracking part knows
    what they mean."""

    def __call__(self, mailing: int, recipient: Recipient) -> tuple[Mapping[str, str], str]: ...


@dataclass(slots=True)
class Progress:
    """How far a run is. One object, changed as the run goes on."""

    total: int  #: deliveries of the mailing
    settled: int = 0  #: of them, also by earlier runs
    rate: float = 0.0  #: messages a second, of the last seconds
    accepted: int = 0  #: of this run, as the next three
    rejected: int = 0
    deferred: int = 0
    uncertain: int = 0
    domains: dict[str, Counter[str]] = field(default_factory=dict)  #: states by recipient domain
    waiting: str = ""  #: what the run waits for, as a clause; empty while it sends

    @property
    def eta(self) -> float | None:
        """Seconds, None while nothing moves."""
        return (self.total - self.settled) / self.rate if self.rate else None

    def count(self, domain: str, state: str) -> None:
        """One outcome."""
        if state not in ("accepted", "rejected", "deferred", "uncertain"):
            return
        setattr(self, state, getattr(self, state) + 1)
        if state in ("accepted", "rejected"):
            self.settled += 1
        if domain not in self.domains and len(self.domains) >= _MOST_DOMAINS:
            domain = "other domains"
        self.domains.setdefault(domain, Counter())[state] += 1


class Stop:
    """A request to end a run: at first gently, so that nothing is left in doubt."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.at_once = threading.Event()

    def __call__(self) -> None:
        """Ask; asked a second time, connections are cut."""
        (self.at_once if self.asked.is_set() else self.asked).set()


class Job(NamedTuple):
    """What a lane makes an envelope of."""

    n: int
    recipient: Recipient
    letter: Letter


class Engine:
    """Sends one mailing. `run` may be called again after any failure."""

    def __init__(
        self,
        database: Database,
        transport: Transport,
        stamp: Stamp,
        *,
        settings: SendingSettings,
        consent_required: bool,
        actor: str,
        fence: Fence | None = None,
        progress: Callable[[Progress], None] | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.database = database
        self.transport = transport
        self.stamp = stamp
        self.settings = settings
        self.retries = Retries.of(settings)
        self.consent_required = consent_required
        self.actor = actor
        self.fence = fence
        self.progress = progress or (lambda _: None)
        self.stop = stop or Stop()
        self.owner = f"{_host()}:{os.getpid()}:{_started(os.getpid())}:{secrets.token_hex(4)}"
        self.window = transport.lanes * transport.batch * AHEAD

    def run(self, mailing_id: int) -> dict[str, int]:
        """Send what is planned; returns the number of deliveries in each state.

        Returns early when it was asked to stop or the mailing was cancelled. Raises RefusedError
        when the mailing may not be sent or was paused by itself, TransportError when the way out
        fails; every row then has a state from which the next run goes on.
        """
        with self.database.read() as connection:
            row = mailing_row(connection, mailing_id)
            if row.state == "done":
                return state_counts(connection, mailing_id)
        _may_run(row)
        if row.send_at is not None and not self._due(mailing_id, row.send_at):
            with self.database.read() as connection:
                return state_counts(connection, mailing_id)
        self.transport.check()
        _at_work.add(self.owner)
        try:
            return _Run(self, mailing_id).to_the_end()
        finally:
            _at_work.discard(self.owner)

    def _due(self, mailing_id: int, send_at: datetime) -> bool:
        """Wait for the time of a scheduled mailing; False when it was asked to stop, or cancelled."""
        with self.database.read() as connection:
            waiting = Progress(sum(state_counts(connection, mailing_id).values()))
        waiting.waiting = f"scheduled for {send_at:%Y-%m-%d %H:%M} UTC"
        while (left := (send_at - datetime.now(UTC)).total_seconds()) > 0:
            self.progress(waiting)
            if self.stop.asked.wait(min(left, 4 * POLL)):
                return False
            with self.database.read() as connection:
                if mailing_row(connection, mailing_id).state != "approved":
                    return False
        return True

    def begin(self, mailing_id: int) -> None:
        """Take the mailing: nobody else may send it from now on. Recovers what dead ones left."""
        ledger = self.ledger(mailing_id)
        with self.database.read() as connection:
            there = owners(connection, mailing_id)
        now = datetime.now(UTC)
        for owner, until in there.items():
            if _lives(owner, until, now):
                host, pid = owner.split(":")[:2]
                raise RefusedError(
                    f"mailing {mailing_id} is being sent by process {pid} on {host.partition('/')[0]}. "
                    f"If that one is dead, start again after {until:%H:%M} UTC"
                )
        with self.database.write() as connection:
            # on PostgreSQL this row is the lock that two starts at once queue up for
            row = connection.execute(
                sa.select(mailing).where(mailing.c.id == mailing_id).with_for_update()
            ).one()
            _may_run(row)
            if set(owners(connection, mailing_id)) - set(there):
                raise RefusedError(f"mailing {mailing_id} was started by another process just now")
            breach = self.fence.breach(connection) if self.fence else None
            if breach is None:
                epoch = self.fence.raise_epoch(connection) if self.fence else 0
                ledger.begin(connection, now)
                connection.execute(
                    mailing.update()
                    .where(mailing.c.id == mailing_id)
                    .values(
                        state="running",
                        note=None,
                        started_at=sa.func.coalesce(mailing.c.started_at, now),
                    )
                )
                if row.issue:
                    connection.execute(
                        archive.update()
                        .where(archive.c.issue == row.issue, archive.c.published_at.is_(None))
                        .values(published_at=now)
                    )
                write_log(connection, self.actor, "start", str(mailing_id), {"owner": self.owner})
            else:
                hold_all(connection, breach)
        if breach is not None:
            raise RefusedError(
                f"nothing is sent: {breach}. All plans are held. If this place should send, and no "
                f"other one does: newsletter send resume {row.issue or mailing_id} --i-know"
            )
        if self.fence:
            self.fence.follow(epoch)
        self._recover(ledger, set(there))

    def ledger(self, mailing_id: int) -> Ledger:
        dialect = self.database.engine.dialect
        return Ledger(mailing_id, self.owner, dialect, consent_required=self.consent_required)

    def _recover(self, ledger: Ledger, dead: set[str]) -> None:
        """Rows that dead processes left: ask the transport what became of each handed one."""
        with self.database.read() as connection:
            left = ledger.left_behind(connection)
        for owner in dead | set(left):
            took = {n: self.transport.took(ledger.mailing, n) for n in left.get(owner, ())}
            with self.database.write() as connection:
                ledger.take_over(
                    connection, owner, took, datetime.now(UTC), in_doubt=self.transport.in_doubt
                )
            for n, answer in took.items():
                log.debug("m%d n%d handed by a dead process, taken: %s", ledger.mailing, n, answer)

    def letters(self, mailing_id: int) -> dict[int, Letter]:
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(
                    mailing_edition.c.n,
                    edition.c.id,
                    edition.c.nonce,
                    edition.c.subject,
                    edition.c.html,
                    edition.c.text,
                    edition.c.message,
                )
                .join(edition, edition.c.id == mailing_edition.c.edition)
                .where(mailing_edition.c.mailing == mailing_id)
            )
            return {row.n: letter(row) for row in rows}


class _Run:
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
        self.letters: dict[int, Letter] = {}
        transport = engine.transport
        self.pool = Pool(self.pacing, batch=transport.batch, one_edition=transport.one_edition)
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
        if self.engine.stop.asked.is_set():
            self.ending = self.ending or "stopped"
            if self.engine.stop.at_once.is_set():
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
        self.engine.stop.asked.wait(min(POLL, max(0.0, (again - now).total_seconds())))
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
            self.engine.stop.asked.wait(POLL)
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
                and (left := until - time.monotonic()) > 0
            ):
                self._take_in(results.get(timeout=left))
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
            or self.engine.stop.asked.is_set()
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
                patience = _HURRY if stop.asked.is_set() else _PATIENCE
                if time.monotonic() - begun >= patience or stop.at_once.is_set():
                    raise
                self.progress.waiting = str(error)
                self.engine.progress(self.progress)
                time.sleep(min(1.0, 0.02 * 2 ** min(attempt, 10)))
        raise AssertionError

    def _transaction(self, batches: list[list[Claim]], *, hungry: bool, looks: bool) -> _Turn:
        turn, ledger, engine = _Turn(), self.ledger, self.engine
        now = datetime.now(UTC)
        with engine.database.write() as connection:
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
            self._take_in(self.lanes.results.get())
        now = datetime.now(UTC)
        engine = self.engine
        try:
            with engine.database.write() as connection:
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


def _may_run(row: sa.Row[Any]) -> None:
    if row.state not in ("approved", "running"):
        note = f": {row.note}" if row.note else ""
        raise RefusedError(f"mailing {row.id} is {row.state}{note}; it can't be started")


def hold_all(connection: sa.Connection, why: str) -> None:
    """Hold every mailing that could be sent."""
    connection.execute(
        mailing.update()
        .where(mailing.c.state.in_(("approved", "running", "paused")))
        .values(state="held", note=why)
    )


def letter(row: Any) -> Letter:
    """An edition's row, or an edition, as delivery knows it."""
    return Letter(
        edition=row.id,
        nonce=row.nonce,
        subject=row.subject,
        html=row.html,
        text=row.text,
        skeleton=Skeleton.cut(row.message, row.nonce),
    )


def to_header(name: str, address: str) -> str:
    """The value of the `to` slot: one mailbox, RFC 2047 encoded, folded if long."""
    return mailbox(name[:64], address, "To")


def _wants_less(code: str) -> bool:
    """Whether a temporary failure is about how much we send, not about one mailbox."""
    return code.startswith(("421", "429", "454")) or " 4.7." in f" {code}" or "4.3.2" in code


def _host() -> str:
    """This machine, and the name space that process numbers belong to."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116
    except OSError:
        space = 0
    return f"{socket.gethostname()}/{space}"


def _started(pid: int) -> str:
    """When a process began, in ticks since boot: a number that was given again is another one."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _lives(owner: str, until: datetime, now: datetime) -> bool:
    """Whether an owner may still be at work: on this machine its process runs, elsewhere its lease."""
    host, pid, started, _ = (*owner.split(":"), "", "", "")[:4]
    if host != _host() or not pid.isdigit():
        return until > now
    if int(pid) == os.getpid():
        return owner in _at_work
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not started or _started(int(pid)) in ("", started)
