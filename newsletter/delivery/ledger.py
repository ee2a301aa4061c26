"""The ledger: one row per (mailing, subscriber), exactly one state, every change in a transaction.

`handed` is committed before the first byte of a message leaves. Whoever changes no row sends
nothing. The whole table of states is design §5.5; this file is the only one that writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from newsletter.audience import why_not
from newsletter.db.schema import delivery, mailing, mailing_edition, subscriber
from newsletter.delivery.transports import Outcome
from newsletter.errors import NotFoundError

STATES = (
    "planned",
    "claimed",
    "handed",
    "accepted",
    "rejected",
    "deferred",
    "uncertain",
    "skipped",
    "cancelled",
)
LEASE = timedelta(minutes=15)  #: far longer than a batch takes; after it an owner counts as dead
OPEN = ("planned", "claimed", "handed", "deferred")  #: a finished mailing has none of these


@dataclass(frozen=True, slots=True)
class Recipient:
    """A hand-out: whom, what, and what the footer says of them."""

    n: int
    edition: int  #: mailing_edition.n
    address: str  #: local part as written, domain as IDNA
    name: str
    consent_at: datetime | None
    consent_source: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What an owner had in hand when it was last seen."""

    owner: str
    numbers: list[int]
    lease_until: datetime | None


class Ledger:
    """The rows of one mailing."""

    def __init__(self, mailing_id: int, owner: str) -> None:
        """`owner` names this process: its rows are its own while it lives."""
        self.mailing = mailing_id
        self.owner = owner
        self._row = delivery.c.mailing == mailing_id

    def settle(self, connection: sa.Connection, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Write down what became of messages that this owner had handed over."""
        if not outcomes:
            return
        statement = (
            delivery.update()
            .where(
                self._row,
                delivery.c.n == sa.bindparam("row"),
                delivery.c.state == "handed",
                delivery.c.owner == self.owner,
            )
            .values(
                state=sa.bindparam("to"),
                code=sa.bindparam("with_code"),
                answer=sa.bindparam("with_answer"),
                settled_at=now,
                owner=None,
            )
        )
        connection.execute(
            statement,
            [
                {
                    "row": outcome.n,
                    "to": outcome.state,
                    "with_code": outcome.code or None,
                    "with_answer": outcome.answer or None,
                }
                for outcome in outcomes
            ],
        )

    def hand_out(
        self,
        connection: sa.Connection,
        *,
        after: int,
        most: int,
        now: datetime,
        consent_required: bool,
    ) -> tuple[list[Recipient], int]:
        """The next recipients, marked `handed`, and the last number looked at.

        Each person is looked at again: who may no longer be mailed becomes `skipped`.
        """
        rows = connection.execute(
            sa.select(
                delivery.c.n,
                delivery.c.edition,
                subscriber.c.address,
                subscriber.c.domain,
                subscriber.c.name,
                subscriber.c.consent_at,
                subscriber.c.consent_source,
                subscriber.c.created_at,
                subscriber.c.id,
                why_not(now=now, consent_required=consent_required).label("why_not"),
            )
            .select_from(
                delivery.outerjoin(subscriber, subscriber.c.id == delivery.c.subscriber_id)
            )
            .where(self._row, delivery.c.n > after, delivery.c.state == "planned")
            .order_by(delivery.c.n)
            .limit(most)
            # on PostgreSQL two processes take different rows; SQLite has one writer anyway
            .with_for_update(skip_locked=True, of=delivery)
        ).all()
        skipped = [
            {"row": row.n, "why": "erased" if row.id is None else row.why_not}
            for row in rows
            if row.id is None or row.why_not
        ]
        going = [row for row in rows if row.id is not None and not row.why_not]
        if skipped:
            connection.execute(
                delivery.update()
                .where(
                    self._row,
                    delivery.c.n == sa.bindparam("row"),
                    delivery.c.state == "planned",
                )
                .values(state="skipped", reason=sa.bindparam("why"), settled_at=now),
                skipped,
            )
        if going:
            handed = (
                delivery.update()
                .where(
                    self._row,
                    delivery.c.n.in_([row.n for row in going]),
                    delivery.c.state == "planned",
                )
                .values(
                    state="handed",
                    owner=self.owner,
                    lease_until=now + LEASE,
                    handed_at=now,
                    attempts=delivery.c.attempts + 1,
                )
                .returning(delivery.c.n)
            )
            mine = set(connection.scalars(handed))
            going = [row for row in going if row.n in mine]  # who changes no row sends nothing
        recipients = [
            Recipient(
                n=row.n,
                edition=row.edition,
                address=f"{row.address.rpartition('@')[0]}@{row.domain}",
                name=row.name,
                consent_at=row.consent_at,
                consent_source=row.consent_source,
                created_at=row.created_at,
            )
            for row in going
        ]
        return recipients, rows[-1].n if rows else after

    def left_behind(self, connection: sa.Connection) -> list[LeftBehind]:
        """Rows that are `claimed` or `handed`, by their owner, with the last of its leases."""
        found: dict[str, LeftBehind] = {}
        for n, owner, lease in connection.execute(
            sa.select(delivery.c.n, delivery.c.owner, delivery.c.lease_until).where(
                self._row, delivery.c.state.in_(("claimed", "handed"))
            )
        ):
            left = found.setdefault(owner or "", LeftBehind(owner or "", [], lease))
            left.numbers.append(n)
        return list(found.values())

    def recover(
        self, connection: sa.Connection, owner: str, took: dict[int, bool | None], now: datetime
    ) -> None:
        """Settle a dead owner's rows: taken ones are accepted, untaken ones planned again, and what
        the transport can't tell is uncertain."""
        for n, answer in took.items():
            values: dict[str, Any] = {"state": "planned", "owner": None}
            if answer is None:
                values = {"state": "uncertain", "owner": None, "settled_at": now}
            elif answer:
                values = {"state": "accepted", "owner": None, "settled_at": now}
            connection.execute(
                delivery.update()
                .where(self._row, delivery.c.n == n, delivery.c.owner == owner)
                .where(delivery.c.state.in_(("claimed", "handed")))
                .values(**values)
            )


def state_counts(connection: sa.Connection, mailing_id: int) -> dict[str, int]:
    """How many deliveries of a mailing are in each state; every state is named."""
    counted: dict[str, int] = dict(
        tuple(row)
        for row in connection.execute(
            sa.select(delivery.c.state, sa.func.count())
            .where(delivery.c.mailing == mailing_id)
            .group_by(delivery.c.state)
        )
    )
    return {state: counted.get(state, 0) for state in STATES}


def edition_counts(connection: sa.Connection, mailing_id: int) -> dict[str, dict[str, int]]:
    """The same per edition id."""
    counts: dict[str, dict[str, int]] = {}
    for edition, state, number in connection.execute(
        sa.select(mailing_edition.c.edition, delivery.c.state, sa.func.count())
        .join(
            delivery,
            sa.and_(
                delivery.c.mailing == mailing_edition.c.mailing,
                delivery.c.edition == mailing_edition.c.n,
            ),
        )
        .where(mailing_edition.c.mailing == mailing_id)
        .group_by(mailing_edition.c.edition, delivery.c.state)
    ):
        counts.setdefault(edition, {})[state] = number
    return counts


def mailing_row(connection: sa.Connection, mailing_id: int) -> sa.Row[Any]:
    """Raises NotFoundError."""
    row = connection.execute(sa.select(mailing).where(mailing.c.id == mailing_id)).first()
    if row is None:
        raise NotFoundError(f"there is no mailing {mailing_id}")
    return row
