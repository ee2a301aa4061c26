"""What changes a person's standing: joining, leaving, coming back, being kept out. Every change of
consent is a row of its own, only ever added to, so that it can be proven later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from newsletter.audience.people import log, set_status, suppression_holds
from newsletter.db.schema import consent, consent_text, membership, subscriber, suppression
from newsletter.errors import InputError, RefusedError


def leave(
    connection: sa.Connection,
    people: Iterable[int],
    *,
    method: str,
    source: str = "",
    reason: str = "",
    now: datetime | None = None,
) -> list[int]:
    """Unsubscribe people; returns those who were not already. `method` is how they said it (mail, page,
    command), `source` where, `reason` why, in their words."""
    now = now or datetime.now(UTC)
    return _change(
        connection, people, "unsubscribed", method=method, source=source, reason=reason, now=now
    )


def come_back(
    connection: sa.Connection,
    people: Iterable[int],
    *,
    method: str,
    source: str,
    text: str | None = None,
    now: datetime | None = None,
) -> list[int]:
    """Subscribe people who left, or never confirmed; returns those who were not subscribed."""
    now = now or datetime.now(UTC)
    return _change(
        connection, people, "subscribed", method=method, source=source, text=text, now=now
    )


def _change(
    connection: sa.Connection, people: Iterable[int], status: str, *, now: datetime, **how: Any
) -> list[int]:
    changed = list(
        connection.scalars(
            sa.select(subscriber.c.id).where(
                subscriber.c.id.in_(list(people)), subscriber.c.status != status
            )
        )
    )
    if changed:
        set_status(connection, changed, status, now=now)
        given = status == "subscribed"
        connection.execute(
            consent.insert(),
            [{"subscriber_id": one, "at": now, "given": given, **how} for one in changed],
        )
    return changed


def agree(
    connection: sa.Connection,
    person: int,
    *,
    method: str,
    source: str,
    text: str | None = None,
    now: datetime | None = None,
) -> None:
    """Write down that a person agreed, and make it the consent that their mails name."""
    now = now or datetime.now(UTC)
    values = {"subscriber_id": person, "at": now, "given": True, "method": method}
    connection.execute(consent.insert(), {**values, "source": source, "text": text})
    connection.execute(
        subscriber.update()
        .where(subscriber.c.id == person)
        .values(consent_at=now, consent_source=source, status="subscribed", updated_at=now)
    )


def keep_text(connection: sa.Connection, digest: str, language: str, text: str) -> None:
    """Keep the words that people agree to, once."""
    known = connection.scalar(sa.select(consent_text.c.hash).where(consent_text.c.hash == digest))
    if known is None:
        values = {"hash": digest, "language": language, "text": text}
        connection.execute(consent_text.insert(), {**values, "first_used_at": datetime.now(UTC)})


# -- a person ----------------------------------------------------------------------------------------


def add_person(
    connection: sa.Connection, values: Mapping[str, Any], segments: Sequence[str]
) -> int:
    """Put one subscriber in; returns the number. Raises RefusedError when the address is there."""
    now = datetime.now(UTC)
    key = values["address_key"]
    known = connection.scalar(sa.select(subscriber.c.status).where(subscriber.c.address_key == key))
    if known is not None:
        remedy = "set FIELD=VALUE" if known == "subscribed" else "resubscribe --proof TEXT"
        verb, _, rest = remedy.partition(" ")
        raise RefusedError(
            f"the address is among the subscribers already ({known}); use: newsletter audience {verb} "
            f"{key} {rest}"
        )
    result = connection.execute(
        subscriber.insert(), {"fields": {}, "created_at": now, "updated_at": now, **values}
    )
    assert result.inserted_primary_key is not None
    person = int(result.inserted_primary_key[0])
    if segments:
        connection.execute(
            membership.insert(),
            [{"segment": key, "subscriber_id": person, "added_at": now} for key in segments],
        )
    return person


def set_values(
    connection: sa.Connection,
    person: int,
    values: Mapping[str, Any],
    fields: Mapping[str, Any],
    *,
    actor: str,
    reason: str = "",
) -> list[str]:
    """Change columns and declared fields (None empties one); returns the names that changed."""
    row = connection.execute(sa.select(subscriber).where(subscriber.c.id == person)).one()
    merged = {k: v for k, v in {**row.fields, **fields}.items() if v is not None}
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    changed += [name for name in fields if row.fields.get(name) != merged.get(name)]
    if changed:
        connection.execute(
            subscriber.update()
            .where(subscriber.c.id == person)
            .values(**values, fields=merged, updated_at=datetime.now(UTC))
        )
        why = {"reason": reason} if reason else {}
        log(connection, actor, "set", str(person), {"changed": changed, **why})
    return changed


def change_address(
    connection: sa.Connection, person: int, *, mailbox: str, key: str, domain: str
) -> None:
    """Raises RefusedError when the address is somebody else's, InputError when it is kept out."""
    other = connection.scalar(sa.select(subscriber.c.id).where(subscriber.c.address_key == key))
    if other not in (None, person):
        raise RefusedError("the address is another subscriber's")
    held = sa.exists().where(suppression.c.address_key == key, suppression_holds(datetime.now(UTC)))
    if connection.scalar(sa.select(held)):
        raise InputError("the address is on the suppression list")
    connection.execute(
        subscriber.update()
        .where(subscriber.c.id == person)
        .values(address=mailbox, address_key=key, domain=domain, updated_at=datetime.now(UTC))
    )
