"""What a verified token leads to: a link, a mail to show, an action, a person's state."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from newsletter.audience import masked
from newsletter.db import Database
from newsletter.db.schema import (
    archive,
    delivery,
    edition,
    edition_action,
    event,
    installation,
    link,
    mailing_edition,
    subscriber,
)
from newsletter.tracking.tokens import Ref

UNDO = timedelta(days=1)  #: how long a way back is open without a new sign-up
_CACHED = 50_000  #: deliveries and links in memory; redirects then ask no database


@dataclass(frozen=True, slots=True)
class Mail:
    """The edition that a delivery got."""

    edition: str
    nonce: str
    html: str
    subject: str
    language: str


@dataclass(frozen=True, slots=True)
class Reader:
    """The person of a delivery, as far as a page may show them."""

    id: int
    name: str
    address: str
    status: str
    consent_at: datetime | None
    consent_source: str
    created_at: datetime
    language: str
    paused_until: datetime | None

    @property
    def masked(self) -> str:
        return masked(self.address)


@dataclass(frozen=True, slots=True)
class ActionPage:
    """An action, and what this reader said of it last."""

    text: str
    label: str
    headline: str
    brief: str
    issue: str
    state: str | None  #: "done", "not_for_me" or None


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """A published issue."""

    id: str
    title: str
    subject: str
    date: date
    url: str


class Lookup:
    """Reads; never changes anything. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._editions: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._links: OrderedDict[tuple[str, int], str] = OrderedDict()

    def link(self, ref: Ref, n: int) -> str | None:
        """The exact address of link `n` of the delivery's edition."""
        edition_id = self._edition_of(ref)
        if edition_id is None:
            return None
        key = (edition_id, n)
        url = self._links.get(key)
        if url is None:
            with self.database.read() as connection:
                url = connection.scalar(
                    sa.select(link.c.url).where(link.c.edition == edition_id, link.c.n == n)
                )
            if url is not None:
                _remember(self._links, key, url)
        return url

    def mail(self, ref: Ref) -> Mail | None:
        """The mail that the delivery got, slots open."""
        edition_id = self._edition_of(ref)
        with self.database.read() as connection:
            row = connection.execute(sa.select(edition).where(edition.c.id == edition_id)).first()
        if row is None:
            return None
        return Mail(row.id, row.nonce, row.html, row.subject, row.language)

    def reader(self, ref: Ref) -> Reader | None:
        """The person; None for test tokens and for people who were erased."""
        if ref.test:
            return None
        with self.database.read() as connection:
            row = connection.execute(
                sa.select(subscriber)
                .join(delivery, delivery.c.subscriber_id == subscriber.c.id)
                .where(delivery.c.mailing == ref.mailing, delivery.c.n == ref.n)
            ).first()
        if row is None:
            return None
        return Reader(
            id=row.id,
            name=row.name,
            address=row.address,
            status=row.status,
            consent_at=row.consent_at,
            consent_source=row.consent_source,
            created_at=row.created_at,
            language=row.language,
            paused_until=row.paused_until,
        )

    def may_undo(self, ref: Ref, *, now: datetime | None = None) -> bool:
        """Whether this very mail's reader left through it within the last day."""
        with self.database.read() as connection:
            row = connection.execute(
                sa.select(event.c.kind, event.c.at)
                .where(event.c.mailing == ref.mailing, event.c.delivery == ref.n)
                .where(event.c.kind.in_(("unsubscribe", "resubscribe")))
                .order_by(event.c.n.desc())
                .limit(1)
            ).first()
        now = now or datetime.now(UTC)
        return row is not None and row.kind == "unsubscribe" and now - row.at < UNDO

    def action(self, ref: Ref, n: int) -> ActionPage | None:
        """Action `n` of the delivery's edition."""
        edition_id = self._edition_of(ref)
        with self.database.read() as connection:
            row = connection.execute(
                sa.select(edition_action, edition.c.signature)
                .join(edition, edition.c.id == edition_action.c.edition)
                .where(edition_action.c.edition == edition_id, edition_action.c.n == n)
            ).first()
            said = None if ref.test else self._said(connection, ref, n)
        if row is None:
            return None
        return ActionPage(
            text=row.text,
            label=row.label,
            headline=row.headline,
            brief=row.brief,
            issue=row.signature["issue"],
            state=None if said == "undo" else said,
        )

    @staticmethod
    def _said(connection: sa.Connection, ref: Ref, n: int) -> str | None:
        """What the reader said last of an action: "done", "not_for_me", "undo" or nothing."""
        said: str | None = connection.scalar(
            sa.select(event.c.kind)
            .where(
                event.c.mailing == ref.mailing,
                event.c.delivery == ref.n,
                event.c.ref == n,
                event.c.kind.in_(("done", "not_for_me", "undo")),
            )
            .order_by(event.c.n.desc())
            .limit(1)
        )
        return said

    def issues(self, base_url: str) -> list[ArchiveEntry]:
        """Published issues, the newest first."""
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(archive)
                .where(archive.c.published_at.is_not(None))
                .order_by(archive.c.date.desc(), archive.c.issue.desc())
            ).all()
        return [
            ArchiveEntry(
                row.issue, row.title, row.subject, row.date, f"{base_url}/issues/{row.issue}"
            )
            for row in rows
        ]

    def issue_page(self, issue: str) -> str | None:
        """The public page of a published issue."""
        if "\0" in issue:  # which PostgreSQL can't be asked
            return None
        with self.database.read() as connection:
            html: str | None = connection.scalar(
                sa.select(archive.c.html).where(
                    archive.c.issue == issue, archive.c.published_at.is_not(None)
                )
            )
        return html

    def ready(self) -> bool:
        """Whether the database answers, and is ours."""
        with self.database.read() as connection:
            return connection.scalar(sa.select(sa.exists().select_from(installation))) is True

    def _edition_of(self, ref: Ref) -> str | None:
        if ref.test:
            return ref.test_edition
        key = (ref.mailing, ref.n)
        found = self._editions.get(key)
        if found is None:
            with self.database.read() as connection:
                found = connection.scalar(
                    sa.select(mailing_edition.c.edition)
                    .join(
                        delivery,
                        sa.and_(
                            delivery.c.mailing == mailing_edition.c.mailing,
                            delivery.c.edition == mailing_edition.c.n,
                        ),
                    )
                    .where(delivery.c.mailing == ref.mailing, delivery.c.n == ref.n)
                )
            if found is not None:
                _remember(self._editions, key, found)
        return found


def _remember(cache: OrderedDict[Any, str], key: Any, value: str) -> None:
    cache[key] = value
    while len(cache) > _CACHED:
        cache.popitem(last=False)
