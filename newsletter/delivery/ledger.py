"""The ledger: one row per (mailing, subscriber), exactly one state, every change in a transaction.

`handed` is committed before the first byte of a message leaves. Whoever changes no row sends
nothing. The whole table of states is design §5.5; this file is the only one that writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from newsletter.audience import why_not, why_not_service
from newsletter.db.prepared import (
    Prepared,
    as_json,
    found,
    json_rows,
    numbers,
    read_rows,
    read_time,
    time,
)
from newsletter.db.schema import UTCTime, delivery, lease, mailing, mailing_edition, subscriber
from newsletter.delivery.retries import Retries
from newsletter.delivery.transports import InDoubt, Outcome
from newsletter.errors import NotFoundError, RefusedError

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
OPEN = ("planned", "claimed", "handed", "deferred")  #: a finished mailing has none of these
LEASE = timedelta(minutes=15)  #: of an owner; renewed while it lives
EXPIRED, REFUSED = "expired", "refused"  #: why a delivery is rejected
_FEW = 4
CLAIM = 1000  #: rows that are claimed at a time: no message can be lost or doubled by them


class Recipient(NamedTuple):  # made for every message: a tuple is made in a third of the time
    """A hand-out: whom, what, and what the footer says of them."""

    n: int
    edition: int  #: mailing_edition.n
    address: str  #: local part as written, domain as IDNA
    domain: str
    name: str
    consent_at: datetime | None
    consent_source: str
    created_at: datetime
    attempts: int  #: this one among them
    expires_at: datetime | None


class Claim(NamedTuple):
    """A row that is reserved, before anybody looks at the person."""

    n: int
    edition: int
    domain: str


class Ledger:
    """The rows of one mailing, for one owner.

    The statements are built once: building one costs more than executing it, and a turn of the
    engine is a millisecond.
    """

    def __init__(
        self,
        mailing_id: int,
        owner: str,
        dialect: sa.Dialect,
        *,
        consent_required: bool,
        service: str = "",
    ) -> None:
        """`owner` names this process: its rows are its own while its lease runs. `service` is the kind
        of a service mailing, which has rules of its own for who may get it."""
        self.mailing = mailing_id
        self.owner = owner
        self._row = delivery.c.mailing == mailing_id
        self._dialect = dialect
        now = sa.bindparam("now", type_=UTCTime, required=False)
        against = (
            why_not_service(service, now=now)
            if service
            else why_not(now=now, consent_required=consent_required)
        )
        among = delivery.c.n.in_(numbers(dialect, "rows"))
        self._people = Prepared(
            as_json(
                dialect,
                sa.select(
                    delivery.c.n,
                    delivery.c.edition,
                    delivery.c.attempts,
                    delivery.c.expires_at,
                    subscriber.c.id,
                    subscriber.c.address,
                    subscriber.c.domain,
                    subscriber.c.name,
                    subscriber.c.consent_at,
                    subscriber.c.consent_source,
                    subscriber.c.created_at,
                    against.label("why_not"),
                )
                .select_from(
                    delivery.outerjoin(subscriber, subscriber.c.id == delivery.c.subscriber_id)
                )
                .where(self._row, among, *self._mine()),
            ),
            dialect,
        )
        self._take = Prepared(
            delivery.update()
            .where(self._row, among)
            .values(state="claimed", owner=self.owner, next_at=None),
            dialect,
        )
        handed = (
            delivery.update()
            .where(self._row, among, *self._mine())
            .values(state="handed", handed_at=now, attempts=delivery.c.attempts + 1)
        )
        self._hand = Prepared(handed, dialect)
        self._skip = (
            delivery.update()
            .where(self._row, delivery.c.n == sa.bindparam("row"), *self._mine())
            .values(state="skipped", reason=sa.bindparam("why"), settled_at=now, owner=None)
        )
        code, answer = (found(dialect, "results", delivery.c.n, cell) for cell in (0, 1))
        self._accept = Prepared(
            delivery.update()
            .where(self._row, among, *self._handed_by_me())
            .values(
                state="accepted",
                code=sa.func.nullif(code, ""),
                answer=sa.func.nullif(answer, ""),
                settled_at=now,
                owner=None,
            ),
            dialect,
        )
        self._accept_same = Prepared(
            delivery.update()
            .where(self._row, among, *self._handed_by_me())
            .values(
                state="accepted",
                code=sa.bindparam("with_code"),
                answer=sa.bindparam("with_answer"),
                settled_at=now,
                owner=None,
            ),
            dialect,
        )
        self._fail = (
            delivery.update()
            .where(self._row, delivery.c.n == sa.bindparam("row"), *self._handed_by_me())
            .values(
                state=sa.bindparam("to"),
                code=sa.bindparam("with_code"),
                answer=sa.bindparam("with_answer"),
                settled_at=now,
                owner=None,
                reason=sa.bindparam("why"),
                next_at=sa.bindparam("again", type_=UTCTime),
                expires_at=sa.bindparam("until", type_=UTCTime),
            )
        )

    def _mine(self) -> tuple[sa.ColumnElement[bool], ...]:
        return delivery.c.state == "claimed", delivery.c.owner == self.owner

    def _handed_by_me(self) -> tuple[sa.ColumnElement[bool], ...]:
        return delivery.c.state == "handed", delivery.c.owner == self.owner

    # -- leases ----------------------------------------------------------------------------------

    def renew(self, connection: sa.Connection, now: datetime) -> bool:
        """Keep this owner's lease, or take it; False when somebody took it away meanwhile."""
        done = connection.execute(
            lease.update().where(lease.c.owner == self.owner).values(until=now + LEASE)
        )
        return bool(done.rowcount)

    def begin(self, connection: sa.Connection, now: datetime) -> None:
        connection.execute(
            lease.insert(),
            {"owner": self.owner, "mailing": self.mailing, "until": now + LEASE},
        )

    def leave(self, connection: sa.Connection) -> None:
        """Give back what was claimed and not sent, and the lease."""
        connection.execute(
            delivery.update().where(self._row, *self._mine()).values(state="planned", owner=None)
        )
        connection.execute(lease.delete().where(lease.c.owner == self.owner))

    # -- the way of a row ------------------------------------------------------------------------

    def claim(
        self, connection: sa.Connection, *, after: int, only: sa.ColumnElement[bool] | None
    ) -> list[Claim]:
        """The next planned rows, reserved for this owner. `only` narrows them (a canary)."""
        where = [self._row, delivery.c.n > after, delivery.c.state == "planned"]
        if only is not None:
            where.append(only)
        return self._claim(connection, where, delivery.c.n, {})

    def claim_due(self, connection: sa.Connection, now: datetime) -> list[Claim]:
        """Rows whose next attempt is due."""
        where = [
            self._row,
            delivery.c.next_at <= sa.bindparam("now", type_=UTCTime, required=False),
            delivery.c.state.in_(("deferred", "uncertain")),
        ]
        return self._claim(connection, where, delivery.c.next_at, {"now": time(self._dialect, now)})

    def _claim(
        self,
        connection: sa.Connection,
        where: Sequence[sa.ColumnElement[bool]],
        order: sa.ColumnElement[Any],
        values: Mapping[str, Any],
    ) -> list[Claim]:
        statement = (
            sa.select(delivery.c.n, delivery.c.edition, subscriber.c.domain)
            .select_from(
                delivery.outerjoin(subscriber, subscriber.c.id == delivery.c.subscriber_id)
            )
            .where(*where)
            .order_by(order)
            .limit(CLAIM)
            # on PostgreSQL two owners take different rows; SQLite has one writer anyway
            .with_for_update(skip_locked=True, of=delivery)
        )
        found = Prepared(as_json(self._dialect, statement), self._dialect)
        rows = read_rows(found.run(connection, values))
        if rows:
            self._take.run(connection, {"rows": json_rows([n for n, _, _ in rows])})
        return [Claim(n, edition, domain or "") for n, edition, domain in rows]

    def expire(self, connection: sa.Connection, now: datetime) -> int:
        """Reject the deferred ones whose time to try again is over; returns how many."""
        done = connection.execute(
            delivery.update()
            .where(
                self._row,
                delivery.c.next_at.is_not(None),
                delivery.c.expires_at <= now,
                delivery.c.state == "deferred",
            )
            .values(state="rejected", reason=EXPIRED, settled_at=now, next_at=None)
        )
        return done.rowcount

    def next_attempt(self, connection: sa.Connection) -> datetime | None:
        """When the next row is due, None when none waits."""
        due: datetime | None = connection.scalar(
            sa.select(sa.func.min(delivery.c.next_at)).where(
                self._row, delivery.c.next_at.is_not(None)
            )
        )
        return due

    def hand_out(
        self, connection: sa.Connection, rows: Sequence[int], now: datetime
    ) -> tuple[list[Recipient], dict[int, str]]:
        """Mark claimed rows `handed`; returns them, and the reasons of those that became `skipped`.

        Each person is looked at again: who may no longer be mailed is skipped.
        """
        at = time(self._dialect, now)
        people = read_rows(self._people.run(connection, {"rows": json_rows(rows), "now": at}))
        skipped: dict[int, str] = {}
        going: list[Recipient] = []
        for row in people:
            n, edition, attempts, expires_at, person, *known, why = row
            if person is None or why:
                skipped[n] = why if person is not None else "erased"
                continue
            address, domain, name, consent_at, source, created_at = known
            going.append(
                Recipient(
                    n=n,
                    edition=edition,
                    address=f"{address.rpartition('@')[0]}@{domain}",
                    domain=domain,
                    name=name,
                    consent_at=_read_time(consent_at),
                    consent_source=source,
                    created_at=_read_time(created_at),  # type: ignore[arg-type]
                    attempts=attempts + 1,
                    expires_at=_read_time(expires_at),
                )
            )
        if skipped:
            connection.execute(
                self._skip, [{"row": n, "why": why, "now": now} for n, why in skipped.items()]
            )
        if going:
            mine = json_rows([one.n for one in going])
            done = self._hand.run(connection, {"rows": mine, "now": at}).rowcount
            if done != len(going):
                # on PostgreSQL somebody took some of them between the two statements: all or none
                raise RefusedError(f"{len(going) - done} rows were taken over by another process")
        return going, skipped

    def settle(
        self,
        connection: sa.Connection,
        outcomes: Sequence[tuple[Recipient, Outcome]],
        now: datetime,
        *,
        retries: Retries,
        in_doubt: InDoubt,
    ) -> list[Outcome]:
        """Write down what became of messages that this owner had handed over; returns the outcomes
        as they were written: a `deferred` one whose time is over is `rejected`."""
        accepted: list[tuple[int, str, str]] = []
        failed: list[dict[str, Any]] = []
        unsent: list[int] = []
        written: list[Outcome] = []
        for recipient, outcome in outcomes:
            if outcome.state == "accepted":
                accepted.append((outcome.n, outcome.code, outcome.answer[:500]))
            elif outcome.state == "unsent":
                unsent.append(outcome.n)
            else:
                verdict = retries.after(outcome.state, recipient, now, in_doubt=in_doubt)
                failed.append(
                    {
                        "row": outcome.n,
                        "to": verdict.state,
                        "with_code": outcome.code or None,
                        "with_answer": outcome.answer[:500] or None,
                        "now": now,
                        "why": verdict.reason,
                        "again": verdict.next_at,
                        "until": verdict.expires_at,
                    }
                )
                outcome = outcome._replace(state=verdict.state)  # noqa: PLW2901
            written.append(outcome)
        self._accepted(connection, accepted, time(self._dialect, now))
        if failed:
            connection.execute(self._fail, failed)
        if unsent:
            connection.execute(
                delivery.update()
                .where(
                    self._row,
                    delivery.c.n.in_(unsent),
                    delivery.c.state == "handed",
                    delivery.c.owner == self.owner,
                )
                .values(state="claimed", attempts=delivery.c.attempts - 1)
            )
        return written

    def _accepted(
        self, connection: sa.Connection, accepted: Sequence[tuple[int, str, str]], at: Any
    ) -> None:
        """A thousand people of one request have one answer, messages by SMTP one each."""
        together: dict[tuple[str, str], list[int]] = {}
        for n, code, answer in accepted:
            together.setdefault((code, answer), []).append(n)
        alone: list[tuple[int, str, str]] = []
        for (code, answer), rows in together.items():
            if len(rows) < _FEW:
                alone += [(n, code, answer) for n in rows]
                continue
            same = {"with_code": code or None, "with_answer": answer or None, "now": at}
            self._accept_same.run(connection, {"rows": json_rows(rows), **same})
        # each row is looked up among the results: few at a time
        for some in _chunks(alone, 8 * _FEW):
            results = json_rows({n: (code, answer) for n, code, answer in some})
            among = json_rows([n for n, _, _ in some])
            self._accept.run(connection, {"rows": among, "results": results, "now": at})

    # -- what others left ------------------------------------------------------------------------

    def left_behind(self, connection: sa.Connection) -> dict[str, list[int]]:
        """Delivery numbers that other owners have `handed`, by owner."""
        found: dict[str, list[int]] = {}
        for n, owner in connection.execute(
            sa.select(delivery.c.n, delivery.c.owner).where(
                self._row, delivery.c.state == "handed", delivery.c.owner != self.owner
            )
        ):
            found.setdefault(owner, []).append(n)
        return found

    def take_over(
        self,
        connection: sa.Connection,
        owner: str,
        took: Mapping[int, bool | None],
        now: datetime,
        *,
        in_doubt: InDoubt,
    ) -> None:
        """Settle the rows of an owner that is dead. What was only claimed is planned again; of what
        was handed, taken ones are accepted, untaken ones planned again, and what the transport
        can't tell is uncertain: planned again at once if it may be resent."""
        theirs = self._row & (delivery.c.owner == owner)
        connection.execute(
            delivery.update()
            .where(theirs, delivery.c.state == "claimed")
            .values(state="planned", owner=None)
        )
        by_state: dict[str, list[int]] = {}
        for n, answer in took.items():
            state = "uncertain" if answer is None else "accepted" if answer else "planned"
            by_state.setdefault(state, []).append(n)
        for state, rows in by_state.items():
            values: dict[str, Any] = {"state": state, "owner": None}
            if state != "planned":
                values |= {"settled_at": now, "answer": "the sender was killed"}
            if state == "uncertain" and in_doubt == "resend":
                values |= {"next_at": now}
            for chunk in _chunks(rows):
                connection.execute(
                    delivery.update()
                    .where(theirs, delivery.c.state == "handed", delivery.c.n.in_(chunk))
                    .values(**values)
                )
        connection.execute(lease.delete().where(lease.c.owner == owner))


