"""Who left, who is kept out and who refused, carried over a restore: no backup subscribes anybody, nor has
somebody asked again who said no.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from newsletter.audience.changes import leave
from newsletter.audience.suppressions import suppress
from newsletter.db.schema import consent, request, subscriber, suppression

_PIECE = 1_000  # people in one statement


@dataclass(frozen=True, slots=True)
class Departures:
    """`left`: number, address key and when. `kept_out`: key, reason, note, since, until or None.
    `refused`: address, key and when they were asked. Times are ISO texts."""

    left: list[tuple[int, str, str]] = field(default_factory=list)
    kept_out: list[tuple[str, str, str, str, str | None]] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, list[tuple[object, ...]]]:
        return asdict(self)

    @classmethod
    def from_dict(cls, given: dict[str, list[list[object]]]) -> Departures:
        return cls(**{name: [tuple(one) for one in rows] for name, rows in given.items()})  # type: ignore[arg-type]

    def and_earlier(self, other: Departures) -> Departures:
        """These and those that were taken down before; what is in both is done once."""
        return Departures(
            list(dict.fromkeys([*other.left, *self.left])),
            list(dict.fromkeys([*other.kept_out, *self.kept_out])),
            list(dict.fromkeys([*other.refused, *self.refused])),
        )


def departures(connection: sa.Connection) -> Departures:
    """Those of now."""
    last = (
        sa.select(sa.func.max(consent.c.at))
        .where(consent.c.subscriber_id == subscriber.c.id, consent.c.given.is_(sa.false()))
        .scalar_subquery()
    )
    at = sa.func.coalesce(last, subscriber.c.updated_at, type_=subscriber.c.updated_at.type)
    left = connection.execute(
        sa.select(subscriber.c.id, subscriber.c.address_key, at.label("at")).where(
            subscriber.c.status == "unsubscribed"
        )
    )
    kept = connection.execute(sa.select(suppression).where(suppression.c.reason != "erased"))
    refused = connection.execute(sa.select(request).where(request.c.state == "refused"))
    return Departures(
        [(row.id, row.address_key, row.at.isoformat()) for row in left],
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
        [(row.address, row.address_key, row.at.isoformat()) for row in refused],
    )


def leave_again(connection: sa.Connection, gone: Departures) -> int:
    """Apply them to what is here now, where they are the later word; returns how many changed."""
    return _leave(connection, gone) + _keep_out(connection, gone) + _refuse(connection, gone)


def _leave(connection: sa.Connection, gone: Departures) -> int:
    """Whoever it was, by number or by address: between the two they may have moved."""
    number = 0
    for at in range(0, len(gone.left), _PIECE):
        some = gone.left[at : at + _PIECE]
        by_number = {person: when for person, _, when in some}
        by_key = {key: when for _, key, when in some}
        rows = connection.execute(
            sa.select(subscriber.c.id, subscriber.c.address_key, subscriber.c.updated_at).where(
                sa.or_(subscriber.c.id.in_(by_number), subscriber.c.address_key.in_(by_key)),
                subscriber.c.status != "unsubscribed",
            )
        ).all()
        for row in rows:
            found = [by_number.get(row.id), by_key.get(row.address_key)]
            moment = max(datetime.fromisoformat(one) for one in found if one)
            if moment > row.updated_at:
                leave(connection, [row.id], method="restore", now=moment)
                number += 1
    return number


def _keep_out(connection: sa.Connection, gone: Departures) -> int:
    now = datetime.now(UTC)
    number = 0
    for key, reason, note, since, until in gone.kept_out:
        ends = datetime.fromisoformat(until) if until else None
        if ends is not None and ends <= now:
            continue
        entry = suppression.c.address_key == key
        before = connection.execute(sa.select(suppression).where(entry)).first()
        suppress(connection, key, reason, note=note, until=ends, now=now)  # type: ignore[arg-type]
        after = connection.execute(sa.select(suppression).where(entry)).first()
        if before != after:
            began = datetime.fromisoformat(since)
            connection.execute(suppression.update().where(entry).values(created_at=began))
            number += 1
    return number


def _refuse(connection: sa.Connection, gone: Departures) -> int:
    known = set(
        connection.scalars(sa.select(request.c.address_key).where(request.c.state == "refused"))
    )
    rows = [
        {
            "kind": "sign-up",
            "state": "refused",
            "at": datetime.fromisoformat(at),
            "address": address,
            "address_key": key,
        }
        for address, key, at in gone.refused
        if key not in known
    ]
    if rows:
        connection.execute(request.insert(), rows)
    return len(rows)
