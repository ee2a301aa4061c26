"""What somebody asks for and has to confirm by mail: to sign up, to move to another address.

A request is written down whoever asks, and answered later by mail alone: who asks learns nothing about
who is subscribed, not even from how long it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from newsletter.audience.addresses import Address
from newsletter.audience.changes import agree
from newsletter.audience.erased import Erased
from newsletter.audience.people import log, subscriber_of, suppression_holds
from newsletter.db.schema import request, subscriber, suppression

#: How a request is answered by mail.
Answer = Literal["opt-in", "known", "address"]
#: Reasons for suppression that a person's own, confirmed wish lifts.
LIFTED = ("manual", "erased")


@dataclass(frozen=True, slots=True)
class Ask:
    """A request before it is written down."""

    kind: Literal["sign-up", "address"]
    address: Address
    method: str  #: form | json | page
    source: str = ""  #: which page
    name: str = ""
    language: str = ""
    lens: str = ""
    topics: tuple[str, ...] | None = None
    text: str | None = None  #: hash of the words that were agreed to
    person: int | None = None  #: whose address is to change


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer on its way."""

    request: int
    answer: Answer
    person: int  #: who gets the mail
    language: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a confirmation led to."""

    kind: str
    person: int
    anew: bool  #: false when it had been confirmed before
    refused: str = ""  #: why it could not be done after all


def ask(connection: sa.Connection, asked: Ask, now: datetime) -> None:
    """Write a request down."""
    connection.execute(
        request.insert(),
        {
            "kind": asked.kind,
            "state": "new",
            "at": now,
            "address": asked.address.mailbox,
            "address_key": asked.address.key,
            "name": asked.name,
            "language": asked.language,
            "lens": asked.lens,
            "topics": list(asked.topics) if asked.topics is not None else None,
            "method": asked.method,
            "source": asked.source,
            "text": asked.text,
            "subscriber_id": asked.person,
        },
    )


def replies(
    connection: sa.Connection, *, now: datetime, most_a_day: int, limit: int = 500
) -> list[Reply]:
    """Decide about the requests that wait; those that get no mail are dropped. Of several for one
    address the last is answered."""
    rows = connection.execute(
        sa.select(request)
        .where(request.c.state == "new")
        .order_by(request.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    latest = {row.address_key: row for row in rows}
    found: list[Reply] = []
    dropped = [row.id for row in rows if latest[row.address_key] is not row]
    for row in latest.values():
        reply = None
        if not _too_many(connection, row, now, most_a_day) and not _kept_out(connection, row, now):
            reply = _reply(connection, row, now)
        if reply is None:
            dropped.append(row.id)
        else:
            found.append(reply)
    if dropped:
        connection.execute(
            request.update().where(request.c.id.in_(dropped)).values(state="dropped")
        )
    return found


def _too_many(connection: sa.Connection, row: Any, now: datetime, most: int) -> bool:
    number = connection.scalar(
        sa.select(sa.func.count())
        .select_from(request)
        .where(
            request.c.address_key == row.address_key,
            request.c.state.in_(("mailed", "done")),
            request.c.at > now - timedelta(days=1),
        )
    )
    return (number or 0) >= most


def _kept_out(connection: sa.Connection, row: Any, now: datetime) -> bool:
    """A mailbox that is not there, or whose owner called our mail spam, gets no mail for anybody's
    asking; who merely left, or was erased, does: it is their own wish that is asked for."""
    return bool(
        connection.scalar(
            sa.select(
                sa.exists().where(
                    suppression.c.address_key == row.address_key,
                    suppression.c.reason.not_in(LIFTED),
                    suppression_holds(now),
                )
            )
        )
    )


def _reply(connection: sa.Connection, row: Any, now: datetime) -> Reply | None:
    person = connection.execute(
        sa.select(subscriber.c.id, subscriber.c.status, subscriber.c.language).where(
            subscriber.c.address_key == row.address_key
        )
    ).first()
    if row.kind == "address":
        if person is not None and person.status == "subscribed":
            return None  # it is somebody's already, perhaps their own
        number = person.id if person else _pending(connection, row, now)
        return Reply(row.id, "address", number, row.language)
    if person is None:
        return Reply(row.id, "opt-in", _pending(connection, row, now), row.language)
    if person.status == "subscribed":
        return Reply(row.id, "known", person.id, person.language or row.language)
    return Reply(row.id, "opt-in", person.id, row.language)


def _pending(connection: sa.Connection, row: Any, now: datetime) -> int:
    """Somebody who has not confirmed yet: no more than the mail needs."""
    result = connection.execute(
        subscriber.insert(),
        {
            "address": row.address,
            "address_key": row.address_key,
            "domain": row.address_key.rpartition("@")[2],
            "name": "",
            "status": "pending",
            "language": row.language,
            "fields": {},
            "created_at": now,
            "updated_at": now,
        },
    )
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def mailed(connection: sa.Connection, mailing: int, numbers: Sequence[tuple[Reply, int]]) -> None:
    """Note by which delivery (mailing, n) each request is answered."""
    for reply, n in numbers:
        state = "done" if reply.answer == "known" else "mailed"
        connection.execute(
            request.update()
            .where(request.c.id == reply.request)
            .values(state=state, mailing=mailing, delivery=n)
        )


def of_mail(connection: sa.Connection, mailing: int, n: int) -> Any:
    """The request that a mail asked to confirm, as its row, or None."""
    return connection.execute(
        sa.select(request).where(request.c.mailing == mailing, request.c.delivery == n)
    ).first()


def confirm(
    connection: sa.Connection, erased: Erased, mailing: int, n: int, *, now: datetime, days: int
) -> Confirmed | None:
    """Do what the mail asked to confirm. None when there is nothing (any more) to confirm. A second
    time changes nothing."""
    row = of_mail(connection, mailing, n)
    if row is None or row.state not in ("mailed", "done") or now - row.at > timedelta(days=days):
        return None
    if row.kind == "address":
        return _confirm_address(connection, row, now)
    person = subscriber_of(connection, row.address_key)
    if person is None:
        return None
    if row.state == "done":
        return Confirmed("sign-up", person, anew=False)
    for key in (row.address_key, erased.hashed(row.address_key)):
        connection.execute(
            suppression.delete().where(
                suppression.c.address_key == key, suppression.c.reason.in_(LIFTED)
            )
        )
    given = {"name": row.name, "language": row.language, "lens": row.lens, "topics": row.topics}
    values = {name: value for name, value in given.items() if value not in ("", None)}
    if values:
        connection.execute(subscriber.update().where(subscriber.c.id == person).values(**values))
    agree(
        connection,
        person,
        method="double-opt-in",
        source=row.source or row.method,
        text=row.text,
        now=now,
    )
    connection.execute(request.update().where(request.c.id == row.id).values(state="done"))
    log(connection, "reader", "confirm", str(person), {"method": row.method})
    return Confirmed("sign-up", person, anew=True)


def _confirm_address(connection: sa.Connection, row: Any, now: datetime) -> Confirmed | None:
    person: int = row.subscriber_id
    if connection.scalar(sa.select(subscriber.c.id).where(subscriber.c.id == person)) is None:
        return None
    if row.state == "done":
        return Confirmed("address", person, anew=False)
    there = connection.execute(
        sa.select(subscriber.c.id, subscriber.c.status).where(
            subscriber.c.address_key == row.address_key
        )
    ).first()
    if there is not None and there.status == "subscribed":
        return Confirmed("address", person, anew=False, refused="subscribed")
    if there is not None:
        connection.execute(subscriber.delete().where(subscriber.c.id == there.id))
    connection.execute(
        subscriber.update()
        .where(subscriber.c.id == person)
        .values(
            address=row.address,
            address_key=row.address_key,
            domain=row.address_key.rpartition("@")[2],
            updated_at=now,
        )
    )
    connection.execute(request.update().where(request.c.id == row.id).values(state="done"))
    log(connection, "reader", "address", str(person), {})
    return Confirmed("address", person, anew=True)


def forget_unconfirmed(connection: sa.Connection, *, before: datetime) -> int:
    """Remove requests of before, and the people who are here for nothing but one that they never
    confirmed; returns how many requests those were."""
    old = sa.and_(request.c.at < before, request.c.state != "done")
    keys = sa.select(request.c.address_key).where(old)
    newer = sa.select(request.c.address_key).where(request.c.at >= before)
    connection.execute(
        subscriber.delete().where(
            subscriber.c.status == "pending",
            subscriber.c.created_at < before,
            subscriber.c.consent_at.is_(None),
            subscriber.c.address_key.in_(keys),
            subscriber.c.address_key.not_in(newer),
        )
    )
    unconfirmed = connection.scalar(sa.select(sa.func.count()).where(old)) or 0
    connection.execute(request.delete().where(request.c.at < before))
    return unconfirmed
