"""Subscribers: finding one, who may be mailed, who belongs to which segments.

Who may be mailed is one expression (`why_not`) that planning, hand-out and head-counts share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from newsletter.audience.addresses import AddressError, parse_address
from newsletter.audience.conditions import Asked, holds_topic, member_of, where
from newsletter.audience.rules import Rule
from newsletter.audience.segments import Segments
from newsletter.db.schema import audit_log, membership, subscriber, suppression
from newsletter.errors import InputError, NotFoundError

STATUSES = ("subscribed", "pending", "unsubscribed")
#: Why somebody gets no mail, in the order in which they are asked; the first that holds is the reason.
REASONS = ("unsubscribed", "pending", "suppressed", "no_consent", "paused", "invalid")


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One person as the database holds them. Times are UTC."""

    id: int
    address: str
    name: str
    status: str
    language: str
    fields: Mapping[str, Any]
    consent_at: datetime | None
    consent_source: str
    topics: tuple[str, ...] | None = None  #: that they chose; None for all


def why_not(
    *, now: datetime | sa.ColumnElement[datetime], consent_required: bool
) -> sa.ColumnElement[str | None]:
    """SQL over `subscriber`: the reason why a person may not be mailed now, or NULL when they may."""
    suppressed = (
        sa.exists()
        .where(suppression.c.address_key == subscriber.c.address_key)
        .where(suppression_holds(now))
    )
    cases: list[tuple[sa.ColumnElement[bool], str]] = [
        (subscriber.c.status == "unsubscribed", "unsubscribed"),
        (subscriber.c.status != "subscribed", "pending"),
        (suppressed, "suppressed"),
        (subscriber.c.paused_until > now, "paused"),
        (subscriber.c.address == "", "invalid"),
    ]
    if consent_required:
        cases.insert(3, (subscriber.c.consent_at.is_(None), "no_consent"))
    return sa.case(*cases, else_=sa.null())


def why_not_service(
    kind: str, *, now: datetime | sa.ColumnElement[datetime]
) -> sa.ColumnElement[str | None]:
    """The same for a service mail: who is asked to confirm may be anybody whose mailbox is there and
    who did not call our mail spam; others get what they asked for while they are subscribed."""
    suppressed = (
        sa.exists()
        .where(suppression.c.address_key == subscriber.c.address_key)
        .where(suppression_holds(now))
    )
    if kind in ("opt-in", "address", "moved"):
        gone, spam = (suppression.c.reason == reason for reason in ("bounce", "complaint"))
        suppressed = suppressed.where(sa.or_(gone, spam))  # no IN: it has no place in `Prepared`
        return sa.case((suppressed, "suppressed"), else_=sa.null())
    return sa.case(
        (subscriber.c.status != "subscribed", "unsubscribed"),
        (suppressed, "suppressed"),
        else_=sa.null(),
    )


