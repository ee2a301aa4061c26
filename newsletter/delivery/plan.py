"""Planning a mailing: which edition goes to whom, who is left out and why, frozen under one hash.

Set-based: the database moves the people, Python only names editions. From here on sender, workers
and web read the database and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from newsletter.audience import Segments, log, segment_bits, why_not
from newsletter.db import Database
from newsletter.db.schema import (
    archive,
    delivery,
    edition,
    edition_action,
    exclusion,
    link,
    mailing,
    mailing_edition,
    subscriber,
)
from newsletter.editions import Edition, signature_dict
from newsletter.errors import NotFoundError, RefusedError

ALREADY = "already_received"
_UNDER_WAY = ("running", "paused", "held")
_MAILED = ("accepted", "handed", "uncertain", "deferred", "claimed")
MOST_EDITIONS = 500


@dataclass(frozen=True, slots=True)
class PlannedEdition:
    """An edition and the sets of segments whose readers get it (keys in order of priority)."""

    edition: Edition
    readers: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ArchivePage:
    """The public page that goes with an issue."""

    title: str
    subject: str
    day: date
    html: str


@dataclass(frozen=True, slots=True)
class EditionLine:
    """One line of the plan's table."""

    edition: str
    lens: str
    subject: str
    segments: tuple[str, ...]  #: of its readers, in order of priority
    recipients: int
    bytes: int  #: of the HTML part
    message_bytes: int  #: of the whole message, slots not counted


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it stands in the database."""

    mailing: int
    issue: str
    hash: str
    transport: str
    candidates: int
    excluded: Mapping[str, int]
    editions: tuple[EditionLine, ...]

    @property
    def deliveries(self) -> int:
        return sum(line.recipients for line in self.editions)

    def as_dict(self) -> dict[str, Any]:
        """The shape that `send plan --json` prints."""
        return {
            "plan": self.hash,
            "mailing": self.mailing,
            "transport": self.transport,
            "candidates": self.candidates,
            "deliveries": self.deliveries,
            "excluded": dict(self.excluded),
            "editions": [
                {
                    "edition": line.edition,
                    "lens": line.lens,
                    "subject": line.subject,
                    "segments": list(line.segments),
                    "recipients": line.recipients,
                    "bytes": line.bytes,
                    "message_bytes": line.message_bytes,
                }
                for line in self.editions
            ],
        }


class Planner:
    """Makes the plan of one issue's regular mailing."""

    def __init__(
        self, database: Database, segments: Segments, *, consent_required: bool, actor: str
    ) -> None:
        self.database = database
        self.segments = segments
        self.consent_required = consent_required
        self.actor = actor

    def plan(
        self,
        issue: str,
        editions: Sequence[PlannedEdition],
        *,
        page: ArchivePage,
        transport: str,
        fingerprint: str,
    ) -> Plan:
        """Store editions, links, recipients and exclusions in one transaction.

        `editions` must cover every set of segments that a sendable person is in. An earlier plan
        that was never started is replaced. Raises RefusedError while the issue is being sent.
        """
        now = datetime.now(UTC)
        with self.database.write() as connection:
            self._make_room(connection, issue)
            store_editions(connection, [one.edition for one in editions], now)
            mailing_id = self._mailing(connection, issue, transport, fingerprint, now)
            self._exclude(connection, mailing_id, issue, now)
            self._deliver(connection, mailing_id, editions)
            self._lines(connection, mailing_id, editions)
            _store_page(connection, issue, page)
            digest = self._hash(connection, mailing_id, fingerprint, transport)
            connection.execute(
                mailing.update().where(mailing.c.id == mailing_id).values(plan=digest)
            )
            plan = load_plan(connection, mailing_id)
            detail = {"issue": issue, "plan": digest, "deliveries": plan.deliveries}
            log(connection, self.actor, "plan", str(mailing_id), detail)
        return plan

    def _make_room(self, connection: sa.Connection, issue: str) -> None:
        rows = connection.execute(
            sa.select(mailing.c.id, mailing.c.state).where(
                mailing.c.issue == issue, mailing.c.kind == "issue"
            )
        ).all()
        for row in rows:
            if row.state in _UNDER_WAY:
                raise RefusedError(
                    f"issue {issue} is {row.state}; see: newsletter send status {issue}"
                )
        unstarted = [row.id for row in rows if row.state in ("planned", "approved")]
        for table in (delivery, exclusion, mailing_edition):
            connection.execute(table.delete().where(table.c.mailing.in_(unstarted)))
        connection.execute(mailing.delete().where(mailing.c.id.in_(unstarted)))

    def _mailing(
        self, connection: sa.Connection, issue: str, transport: str, fingerprint: str, now: datetime
    ) -> int:
        result = connection.execute(
            mailing.insert(),
            {
                "kind": "issue",
                "issue": issue,
                "state": "planned",
                "transport": transport,
                "plan": "",
                "fingerprint": fingerprint,
                "segments": list(self.segments.keys),
                "candidates": connection.scalar(sa.select(sa.func.count()).select_from(subscriber)),
                "created_at": now,
            },
        )
        assert result.inserted_primary_key is not None
        return int(result.inserted_primary_key[0])

    def _reason(self, issue: str, now: datetime) -> sa.ColumnElement[str | None]:
        """Why a person is left out of this mailing, or NULL."""
        received = (
            sa.exists()
            .where(delivery.c.subscriber_id == subscriber.c.id)
            .where(delivery.c.mailing == mailing.c.id, mailing.c.issue == issue)
            .where(mailing.c.kind != "service", delivery.c.state.in_(_MAILED))
        )
        person = why_not(now=now, consent_required=self.consent_required)
        return sa.func.coalesce(person, sa.case((received, ALREADY), else_=sa.null()))

    def _exclude(
        self, connection: sa.Connection, mailing_id: int, issue: str, now: datetime
    ) -> None:
        reason = self._reason(issue, now)
        people = sa.select(
            sa.literal(mailing_id, sa.Integer), subscriber.c.id, reason.label("reason")
        ).subquery()
        connection.execute(
            exclusion.insert().from_select(
                ["mailing", "subscriber_id", "reason"],
                sa.select(people).where(people.c.reason.is_not(None)),
            )
        )

    def _deliver(
        self, connection: sa.Connection, mailing_id: int, editions: Sequence[PlannedEdition]
    ) -> None:
        """Number everybody who is not excluded, each with the edition of their set of segments."""
        which = [
            (self.segments.to_bits(reader), n)
            for n, planned in enumerate(editions, 1)
            for reader in planned.readers
        ]
        if not which:
            return
        columns = sa.column("bits", sa.BigInteger), sa.column("edition", sa.Integer)
        chosen = sa.values(*columns, name="chosen").data(which).cte()
        people = (
            sa.select(subscriber.c.id, segment_bits(self.segments).label("bits"))
            .where(
                ~sa.exists()
                .where(exclusion.c.mailing == mailing_id)
                .where(exclusion.c.subscriber_id == subscriber.c.id)
            )
            .subquery()
        )
        rows = (
            sa.select(
                sa.literal(mailing_id, sa.Integer),
                sa.func.row_number().over(order_by=people.c.id),
                people.c.id,
                chosen.c.edition,
                people.c.bits,
                sa.literal("planned"),
                sa.literal(0),
            )
            .select_from(people.outerjoin(chosen, chosen.c.bits == people.c.bits))
            .order_by(people.c.id)
        )
        names = ["mailing", "n", "subscriber_id", "edition", "segments", "state", "attempts"]
        try:
            connection.execute(delivery.insert().from_select(names, rows))
        except sa.exc.IntegrityError as error:  # no edition for somebody's set of segments
            raise RefusedError(
                "the audience changed while the plan was being made; plan again"
            ) from error

    def _lines(
        self, connection: sa.Connection, mailing_id: int, editions: Sequence[PlannedEdition]
    ) -> None:
        recipients: dict[int, int] = dict(
            tuple(row)
            for row in connection.execute(
                sa.select(delivery.c.edition, sa.func.count())
                .where(delivery.c.mailing == mailing_id)
                .group_by(delivery.c.edition)
            )
        )
        lines = [
            {
                "mailing": mailing_id,
                "n": n,
                "edition": planned.edition.id,
                "segments": [
                    key
                    for key in self.segments.keys
                    if any(key in reader for reader in planned.readers)
                ],
                "recipients": recipients[n],
            }
            for n, planned in enumerate(editions, 1)
            if n in recipients
        ]
        if lines:
            connection.execute(mailing_edition.insert(), lines)

    def _hash(
        self, connection: sa.Connection, mailing_id: int, fingerprint: str, transport: str
    ) -> str:
        """One hash over editions, links, options and opaque recipient ids; no address is in it."""
        ids = [
            row.edition
            for row in connection.execute(
                sa.select(mailing_edition.c.edition)
                .where(mailing_edition.c.mailing == mailing_id)
                .order_by(mailing_edition.c.n)
            )
        ]
        head = [fingerprint, transport, self.segments.keys, ids]
        digest = hashlib.sha256(json.dumps(head).encode())
        for row in connection.execute(
            sa.select(link.c.edition, link.c.n, link.c.url)
            .where(link.c.edition.in_(ids))
            .order_by(link.c.edition, link.c.n)
        ):
            digest.update(f"{row.edition}|{row.n}|{row.url}\n".encode())
        rows = connection.execute(
            sa.select(delivery.c.n, delivery.c.subscriber_id, delivery.c.edition)
            .where(delivery.c.mailing == mailing_id)
            .order_by(delivery.c.n),
            execution_options={"yield_per": 10_000},
        )
        for part in rows.partitions():
            digest.update("".join(f"{n},{person},{which}\n" for n, person, which in part).encode())
        return digest.hexdigest()[:16]


