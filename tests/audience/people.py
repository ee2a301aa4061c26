"""Small factories: fields, segments and people of a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from newsletter.audience import Asked, Rule, Segment, Segments, add_memberships, where
from newsletter.config import FieldSettings
from newsletter.db import Database
from newsletter.db.schema import subscriber, suppression

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

FIELDS: Mapping[str, FieldSettings] = {
    "role": FieldSettings(type="text"),
    "seats": FieldSettings(type="number"),
    "since": FieldSettings(type="date"),
    "vip": FieldSettings(type="boolean"),
    "level": FieldSettings(type="choice", choices=["junior", "senior"]),
    "likes": FieldSettings(type="list"),
}
ASKED = Asked(Segments([]), NOW)


def segment(key: str, rule: str | None = None, *, priority: int = 100, **extra: Any) -> Segment:
    """A segment by rule, or by hand without one; its name is the key with a capital."""
    checked = Rule(rule, FIELDS) if rule else None
    name = extra.get("name", key.replace("-", " ").capitalize())
    return Segment(key, name, tuple(extra.get("aliases", ())), priority, checked)


def segments(*given: Segment) -> Segments:
    return Segments(given)


def add_person(database: Database, email: str, **columns: Any) -> int:
    """Put one subscriber in; what is not given is ordinary. Returns the id."""
    members: Iterable[str] = columns.pop("segments", ())
    values = {
        "address": email, "address_key": email.lower(), "domain": email.rpartition("@")[2],
        "name": "", "status": "subscribed", "language": "", "fields": {}, "consent_at": NOW,
        "consent_source": "test", "created_at": NOW, "updated_at": NOW, **columns,
    }  # fmt: skip
    with database.write() as connection:
        (person,) = connection.execute(subscriber.insert(), values).inserted_primary_key
        add_memberships(connection, [(key, person) for key in members])
    return int(person)


def suppress(database: Database, email: str, *, expires_at: datetime | None = None) -> None:
    values = {"reason": "manual", "created_at": NOW, "expires_at": expires_at}
    with database.write() as connection:
        connection.execute(suppression.insert(), {"address_key": email.lower(), **values})


def everybody(database: Database) -> list[dict[str, Any]]:
    """All subscribers without their ids and times of change, by address."""
    with database.read() as connection:
        rows = connection.execute(sa.select(subscriber).order_by(subscriber.c.address_key))
        left_out = ("id", "created_at", "updated_at", "lens", "topics", "frequency")
        return [
            {name: value for name, value in row._mapping.items() if name not in left_out}
            for row in rows
        ]


def found_by(database: Database, rule: str) -> set[str]:
    """The local parts of the addresses that a rule finds."""
    with database.read() as connection:
        rows = connection.scalars(
            sa.select(subscriber.c.address_key).where(where(Rule(rule, FIELDS), ASKED))
        )
        return {address.partition("@")[0] for address in rows}