def suppression_holds(now: datetime | sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """SQL over `suppression`: whether it is still in force."""
    return sa.or_(suppression.c.expires_at.is_(None), suppression.c.expires_at > now)


def segment_bits(asked: Asked) -> sa.ColumnElement[int]:
    """SQL over `subscriber`: the membership number, bit i for `asked.segments[i]`."""
    bits: sa.ColumnElement[int] = sa.literal(0, sa.BigInteger)
    for i, segment in enumerate(asked.segments):
        member = member_of(segment, asked)
        bits = bits + sa.case((member, sa.literal(1 << i, sa.BigInteger)), else_=0)
    return bits


def spoken(languages: Sequence[str]) -> sa.ColumnElement[str]:
    """SQL over `subscriber`: which of these languages somebody reads, as `languages.closest` says: just
    theirs, else one with the same base, else the first."""
    if len(languages) < 2:
        return sa.literal(languages[0] if languages else "", sa.Text)
    wanted = sa.func.replace(sa.func.lower(subscriber.c.language), "_", "-")
    cases = [(wanted == one.lower(), one) for one in languages]
    for one in languages:
        base = one.lower().split("-")[0]
        cases.append((sa.or_(wanted == base, wanted.startswith(f"{base}-")), one))
    return sa.case(*cases, else_=sa.literal(languages[0], sa.Text))


def muted_bits(topics: Sequence[str]) -> sa.ColumnElement[int]:
    """SQL over `subscriber`: bit i for each of these topics that somebody did not choose; none for who
    chose nothing and gets all."""
    chose = sa.func.coalesce(sa.cast(subscriber.c.topics, sa.Text), "null") != "null"
    bits: sa.ColumnElement[int] = sa.literal(0, sa.BigInteger)
    for i, topic in enumerate(topics):
        muted = sa.and_(chose, sa.not_(holds_topic(topic)))
        bits = bits + sa.case((muted, sa.literal(1 << i, sa.BigInteger)), else_=0)
    return bits


def muted_by(chosen: Sequence[str] | None, topics: Sequence[str]) -> tuple[str, ...]:
    """The same of one person: those of these topics that they did not choose."""
    return () if chosen is None else tuple(one for one in topics if one not in chosen)


class ReaderKind(NamedTuple):
    """What an edition depends on, of whom it is for."""

    segments: tuple[str, ...] = ()  #: keys in order of priority
    language: str = ""
    muted: tuple[str, ...] = ()  #: topics that they did not choose


@dataclass(frozen=True, slots=True)
class Group:
    """People who are in just the same segments, read the same language and chose the same topics."""

    segments: tuple[str, ...]  #: keys in order of priority
    people: int
    language: str = ""
    muted: tuple[str, ...] = ()  #: topics that they did not choose

    @property
    def reader(self) -> ReaderKind:
        return ReaderKind(self.segments, self.language, self.muted)


def sendable_groups(
    connection: sa.Connection,
    segments: Segments,
    *,
    now: datetime,
    consent_required: bool,
    languages: Sequence[str] = (),
    topics: Sequence[str] = (),
) -> list[Group]:
    """Everybody who may be mailed now, by their set of segments, which of these languages they read and
    which of these topics they did not choose. One query, whatever the size."""
    bits = segment_bits(Asked(segments, now)).label("bits")
    people = (
        sa.select(bits, spoken(languages).label("language"), muted_bits(topics).label("muted"))
        .where(why_not(now=now, consent_required=consent_required).is_(None))
        .subquery()
    )
    rows = connection.execute(
        sa.select(people.c.bits, people.c.language, people.c.muted, sa.func.count())
        .group_by(people.c.bits, people.c.language, people.c.muted)
        .order_by(people.c.bits, people.c.language, people.c.muted)
    )
    return [
        Group(
            segments.from_bits(found),
            number,
            language,
            tuple(topic for i, topic in enumerate(topics) if muted >> i & 1),
        )
        for found, language, muted, number in rows
    ]


def count(connection: sa.Connection, rule: Rule, asked: Asked) -> int:
    """How many subscribers a rule finds, whatever their status."""
    found = connection.scalar(
        sa.select(sa.func.count()).select_from(subscriber).where(where(rule, asked))
    )
    return int(found or 0)


def count_sendable(
    connection: sa.Connection, rule: Rule, asked: Asked, *, consent_required: bool
) -> int:
    """How many of those who may be mailed now a rule finds."""
    against = why_not(now=asked.now, consent_required=consent_required)
    found = sa.select(sa.func.count()).select_from(subscriber)
    return int(connection.scalar(found.where(where(rule, asked), against.is_(None))) or 0)


def find(connection: sa.Connection, email: str) -> Subscriber:
    """The subscriber with this address. Raises NotFoundError, or InputError for what is none."""
    row = connection.execute(
        sa.select(subscriber).where(subscriber.c.address_key == address_key(email))
    ).first()
    if row is None:
        raise NotFoundError(f"{email} is not among the subscribers")
    return _subscriber(row)


def language_of(connection: sa.Connection, subscriber_id: int) -> str:
    """The language that somebody chose, empty for none."""
    found: str | None = connection.scalar(
        sa.select(subscriber.c.language).where(subscriber.c.id == subscriber_id)
    )
    return found or ""


def subscriber_of(connection: sa.Connection, key: str) -> int | None:
    """The number of the subscriber with this folded address."""
    found: int | None = connection.scalar(
        sa.select(subscriber.c.id).where(subscriber.c.address_key == key)
    )
    return found


def address_key(email: str) -> str:
    """The folded form under which an address is kept. Raises InputError."""
    try:
        return parse_address(email).key
    except AddressError as error:
        raise InputError(f'"{email}" is no e-mail address: {error}') from None


def segments_of(
    connection: sa.Connection, segments: Segments, subscriber_id: int
) -> tuple[str, ...]:
    """Keys of the segments that the person is in, in order of priority."""
    asked = Asked(segments, datetime.now(UTC), subscriber_id)
    bits = connection.scalar(sa.select(segment_bits(asked)).where(subscriber.c.id == subscriber_id))
    return segments.from_bits(int(bits or 0))


def reason_against(
    connection: sa.Connection, subscriber_id: int, *, consent_required: bool
) -> str | None:
    """Why this person may not be mailed now, or None."""
    reason: str | None = connection.scalar(
        sa.select(why_not(now=datetime.now(UTC), consent_required=consent_required)).where(
            subscriber.c.id == subscriber_id
        )
    )
    return reason


def set_status(
    connection: sa.Connection, subscriber_ids: Iterable[int], status: str, *, now: datetime
) -> None:
    """Subscribe or unsubscribe people; those who are in that state already stay untouched."""
    assert status in STATUSES
    connection.execute(
        subscriber.update()
        .where(subscriber.c.id.in_(list(subscriber_ids)), subscriber.c.status != status)
        .values(status=status, updated_at=now)
    )


def memberships(connection: sa.Connection, subscriber_ids: Sequence[int]) -> dict[int, set[str]]:
    """The manual segments of people, by subscriber id; people without any are absent."""
    found: dict[int, set[str]] = {}
    for person, segment in connection.execute(
        sa.select(membership.c.subscriber_id, membership.c.segment).where(
            membership.c.subscriber_id.in_(subscriber_ids)
        )
    ):
        found.setdefault(person, set()).add(segment)
    return found


def add_memberships(connection: sa.Connection, pairs: Sequence[tuple[str, int]]) -> int:
    """Put people into manual segments, as (segment key, subscriber id); returns how many were new."""
    known = memberships(connection, [person for _, person in pairs])
    new = [
        (segment, person)
        for segment, person in dict.fromkeys(pairs)
        if segment not in known.get(person, ())
    ]
    if new:
        now = datetime.now(UTC)
        connection.execute(
            membership.insert(),
            [
                {"segment": segment, "subscriber_id": person, "added_at": now}
                for segment, person in new
            ],
        )
    return len(new)


def remove_members(connection: sa.Connection, segment: str, subscriber_ids: Sequence[int]) -> int:
    """Take people out of a manual segment; returns how many were in it."""
    result = connection.execute(
        membership.delete().where(
            membership.c.segment == segment, membership.c.subscriber_id.in_(subscriber_ids)
        )
    )
    return result.rowcount


def log(
    connection: sa.Connection, actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """One line in the audit log: who did what to whom, and why."""
    connection.execute(
        audit_log.insert(),
        {
            "at": datetime.now(UTC),
            "actor": actor,
            "action": action,
            "subject": subject,
            "detail": dict(detail),
        },
    )


def _subscriber(row: sa.Row[Any]) -> Subscriber:
    return Subscriber(
        id=row.id,
        address=row.address,
        name=row.name,
        status=row.status,
        language=row.language,
        fields=row.fields,
        consent_at=row.consent_at,
        consent_source=row.consent_source,
        topics=None if row.topics is None else tuple(row.topics),
    )