def owners(connection: sa.Connection, mailing_id: int) -> dict[str, datetime]:
    """Who has a lease on rows of a mailing, and until when."""
    return dict(
        tuple(row)
        for row in connection.execute(
            sa.select(lease.c.owner, lease.c.until).where(lease.c.mailing == mailing_id)
        )
    )


def cancel_open(connection: sa.Connection, mailing_id: int, now: datetime) -> int:
    """Take back every delivery that has not left yet; returns how many."""
    done = connection.execute(
        delivery.update()
        .where(
            delivery.c.mailing == mailing_id,
            delivery.c.state.in_(("planned", "claimed", "deferred")),
        )
        .values(state="cancelled", owner=None, next_at=None, settled_at=now)
    )
    return done.rowcount


def resolve(connection: sa.Connection, mailing_id: int, *, resend: bool, now: datetime) -> int:
    """Decide about the uncertain deliveries: send them again, or let them be; returns how many."""
    values: dict[str, Any] = {"next_at": None, "owner": None}
    values |= {"state": "planned"} if resend else {"state": "skipped", "reason": "in_doubt"}
    done = connection.execute(
        delivery.update()
        .where(delivery.c.mailing == mailing_id, delivery.c.state == "uncertain")
        .values(settled_at=now, **values)
    )
    return done.rowcount


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


