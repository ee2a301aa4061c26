"""What a person may ask for: everything that is held on them, and to be forgotten."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from newsletter.audience.people import suppression_holds
from newsletter.db import compact_json
from newsletter.db.schema import (
    audit_log,
    consent,
    consent_text,
    delivery,
    edition,
    edition_action,
    event,
    exclusion,
    link,
    mailing,
    mailing_edition,
    membership,
    request,
    subscriber,
    suppression,
)

#: Actions in the audit log whose subject is a person's number.
ABOUT_A_PERSON = (
    "add", "set", "unsubscribe", "resubscribe", "suppress", "unsuppress", "preferences", "confirm",
    "address", "erase",
)  # fmt: skip


def held(connection: sa.Connection, person: int, *, now: datetime) -> dict[str, Any]:
    """Everything that the database holds on one person, as plain values: `person`, `segments_by_hand`,
    `consents`, `suppressions`, `requests`, `mails` with what came back of each, `log`."""
    row = connection.execute(sa.select(subscriber).where(subscriber.c.id == person)).one()
    of_address = suppression.c.address_key == row.address_key
    return {
        "person": dict(row._mapping),
        "segments_by_hand": list(
            connection.scalars(
                sa.select(membership.c.segment)
                .where(membership.c.subscriber_id == person)
                .order_by(membership.c.segment)
            )
        ),
        "consents": _rows(
            connection,
            sa.select(
                consent.c.at,
                consent.c.given,
                consent.c.method,
                consent.c.source,
                consent.c.reason,
                consent_text.c.text.label("words"),
            )
            .outerjoin(consent_text, consent_text.c.hash == consent.c.text)
            .where(consent.c.subscriber_id == person)
            .order_by(consent.c.id),
        ),
        "suppressions": _rows(
            connection,
            sa.select(
                suppression.c.reason,
                suppression.c.note,
                suppression.c.created_at,
                suppression.c.expires_at,
            ).where(of_address, suppression_holds(now)),
        ),
        "requests": _rows(
            connection,
            sa.select(
                request.c.kind,
                request.c.state,
                request.c.at,
                request.c.address,
                request.c.source,
            )
            .where(
                sa.or_(request.c.subscriber_id == person, request.c.address_key == row.address_key)
            )
            .order_by(request.c.id),
        ),
        "mails": _mails(connection, person),
        "log": _rows(
            connection,
            sa.select(audit_log.c.at, audit_log.c.actor, audit_log.c.action, audit_log.c.detail)
            .where(audit_log.c.subject == str(person), audit_log.c.action.in_(ABOUT_A_PERSON))
            .order_by(audit_log.c.id),
        ),
    }


def _rows(connection: sa.Connection, statement: sa.Select[Any]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(statement)]


def _mails(connection: sa.Connection, person: int) -> list[dict[str, Any]]:
    """Every mailing that the person is in, the newest first."""
    deliveries = _rows(
        connection,
        sa.select(
            delivery.c.mailing,
            delivery.c.n,
            mailing.c.issue,
            mailing.c.kind,
            delivery.c.state,
            delivery.c.reason,
            delivery.c.answer,
            delivery.c.handed_at,
            delivery.c.settled_at,
            edition.c.subject,
            mailing_edition.c.edition,
        )
        .join(mailing, mailing.c.id == delivery.c.mailing)
        .outerjoin(
            mailing_edition,
            sa.and_(
                mailing_edition.c.mailing == delivery.c.mailing,
                mailing_edition.c.n == delivery.c.edition,
            ),
        )
        .outerjoin(edition, edition.c.id == mailing_edition.c.edition)
        .where(delivery.c.mailing.in_(_mailings(connection)), delivery.c.subscriber_id == person)
        .order_by(delivery.c.mailing.desc()),
    )
    events = _rows(
        connection,
        sa.select(
            event.c.mailing,
            event.c.delivery,
            event.c.kind,
            event.c.at,
            event.c.verdict,
            event.c.agent,
            event.c.ref,
        )
        .where(event.c.subscriber_id == person)
        .order_by(event.c.at),
    )
    editions = {one["edition"] for one in deliveries}
    links = {
        (row.edition, row.n): row.url
        for row in connection.execute(sa.select(link).where(link.c.edition.in_(editions)))
    }
    actions = {
        (row.edition, row.n): row.action
        for row in connection.execute(
            sa.select(edition_action).where(edition_action.c.edition.in_(editions))
        )
    }
    by_delivery: dict[tuple[int, int], list[dict[str, Any]]] = {}
    of = {(one["mailing"], one["n"]): one["edition"] for one in deliveries}
    for one in events:
        place = (one.pop("mailing"), one.pop("delivery"))
        named = links if one["kind"] == "click" else actions
        one["of"] = named.get((of.get(place), one.pop("ref")))
        by_delivery.setdefault(place, []).append(one)
    for one in deliveries:
        one["events"] = by_delivery.get((one["mailing"], one.pop("n")), [])
    return deliveries


def _mailings(connection: sa.Connection) -> list[int]:
    """All of them: the index of deliveries begins with the mailing."""
    return list(connection.scalars(sa.select(mailing.c.id)))


def deliveries_of(connection: sa.Connection, person: int) -> list[tuple[int, int]]:
    """Every delivery (mailing, n) to a person, and to addresses that they asked to move to or from."""
    return [
        (found.mailing, found.n)
        for found in connection.execute(
            sa.select(delivery.c.mailing, delivery.c.n).where(
                delivery.c.mailing.in_(_mailings(connection)),
                delivery.c.subscriber_id.in_([person, *_shadows(connection, person)]),
            )
        )
    ]


def keys_of(connection: sa.Connection, person: int) -> set[str]:
    """Every address of a person: the one of now, and those that they confirmed or had before."""
    own = sa.select(subscriber.c.address_key).where(subscriber.c.id == person)
    confirmed = sa.select(request.c.address_key).where(
        request.c.subscriber_id == person,
        sa.or_(request.c.state == "done", request.c.method == "moved"),
    )
    return {*connection.scalars(own), *connection.scalars(confirmed)}


def _shadows(connection: sa.Connection, person: int) -> list[int]:
    """Those who stand for another address of the same person, or one that nobody but they typed in, and
    never agreed to anything."""
    asked = sa.select(request.c.address_key).where(request.c.subscriber_id == person)
    others = sa.select(request.c.address_key).where(
        request.c.subscriber_id.is_distinct_from(person)
    )
    return list(
        connection.scalars(
            sa.select(subscriber.c.id).where(
                subscriber.c.address_key.in_(asked),
                sa.or_(
                    subscriber.c.address_key.in_(keys_of(connection, person)),
                    subscriber.c.address_key.not_in(others),
                ),
                subscriber.c.id != person,
                subscriber.c.status != "subscribed",
                subscriber.c.consent_at.is_(None),
                subscriber.c.consent_source == "",
            )
        )
    )


def erase(
    connection: sa.Connection, person: int, *, hashed: Callable[[str], str], now: datetime
) -> None:
    """Take a person out of every table; nothing happens when they are not there.

    What stays under their number, which is nobody else's ever: deliveries without the server's answer,
    events without the user agent, log entries without what names them. What `hashed` makes of each of
    their addresses stays on the suppression list.
    """
    mailings = _mailings(connection)
    keys = keys_of(connection, person)
    people = [person, *_shadows(connection, person)]
    theirs = (delivery.c.mailing.in_(mailings), delivery.c.subscriber_id.in_(people))
    connection.execute(delivery.update().where(*theirs).values(answer=None))
    connection.execute(event.update().where(event.c.subscriber_id.in_(people)).values(agent=""))
    # who was left out of a mailing is a number and a reason: neither names anybody
    assert exclusion.c.keys() == ["mailing", "subscriber_id", "reason"]
    connection.execute(request.delete().where(request.c.subscriber_id == person))
    connection.execute(
        audit_log.update()
        .where(
            audit_log.c.subject.in_(list(map(str, people))), audit_log.c.action.in_(ABOUT_A_PERSON)
        )
        .values(detail={})
    )
    for key in keys:
        erase_address(connection, key, digest=hashed(key), now=now)
    for table in (membership, consent):
        connection.execute(table.delete().where(table.c.subscriber_id.in_(people)))
    connection.execute(subscriber.delete().where(subscriber.c.id.in_(people)))


def erase_address(connection: sa.Connection, key: str, *, digest: str, now: datetime) -> None:
    """Take an address out of what is not a subscriber's own: requests, suppressions, and what somebody
    wrote into a rule or a note that is kept."""
    connection.execute(request.delete().where(request.c.address_key == key))
    connection.execute(suppression.delete().where(suppression.c.address_key.in_((key, digest))))
    values = {"address_key": digest, "reason": "erased", "created_at": now}
    connection.execute(suppression.insert(), values)
    connection.execute(
        audit_log.update().where(_mentions(audit_log.c.detail, key)).values(detail={})
    )
    for found in connection.execute(
        sa.select(mailing.c.id, mailing.c.options).where(_mentions(mailing.c.options, key))
    ).all():
        text = re.sub(re.escape(key), "(erased)", compact_json(found.options), flags=re.IGNORECASE)
        connection.execute(
            mailing.update().where(mailing.c.id == found.id).values(options=json.loads(text))
        )


def _mentions(column: sa.Column[Any], key: str) -> sa.ColumnElement[bool]:
    return sa.func.lower(sa.cast(column, sa.Text)).contains(key, autoescape=True)
