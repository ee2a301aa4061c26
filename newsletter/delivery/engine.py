"""The engine: takes an approved mailing from the ledger to a transport, turn by turn.

Each turn is one transaction that writes down the last results and hands out the next messages; only
after its commit does anything leave. Killed at any moment, the next start knows what is certain.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from newsletter.audience import log
from newsletter.db import Database
from newsletter.db.schema import archive, edition, mailing, mailing_edition
from newsletter.delivery.ledger import (
    OPEN,
    Ledger,
    LeftBehind,
    Recipient,
    mailing_row,
    state_counts,
)
from newsletter.delivery.transports import Envelope, Outcome, Transport
from newsletter.editions import Skeleton, encode, mailbox
from newsletter.errors import RefusedError, TransportError

_at_work: set[str] = set()  #: owners whose engine runs in this process right now
WINDOW = 64  #: messages handed out in a turn: so many can be in doubt after a kill

#: Plain values by slot name for (mailing, recipient); the tracking part knows what they mean.
Stamp = Callable[[int, Recipient], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a mailing is; `rate` is messages a second of this run."""

    total: int
    settled: int
    rate: float


class Engine:
    """Sends one mailing. `run` may be called again after any failure."""

    def __init__(
        self,
        database: Database,
        transport: Transport,
        stamp: Stamp,
        *,
        consent_required: bool,
        actor: str,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.database = database
        self.transport = transport
        self.stamp = stamp
        self.consent_required = consent_required
        self.actor = actor
        self.progress = progress or (lambda _: None)
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    def run(self, mailing_id: int) -> dict[str, int]:
        """Send what is planned; returns the number of deliveries in each state.

        Raises RefusedError when the mailing may not be sent, TransportError when the way out fails;
        every row then has a state from which the next run goes on.
        """
        self.transport.check()
        _at_work.add(self.owner)
        try:
            return self._run(mailing_id)
        finally:
            _at_work.discard(self.owner)

    def _run(self, mailing_id: int) -> dict[str, int]:
        ledger = Ledger(mailing_id, self.owner)
        with self.database.write() as connection:
            row = mailing_row(connection, mailing_id)
            if row.state == "done":
                return state_counts(connection, mailing_id)
            if row.state not in ("approved", "running"):
                raise RefusedError(f"mailing {mailing_id} is {row.state}, not approved")
            now = datetime.now(UTC)
            self._begin(connection, row, now)
            skeletons = self._skeletons(connection, mailing_id)
        self._recover(ledger)
        self._send(ledger, skeletons)
        return self._finish(mailing_id)

    def _begin(self, connection: sa.Connection, row: sa.Row[Any], now: datetime) -> None:
        connection.execute(
            mailing.update()
            .where(mailing.c.id == row.id)
            .values(state="running", started_at=sa.func.coalesce(mailing.c.started_at, now))
        )
        if row.issue:
            connection.execute(
                archive.update()
                .where(archive.c.issue == row.issue, archive.c.published_at.is_(None))
                .values(published_at=now)
            )
        log(connection, self.actor, "start", str(row.id), {"owner": self.owner})

    @staticmethod
    def _skeletons(connection: sa.Connection, mailing_id: int) -> dict[int, Skeleton]:
        return {
            row.n: Skeleton.cut(row.message, row.nonce)
            for row in connection.execute(
                sa.select(mailing_edition.c.n, edition.c.message, edition.c.nonce)
                .join(edition, edition.c.id == mailing_edition.c.edition)
                .where(mailing_edition.c.mailing == mailing_id)
            )
        }

    def _recover(self, ledger: Ledger) -> None:
        """Rows that a dead process left `handed`: ask the transport what became of each."""
        with self.database.read() as connection:
            left_behind = ledger.left_behind(connection)
        now = datetime.now(UTC)
        for left in left_behind:
            if _lives(left, now):
                host, pid = left.owner.split(":")[:2]
                until = f"{left.lease_until:%H:%M} UTC" if left.lease_until else "later"
                raise RefusedError(
                    f"mailing {ledger.mailing} is being sent by process {pid} on {host}. "
                    f"If that one is dead, start again after {until}"
                )
            took = {
                n: self.transport.took(Envelope(ledger.mailing, n, "", b"")) for n in left.numbers
            }
            with self.database.write() as connection:
                ledger.recover(connection, left.owner, took, now)

    def _send(self, ledger: Ledger, skeletons: Mapping[int, Skeleton]) -> None:
        """The hot path: about 0.1 ms a message of our own, the rest is the transport's."""
        outcomes: Sequence[Outcome] = ()
        after = 0
        begun, sent = time.monotonic(), 0
        with self.database.read() as connection:
            counts = state_counts(connection, ledger.mailing)
        total = sum(counts.values())
        before = total - _open(counts)
        while True:
            now = datetime.now(UTC)
            with self.database.write() as connection:
                ledger.settle(connection, outcomes, now)
                if self._stopped(connection, ledger.mailing):
                    return
                recipients, last = ledger.hand_out(
                    connection,
                    after=after,
                    most=WINDOW,
                    now=now,
                    consent_required=self.consent_required,
                )
            sent += len(outcomes)
            self.progress(Progress(total, before + sent, sent / (time.monotonic() - begun or 1)))
            if last == after:
                return
            after = last
            batch, broken = self._batch(ledger.mailing, recipients, skeletons)
            try:
                outcomes = [*broken, *self.transport.send(batch)]
            except TransportError:
                self._give_back(ledger, batch, broken)
                raise

    def _batch(
        self, mailing_id: int, recipients: Sequence[Recipient], skeletons: Mapping[int, Skeleton]
    ) -> tuple[list[Envelope], list[Outcome]]:
        """Complete messages, and the outcomes of those that can't be made: one person whose name or
        address is beyond us must never stop the rest."""
        batch: list[Envelope] = []
        broken: list[Outcome] = []
        for person in recipients:
            if not person.address.isascii():
                answer = "the address needs SMTPUTF8, which this way out does not offer"
                broken.append(Outcome(person.n, "rejected", "553 5.6.7", answer))
                continue
            try:
                message = self._message(mailing_id, person, skeletons[person.edition])
            except Exception as error:  # noqa: BLE001
                answer = f"the message can't be made: {type(error).__name__}: {error}"
                broken.append(Outcome(person.n, "rejected", "", answer))
            else:
                batch.append(Envelope(mailing_id, person.n, person.address, message))
        return batch, broken

    @staticmethod
    def _stopped(connection: sa.Connection, mailing_id: int) -> bool:
        return bool(mailing_row(connection, mailing_id).state != "running")

    def _give_back(
        self, ledger: Ledger, batch: Sequence[Envelope], broken: Sequence[Outcome]
    ) -> None:
        took = {envelope.n: self.transport.took(envelope) for envelope in batch}
        with self.database.write() as connection:
            now = datetime.now(UTC)
            ledger.settle(connection, broken, now)
            ledger.recover(connection, self.owner, took, now)

    def _message(self, mailing_id: int, recipient: Recipient, skeleton: Skeleton) -> bytes:
        return fill_message(skeleton, self.stamp(mailing_id, recipient))

    def _finish(self, mailing_id: int) -> dict[str, int]:
        with self.database.write() as connection:
            counts = state_counts(connection, mailing_id)
            row = mailing_row(connection, mailing_id)
            if row.state == "running" and not _open(counts):
                now = datetime.now(UTC)
                connection.execute(
                    mailing.update()
                    .where(mailing.c.id == mailing_id)
                    .values(state="done", finished_at=now)
                )
                log(connection, self.actor, "done", str(mailing_id), counts)
        return counts


def _open(counts: Mapping[str, int]) -> int:
    return sum(counts[state] for state in OPEN)


def _lives(left: LeftBehind, now: datetime) -> bool:
    """Whether the owner may still be at work: its lease runs, and on this machine its process does."""
    host, _, rest = left.owner.partition(":")
    if not rest or left.lease_until is None or left.lease_until <= now:
        return False
    if host != socket.gethostname():
        return True
    pid = int(rest.partition(":")[0])
    if pid == os.getpid():
        return left.owner in _at_work
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def fill_message(skeleton: Skeleton, values: Mapping[str, str]) -> bytes:
    """A message with its slots filled from plain values by slot name."""
    return skeleton.splice(
        {(name, context): encode(values[name], context) for name, context in skeleton.keys}  # type: ignore[arg-type]
    )


def to_header(name: str, address: str) -> str:
    """The value of the `to` slot: one mailbox, RFC 2047 encoded, folded if long."""
    return mailbox(name[:64], address, "To")