def store_editions(connection: sa.Connection, editions: Sequence[Edition], now: datetime) -> None:
    """Put editions with their links and actions into the database; known ones stay as they are."""
    known = set(
        connection.scalars(
            sa.select(edition.c.id).where(edition.c.id.in_([one.id for one in editions]))
        )
    )
    new = {one.id: one for one in editions if one.id not in known}.values()
    if not new:
        return
    connection.execute(
        edition.insert(),
        [
            {
                "id": one.id,
                "nonce": one.nonce,
                "language": one.signature.language,
                "lens": one.lens,
                "subject": one.subject,
                "signature": signature_dict(one.signature),
                "html": one.html,
                "text": one.text,
                "message": one.message,
                "html_bytes": one.html_bytes,
                "message_bytes": len(one.message),
                "created_at": now,
            }
            for one in new
        ],
    )
    links = [
        {"edition": one.id, "n": at.n, "url": at.url, "brief": at.brief, "action": at.action}
        for one in new
        for at in one.links
    ]
    actions = [
        {
            "edition": one.id,
            "n": action.n,
            "action": action.id,
            "segments": list(action.segments),
            "label": action.label,
            "text": action.text,
            "due": date.fromisoformat(action.due) if action.due else None,
            "brief": action.brief,
            "headline": action.headline,
        }
        for one in new
        for action in one.actions
    ]
    if links:
        connection.execute(link.insert(), links)
    if actions:
        connection.execute(edition_action.insert(), actions)