def domain_counts(
    connection: sa.Connection, mailing_id: int, most: int = 10
) -> dict[str, dict[str, int]]:
    """The same per recipient domain, the largest first."""
    counts: dict[str, dict[str, int]] = {}
    for domain, state, number in connection.execute(
        sa.select(subscriber.c.domain, delivery.c.state, sa.func.count())
        .join(delivery, delivery.c.subscriber_id == subscriber.c.id)
        .where(delivery.c.mailing == mailing_id)
        .group_by(subscriber.c.domain, delivery.c.state)
    ):
        counts.setdefault(domain, {})[state] = number
    largest = sorted(counts, key=lambda domain: -sum(counts[domain].values()))[:most]
    return {domain: counts[domain] for domain in largest}


def mailing_row(connection: sa.Connection, mailing_id: int) -> sa.Row[Any]:
    """Raises NotFoundError."""
    row = connection.execute(sa.select(mailing).where(mailing.c.id == mailing_id)).first()
    if row is None:
        raise NotFoundError(f"there is no mailing {mailing_id}")
    return row


def sent_lately(
    connection: sa.Connection, seconds: float, now: datetime, slots: int = 24
) -> list[tuple[float, int]]:
    """What was handed out in the last `seconds`, by any mailing: (seconds ago, how many), oldest
    first. One pass; for limits that look back further than this run."""
    edges = [now - timedelta(seconds=seconds * (slots - slot) / slots) for slot in range(slots)]
    columns = [
        sa.func.count(sa.case((delivery.c.handed_at > edge, 1))).label(f"since{slot}")
        for slot, edge in enumerate(edges)
    ]
    lately = sa.select(mailing.c.id).where(
        sa.or_(mailing.c.finished_at.is_(None), mailing.c.finished_at > edges[0]),
        mailing.c.started_at.is_not(None),
    )
    since = connection.execute(sa.select(*columns).where(delivery.c.mailing.in_(lately))).one()
    later = [*since[1:], 0]
    return [
        (seconds * (slots - slot) / slots, before - after)
        for slot, (before, after) in enumerate(zip(since, later, strict=True))
        if before > after
    ]


#: people signed up at few times compared to their number
_read_time = lru_cache(maxsize=4096)(read_time)


def _chunks(rows: Sequence[Any], size: int = 500) -> Iterable[Sequence[Any]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))
