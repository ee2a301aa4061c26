"""Who left and who is kept out, carried over a restore: no backup subscribes anybody."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from newsletter.audience.changes import leave
from newsletter.db.schema import consent, subscriber, suppression

_PIECE = 1_000  # keys in one statement


@dataclass(frozen=True, slots=True)
class Departures:
    """`left`: address key and when, as ISO text. `kept_out`: key, reason, note, since, until or None."""

    left: dict[str, str] = field(default_factory=dict)
    kept_out: list[tuple[str, str, str, str, str | None]] = field(default_factory=list)

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Departures:
        given = json.loads(text)
        return cls(given["left"], [tuple(one) for one in given["kept_out"]])

    def with_earlier(self, other: Departures) -> Departures:
        """These and those that were taken down before."""
        known = {one[0] for one in self.kept_out}
        more = [one for one in other.kept_out if one[0] not in known]
        return Departures({**other.left, **self.left}, [*self.kept_out, *more])


def departures(connection: sa.Connection) -> Departures:
    """Those of now."""
    last = (
        sa.select(sa.func.max(consent.c.at))
        .where(consent.c.subscriber_id == subscriber.c.id, consent.c.given.is_(sa.false()))
        .scalar_subquery()
    )
    at = sa.func.coalesce(last, subscriber.c.updated_at, type_=subscriber.c.updated_at.type)
    left = connection.execute(
        sa.select(subscriber.c.address_key, at.label("at")).where(
            subscriber.c.status == "unsubscribed"
        )
    )
    kept = connection.execute(sa.select(suppression).where(suppression.c.reason != "erased"))
    return Departures(
        {row.address_key: row.at.isoformat() for row in left},
        [
            (
                row.address_key,
                row.reason,
                row.note,
                row.created_at.isoformat(),
                row.expires_at.isoformat() if row.expires_at else None,
            )
            for row in kept
        ],
    )


def leave_again(connection: sa.Connection, gone: Departures) -> int:
    """Apply them to what is here now, where they are the later word; returns how many changed."""
    number = 0
    keys = list(gone.left)
    for at in range(0, len(keys), _PIECE):
        rows = connection.execute(
            sa.select(subscriber.c.id, subscriber.c.address_key, subscriber.c.updated_at).where(
                subscriber.c.address_key.in_(keys[at : at + _PIECE]),
                subscriber.c.status != "unsubscribed",
            )
        ).all()
        for row in rows:
            moment = datetime.fromisoformat(gone.left[row.address_key])
            if moment > row.updated_at:
                leave(connection, [row.id], method="restore", now=moment)
                number += 1
    return number + _keep_out_again(connection, gone.kept_out)


def _keep_out_again(
    connection: sa.Connection, kept_out: Sequence[tuple[str, str, str, str, str | None]]
) -> int:
    known = set(connection.scalars(sa.select(suppression.c.address_key)))
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = [
        {
            "address_key": key,
            "reason": reason,
            "note": note,
            "created_at": datetime.fromisoformat(since),
            "expires_at": datetime.fromisoformat(until) if until else None,
        }
        for key, reason, note, since, until in kept_out
        if key not in known and (until is None or datetime.fromisoformat(until) > now)
    ]
    if rows:
        connection.execute(suppression.insert(), rows)
    return len(rows)