def _store_page(connection: sa.Connection, issue: str, page: ArchivePage) -> None:
    known = connection.execute(
        sa.select(archive.c.published_at).where(archive.c.issue == issue)
    ).first()
    values = {"title": page.title, "subject": page.subject, "date": page.day, "html": page.html}
    if known is None:
        connection.execute(archive.insert(), {"issue": issue, **values})
    elif known.published_at is None:
        connection.execute(archive.update().where(archive.c.issue == issue).values(**values))


def load_plan(connection: sa.Connection, mailing_id: int) -> Plan:
    """The plan of a mailing, whatever became of it since. Raises NotFoundError."""
    row = connection.execute(sa.select(mailing).where(mailing.c.id == mailing_id)).first()
    if row is None:
        raise NotFoundError(f"there is no mailing {mailing_id}")
    lines = connection.execute(
        sa.select(
            mailing_edition.c.edition,
            mailing_edition.c.segments,
            mailing_edition.c.recipients,
            edition.c.lens,
            edition.c.subject,
            edition.c.html_bytes,
            edition.c.message_bytes,
        )
        .join(edition, edition.c.id == mailing_edition.c.edition)
        .where(mailing_edition.c.mailing == mailing_id)
        .order_by(mailing_edition.c.recipients.desc(), mailing_edition.c.n)
    )
    return Plan(
        mailing=row.id,
        issue=row.issue,
        hash=row.plan,
        transport=row.transport,
        candidates=row.candidates,
        excluded=exclusions(connection, mailing_id),
        editions=tuple(
            EditionLine(
                edition=line.edition,
                lens=line.lens,
                subject=line.subject,
                segments=tuple(line.segments),
                recipients=line.recipients,
                bytes=line.html_bytes,
                message_bytes=line.message_bytes,
            )
            for line in lines
        ),
    )


def exclusions(connection: sa.Connection, mailing_id: int) -> dict[str, int]:
    """How many people were left out, by reason."""
    return dict(
        tuple(row)
        for row in connection.execute(
            sa.select(exclusion.c.reason, sa.func.count())
            .where(exclusion.c.mailing == mailing_id)
            .group_by(exclusion.c.reason)
            .order_by(sa.func.count().desc())
        )
    )


def mailings_of(connection: sa.Connection, issue: str) -> list[sa.Row[Any]]:
    """All mailings of an issue, in the order in which they were planned. Raises NotFoundError."""
    rows = list(
        connection.execute(
            sa.select(mailing).where(mailing.c.issue == issue).order_by(mailing.c.id)
        )
    )
    if not rows:
        raise NotFoundError(
            f"issue {issue} has no plan yet; make one: newsletter send plan {issue}"
        )
    return rows
