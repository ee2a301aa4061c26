"""The engine: takes an approved mailing from the ledger to a transport, turn by turn.

Each turn is one transaction that writes down the last results and hands out the next messages; only
after its commit does anything leave. Killed at any moment, the next start knows what is certain.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import sqlalchemy as sa

from newsletter.audience import log as write_log
from newsletter.config import SendingSettings
from newsletter.db import Database
from newsletter.db.schema import archive, edition, mailing, mailing_edition
from newsletter.delivery.fence import Fence
from newsletter.delivery.ledger import (
    Ledger,
    Recipient,
    mailing_row,
    owners,
    state_counts,
)
from newsletter.delivery.owners import at_work, lives, new_owner
from newsletter.delivery.progress import Progress, Stop
from newsletter.delivery.retries import Retries
from newsletter.delivery.run import POLL, Run
from newsletter.delivery.transports import Letter, Transport
from newsletter.editions import Skeleton, mailbox
from newsletter.errors import RefusedError

log = logging.getLogger(__name__)

AHEAD = (
    2  #: batches handed out for each lane: one at work, one waiting, so that no lane waits for us
)


class Stamp(Protocol):
    """Plain values by slot name, and the envelope sender, of one delivery; the tracking part knows
    what they mean."""

    def __call__(self, mailing: int, recipient: Recipient) -> tuple[Mapping[str, str], str]: ...


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
        self.owner = new_owner()
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
        at_work.add(self.owner)
        try:
            return Run(self, mailing_id).to_the_end()
        finally:
            at_work.discard(self.owner)

    def _due(self, mailing_id: int, send_at: datetime) -> bool:
        """Wait for the time of a scheduled mailing; False when it was asked to stop, or cancelled."""
        with self.database.read() as connection:
            waiting = Progress(sum(state_counts(connection, mailing_id).values()))
        waiting.waiting = f"scheduled for {send_at:%Y-%m-%d %H:%M} UTC"
        while (left := (send_at - datetime.now(UTC)).total_seconds()) > 0:
            self.progress(waiting)
            if self.stop.wait(min(left, 4 * POLL)):
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
            if lives(owner, until, now):
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
        with self.database.read() as connection:
            options = mailing_row(connection, mailing_id).options
        return Ledger(
            mailing_id,
            self.owner,
            dialect,
            consent_required=self.consent_required,
            service=options.get("service", ""),
        )

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
