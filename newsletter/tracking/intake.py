"""From the spool into the database: idempotent, in order, with verdicts and their consequences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from newsletter.audience import come_back, leave, log, refuse, take_back_refusal
from newsletter.db import Database, insert_new
from newsletter.db.schema import delivery, event
from newsletter.tracking.spool import RawEvent, Spool
from newsletter.tracking.verdicts import Verdict, judge


def load_spool(database: Database, spool: Spool) -> int:
    """Move every event from the spool into the database; returns how many were new.

    Killed anywhere in between, the next call goes on; called twice at once, each event is one
    call's: an event that is there already is passed over, and so are its consequences.
    """
    new = 0
    for batch in spool.batches():
        judged = [(one, *judge(one)) for one in batch]  # before the database's lock is taken
        with database.write() as connection:
            new += _load(connection, judged)
    return new


def _load(connection: sa.Connection, judged: Sequence[tuple[RawEvent, Verdict, str]]) -> int:
    people = _people(connection, [one for one, _, _ in judged])
    rows = [
        {
            "mailing": one.mailing,
            "n": one.n,
            "delivery": one.delivery,
            "subscriber_id": people[one.mailing, one.delivery],
            "kind": one.kind,
            "ref": one.ref,
            "at": datetime.fromtimestamp(one.at, UTC),
            "verdict": verdict,
            "rule": rule,
            "agent": one.agent,
        }
        for one, verdict, rule in judged
        if (one.mailing, one.delivery) in people
    ]
    if not rows:
        return 0
    fresh = {(row.mailing, row.n) for row in insert_new(connection, event, rows, "mailing", "n")}
    for one, _, _ in judged:
        if one.kind in ("unsubscribe", "resubscribe") and (one.mailing, one.n) in fresh:
            person = people[one.mailing, one.delivery]
            said: dict[str, Any] = {"method": "mail", "source": f"mailing {one.mailing}"}
            if one.kind == "unsubscribe":
                refuse(connection, one.mailing, one.delivery)
                leave(connection, [person], **said)
            elif not take_back_refusal(connection, one.mailing, one.delivery):
                come_back(connection, [person], **said)
            log(connection, "reader", one.kind, str(person), {"mailing": one.mailing})
    return len(fresh)


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
