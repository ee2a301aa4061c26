"""From the spool into the database: idempotent, in order, with verdicts and their consequences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from newsletter.audience import log, set_status
from newsletter.db import Database
from newsletter.db.schema import delivery, event
from newsletter.tracking.spool import RawEvent, Spool
from newsletter.tracking.verdicts import judge

_STATUS = {"unsubscribe": "unsubscribed", "resubscribe": "subscribed"}


def load_spool(database: Database, spool: Spool) -> int:
    """Move every event from the spool into the database; returns how many were new.

    Killed anywhere in between, the next call goes on: an event that is there already is passed over,
    and so are its consequences.
    """
    new = 0
    for batch in spool.batches():
        with database.write() as connection:
            new += _load(connection, batch)
    return new


def _load(connection: sa.Connection, batch: Sequence[RawEvent]) -> int:
    fresh = _not_yet_there(connection, batch)
    people = _people(connection, fresh)
    known = [one for one in fresh if (one.mailing, one.delivery) in people]
    rows: list[dict[str, Any]] = []
    for one in known:
        verdict, rule = judge(one)
        rows.append(
            {
                "mailing": one.mailing,
                "n": one.n,
                "delivery": one.delivery,
                "kind": one.kind,
                "ref": one.ref,
                "at": datetime.fromtimestamp(one.at, UTC),
                "verdict": verdict,
                "rule": rule,
                "agent": one.agent,
            }
        )
    if rows:
        connection.execute(event.insert(), rows)
    for one in known:
        if status := _STATUS.get(one.kind):
            person = people[one.mailing, one.delivery]
            now = datetime.now(UTC)
            set_status(connection, [person], status, now=now)
            log(connection, "reader", one.kind, str(person), {"mailing": one.mailing})
    return len(rows)


def _not_yet_there(connection: sa.Connection, batch: Sequence[RawEvent]) -> list[RawEvent]:
    there = {
        (row.mailing, row.n)
        for row in connection.execute(
            sa.select(event.c.mailing, event.c.n).where(
                event.c.mailing.in_({one.mailing for one in batch}),
                event.c.n.in_([one.n for one in batch]),
            )
        )
    }
    return [one for one in batch if (one.mailing, one.n) not in there]


def _people(connection: sa.Connection, events: Sequence[RawEvent]) -> dict[tuple[int, int], int]:
    """Subscriber id by (mailing, delivery); a delivery that is gone is absent."""
    found: dict[tuple[int, int], int] = {}
    for mailing in {one.mailing for one in events}:
        numbers = {one.delivery for one in events if one.mailing == mailing}
        for n, person in connection.execute(
            sa.select(delivery.c.n, delivery.c.subscriber_id).where(
                delivery.c.mailing == mailing, delivery.c.n.in_(numbers)
            )
        ):
            found[mailing, n] = person
    return found
