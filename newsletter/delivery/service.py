"""Service mailings: they go by the same ledger and engine as an issue, approved by whoever asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from newsletter.db.schema import delivery, mailing, mailing_edition
from newsletter.delivery.ledger import owners
from newsletter.delivery.owners import lives
from newsletter.delivery.plan import store_editions
from newsletter.editions import Edition


def plan_service(
    connection: sa.Connection,
    kind: str,
    transport: str,
    people: Sequence[tuple[int, str]],
    editions: Mapping[str, Edition],
) -> tuple[int, list[int]]:
    """One mailing for these (subscriber id, key of `editions`), ready to be started; returns its number
    and each person's delivery number. Nobody may be in it twice."""
    now = datetime.now(UTC)
    store_editions(connection, list(editions.values()), now)
    made = connection.execute(
        mailing.insert(),
        {
            "kind": "service",
            "issue": None,
            "state": "approved",
            "transport": transport,
            "plan": "",
            "fingerprint": "",
            "segments": [],
            "candidates": len(people),
            "created_at": now,
            "approved_at": now,
            "approved_by": "service",
            "options": {"service": kind},
        },
    )
    assert made.inserted_primary_key is not None
    number = int(made.inserted_primary_key[0])
    which = {key: n for n, key in enumerate(editions, 1)}
    connection.execute(
        mailing_edition.insert(),
        [
            {
                "mailing": number,
                "n": n,
                "edition": editions[key].id,
                "segments": [],
                "recipients": sum(one == key for _, one in people),
            }
            for key, n in which.items()
        ],
    )
    rows: list[dict[str, Any]] = [
        {
            "mailing": number,
            "n": n,
            "subscriber_id": person,
            "edition": which[key],
            "segments": 0,
            "state": "planned",
            "attempts": 0,
        }
        for n, (person, key) in enumerate(people, 1)
    ]
    connection.execute(delivery.insert(), rows)
    return number, [row["n"] for row in rows]


def open_service_mailings(connection: sa.Connection, now: datetime) -> list[int]:
    """Service mailings that are not through and that no living process sends."""
    numbers = connection.scalars(
        sa.select(mailing.c.id)
        .where(mailing.c.kind == "service", mailing.c.state.in_(("approved", "running")))
        .order_by(mailing.c.id)
    ).all()
    return [
        number
        for number in numbers
        if not any(lives(one, until, now) for one, until in owners(connection, number).items())
    ]
