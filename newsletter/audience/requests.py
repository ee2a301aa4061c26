"""What somebody asks for and has to confirm by mail: to sign up, to move to another address.

A request is written down whoever asks, and answered later by mail alone: who asks learns nothing about
who is subscribed, not even from how long it takes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from newsletter.audience.addresses import Address, parse_address
from newsletter.audience.changes import agree
from newsletter.audience.erased import Erased
from newsletter.audience.people import log, suppression_holds
from newsletter.db.schema import consent, delivery, request, subscriber, suppression

#: How a request is answered by mail.
Answer = Literal["opt-in", "known", "address"]
#: Reasons for suppression that a person's own, confirmed wish lifts.
LIFTED = ("manual", "erased")
#: For so long a mailbox that refused is not asked again, whoever types it in.
NOT_AGAIN = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request before it is written down."""

    kind: Literal["sign-up", "address"]
    address: Address
    method: str  #: form | json | page; moved: their mail was moved away, and they may take it back
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

    kind: str  #: sign-up | address | moved
    person: int
    anew: bool  #: false when it had been confirmed before
    refused: str = ""  #: why it could not be done after all
    old: int | None = None  #: who stands for the address that a person had before


def ask(connection: sa.Connection, asked: Ask, now: datetime) -> int:
    """Write a request down; returns its number."""
    made = connection.execute(
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
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


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
    """So many mails a day and twice as many a week go to one mailbox, and none to one that refused."""
    asked = connection.execute(
        sa.select(request.c.state, request.c.at).where(
            _same_mailbox(row.address_key),
            request.c.state.in_(("mailed", "done", "refused")),
            request.c.at > now - NOT_AGAIN,
        )
    ).all()
    sent = [one.at for one in asked]
    return (
        any(one.state == "refused" for one in asked)
        or sum(at > now - timedelta(days=1) for at in sent) >= most
        or sum(at > now - timedelta(days=7) for at in sent) >= 2 * most
    )


def _same_mailbox(key: str) -> sa.ColumnElement[bool]:
    """Requests for an address, and for those that differ from it only behind a plus sign."""
    local, _, domain = key.rpartition("@")
    base = local.partition("+")[0]
    escaped = re.sub(r"([\\%_])", r"\\\1", base)
    return sa.or_(
        request.c.address_key.in_((key, f"{base}@{domain}")),
        request.c.address_key.like(f"{escaped}+%@{domain}", escape="\\"),
    )


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
        number = person.id if person else _pending(connection, row.address, row.language, now)
        return Reply(row.id, "address", number, row.language)
    if person is None:
        number = _pending(connection, row.address, row.language, now)
        return Reply(row.id, "opt-in", number, row.language)
    if person.status == "subscribed":
        return Reply(row.id, "known", person.id, person.language or row.language)
    return Reply(row.id, "opt-in", person.id, row.language)


def _pending(connection: sa.Connection, address: str, language: str, now: datetime) -> int:
    """Somebody who has not confirmed: no more than a mail to them needs."""
    parsed = parse_address(address)
    result = connection.execute(
        subscriber.insert(),
        {
            "address": parsed.mailbox,
            "address_key": parsed.key,
            "domain": parsed.domain,
            "name": "",
            "status": "pending",
            "language": language,
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


def of_mail(connection: sa.Connection, mailing: int, n: int, *, lock: bool = False) -> Any:
    """The request that a mail asked to confirm, as its row, or None. With `lock` nobody else decides about
    it until the transaction ends."""
    found = sa.select(request).where(request.c.mailing == mailing, request.c.delivery == n)
    return connection.execute(found.with_for_update() if lock else found).first()


def holds(connection: sa.Connection, row: Any) -> bool:
    """Whether what a request asked for, and what was confirmed, is still so."""
    if row.kind == "address":
        whose = subscriber.c.id == row.subscriber_id
        key = connection.scalar(sa.select(subscriber.c.address_key).where(whose))
        return bool(key == row.address_key)
    whose = subscriber.c.address_key == row.address_key
    return bool(connection.scalar(sa.select(subscriber.c.status).where(whose)) == "subscribed")


def refuse(connection: sa.Connection, mailing: int, n: int) -> None:
    """The owner of the mailbox said no to what this mail asked, if it asked anything."""
    connection.execute(
        request.update()
        .where(request.c.mailing == mailing, request.c.delivery == n, request.c.state == "mailed")
        .values(state="refused")
    )


def take_back_refusal(connection: sa.Connection, mailing: int, n: int) -> bool:
    """Let a refused request be open as before; whether this mail asked for anything that is not done.
    Nobody is subscribed by that who was not."""
    row = of_mail(connection, mailing, n, lock=True)
    if row is None or row.state not in ("mailed", "refused"):
        return False
    connection.execute(request.update().where(request.c.id == row.id).values(state="mailed"))
    agreed = sa.exists().where(consent.c.subscriber_id == subscriber.c.id, consent.c.given)
    connection.execute(
        subscriber.update()
        .where(
            subscriber.c.address_key == row.address_key,
            subscriber.c.status == "unsubscribed",
            subscriber.c.consent_at.is_(None),
            subscriber.c.consent_source == "",
            ~agreed,
        )
        .values(status="pending")
    )
    return True


def confirm(
    connection: sa.Connection, erased: Erased, mailing: int, n: int, *, now: datetime, days: int
) -> Confirmed | None:
    """Do what the mail asked to confirm. None when there is nothing (any more) to confirm. A second
    time changes nothing."""
    row = of_mail(connection, mailing, n, lock=True)
    if row is None or row.state not in ("mailed", "done") or now - row.at > timedelta(days=days):
        return None
    if row.kind == "address":
        return _confirm_address(connection, erased, row, now)
    person = connection.execute(
        sa.select(subscriber.c.id, subscriber.c.status, subscriber.c.name).where(
            subscriber.c.address_key == row.address_key
        )
    ).first()
    if person is None:
        return None
    if row.state == "done":
        return Confirmed("sign-up", person.id, anew=False)
    # one press answers every mail that asked, also those that were refused before
    same = request.c.address_key == row.address_key
    states = ("new", "mailed", "refused")
    asked = sa.and_(same, request.c.kind == "sign-up", request.c.state.in_(states))
    connection.execute(request.update().where(asked).values(state="done"))
    if person.status == "subscribed":
        return Confirmed("sign-up", person.id, anew=False)
    _lift(connection, erased, row.address_key)
    given = {"language": row.language, "lens": row.lens, "topics": row.topics}
    if not person.name:  # or whoever types an address in could rename its owner
        given["name"] = row.name
    values = {name: value for name, value in given.items() if value not in ("", None)}
    if values:
        connection.execute(subscriber.update().where(subscriber.c.id == person.id).values(**values))
    agree(
        connection,
        person.id,
        method="double-opt-in",
        source=row.source or row.method,
        text=row.text,
        now=now,
    )
    log(connection, "reader", "confirm", str(person.id), {"method": row.method})
    return Confirmed("sign-up", person.id, anew=True)


def _lift(connection: sa.Connection, erased: Erased, key: str) -> None:
    """Who asks for mail themselves, and confirms it, is no longer kept out for having left."""
    keys = (key, erased.hashed(key))
    connection.execute(
        suppression.delete().where(
            suppression.c.address_key.in_(keys), suppression.c.reason.in_(LIFTED)
        )
    )


def _confirm_address(
    connection: sa.Connection, erased: Erased, row: Any, now: datetime
) -> Confirmed | None:
    person = connection.execute(
        sa.select(subscriber.c.id, subscriber.c.address, subscriber.c.language)
        .where(subscriber.c.id == row.subscriber_id)
        .with_for_update()
    ).first()
    if person is None:
        return None
    kind = "moved" if row.method == "moved" else "address"
    if row.state == "done":
        return Confirmed(kind, person.id, anew=False)
    there = connection.execute(
        sa.select(subscriber.c.id, subscriber.c.status).where(
            subscriber.c.address_key == row.address_key
        )
    ).first()
    if there is not None and there.status == "subscribed":
        return Confirmed(kind, person.id, anew=False, refused="subscribed")
    if there is not None:
        _join(connection, there.id, person.id, row)
    _lift(connection, erased, row.address_key)
    connection.execute(
        subscriber.update()
        .where(subscriber.c.id == person.id)
        .values(
            address=row.address,
            address_key=row.address_key,
            domain=row.address_key.rpartition("@")[2],
            updated_at=now,
        )
    )
    connection.execute(request.update().where(request.c.id == row.id).values(state="done"))
    # whatever else asked to move this person is outdated: it would move them once more, unseen
    others = sa.and_(
        request.c.subscriber_id == person.id,
        request.c.kind == "address",
        request.c.state.in_(("new", "mailed")),
    )
    connection.execute(request.update().where(others).values(state="dropped"))
    log(connection, "reader", "address", str(person.id), {})
    # the mailbox that loses the mail is told, and can take it back; who takes back starts no new round
    old = None
    if kind == "address":
        old = _pending(connection, person.address, person.language, now)
    return Confirmed(kind, person.id, anew=True, old=old)


def _join(connection: sa.Connection, other: int, person: int, row: Any) -> None:
    """The person who stood for the new address until now goes; what they agreed to and withdrew, and the
    mail that asked, are the reader's who moves there."""
    connection.execute(
        consent.update().where(consent.c.subscriber_id == other).values(subscriber_id=person)
    )
    mails = sa.and_(
        delivery.c.mailing == row.mailing, delivery.c.subscriber_id.in_((other, person))
    )
    if len(connection.execute(sa.select(delivery.c.n).where(mails)).all()) == 1:
        connection.execute(
            delivery.update()
            .where(delivery.c.mailing == row.mailing, delivery.c.n == row.delivery)
            .values(subscriber_id=person)
        )
    connection.execute(subscriber.delete().where(subscriber.c.id == other))


def may_be_taken_back(
    connection: sa.Connection, moved: Confirmed, mailing: int, n: int, now: datetime
) -> None:
    """Write down that the mail (mailing, n) to a reader's former address brings their mail back to it."""
    address = connection.scalar(sa.select(subscriber.c.address).where(subscriber.c.id == moved.old))
    asked = Ask("address", parse_address(str(address)), "moved", person=moved.person)
    number = ask(connection, asked, now)
    reply = Reply(number, "address", moved.person, "")
    mailed(connection, mailing, [(reply, n)])


def forget_unconfirmed(connection: sa.Connection, *, before: datetime) -> int:
    """Remove requests of before, and the people who are here for nothing but one that they never
    confirmed; returns how many requests those were."""
    over = sa.or_(
        sa.and_(request.c.at < before, request.c.state != "refused"),
        request.c.at < before - NOT_AGAIN,
    )
    old = sa.and_(over, request.c.state != "done")
    keys = sa.select(request.c.address_key).where(old)
    newer = sa.select(request.c.address_key).where(~over)
    # a mail to a reader's former address stays theirs, so that erasing them finds it
    for row in connection.execute(
        sa.select(request).where(over, request.c.method == "moved", request.c.mailing.is_not(None))
    ).all():
        connection.execute(
            delivery.update()
            .where(delivery.c.mailing == row.mailing, delivery.c.n == row.delivery)
            .values(subscriber_id=row.subscriber_id)
        )
    connection.execute(
        subscriber.delete().where(
            subscriber.c.status == "pending",
            subscriber.c.created_at < before,
            subscriber.c.consent_at.is_(None),
            subscriber.c.consent_source == "",
            subscriber.c.address_key.in_(keys),
            subscriber.c.address_key.not_in(newer),
        )
    )
    unconfirmed = connection.scalar(sa.select(sa.func.count()).where(old)) or 0
    connection.execute(request.delete().where(over))
    return unconfirmed
