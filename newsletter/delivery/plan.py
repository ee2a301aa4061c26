"""Planning a mailing: which edition goes to whom, who is left out and why, frozen under one hash.

Set-based: the database moves the people, Python only names editions. From here on sender, workers
and web read the database and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from newsletter.audience import (
    Asked,
    ReaderKind,
    Rule,
    Segments,
    log,
    muted_bits,
    segment_bits,
    spoken,
    where,
    why_not,
)
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
from newsletter.delivery.chance import share_of
from newsletter.delivery.ledger import REFUSED
from newsletter.editions import Edition, signature_dict
from newsletter.errors import NotFoundError, RefusedError

#: Days after an issue during which somebody with that wish gets no other one.
_RESTS = {"fortnightly": 10, "monthly": 24}
ALREADY, NOT_TARGETED, EXCLUDED, BOUNCED, TOO_SOON, NO_BRIEF = (
    "already_received",
    "not_in_target",
    "excluded",
    "bounced",
    "frequency",
    "no_brief",
)
_UNDER_WAY = ("running", "paused", "held")
_MAILED = ("accepted", "handed", "uncertain", "deferred", "claimed")
MOST_EDITIONS = 500
_PIECE = 10_000  # people


@dataclass(frozen=True, slots=True)
class PlannedEdition:
    """An edition and who gets it, in one arm of a split test."""

    edition: Edition
    readers: tuple[ReaderKind, ...]
    arm: str = ""


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a split test, with the share of people (0 to 1) who are drawn for it."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Options:
    """What a plan is asked for. All of it is in the plan's hash."""

    to: Rule | None = None  #: only people whom the rule finds
    exclude: Rule | None = None  #: nobody whom the rule finds
    send_at: datetime | None = None  #: not before
    not_after: datetime | None = None  #: nothing is handed out later
    canary: float = 0.0  #: share (0 to 1) that goes first
    arms: tuple[Arm, ...] = ()  #: their shares sum to 1; empty without a split test
    seed: int = 0  #: of the draw

    def as_dict(self) -> dict[str, Any]:
        """JSON for the mailing's row; what was not asked for is left out."""
        values = {
            "to": self.to and self.to.text,
            "exclude": self.exclude and self.exclude.text,
            "send_at": self.send_at and self.send_at.isoformat(),
            "not_after": self.not_after and self.not_after.isoformat(),
            "canary": self.canary,
            "arms": [[arm.name, arm.share] for arm in self.arms],
            "seed": self.seed if self.arms else 0,
        }
        return {key: value for key, value in values.items() if value}


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
    arm: str = ""  #: of a split test


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
    kind: str = "issue"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def deliveries(self) -> int:
        return sum(line.recipients for line in self.editions)

    def as_dict(self) -> dict[str, Any]:
        """The shape that `send plan --json` prints."""
        return {
            "plan": self.hash,
            "mailing": self.mailing,
            "kind": self.kind,
            "transport": self.transport,
            "options": dict(self.options),
            "candidates": self.candidates,
            "deliveries": self.deliveries,
            "excluded": dict(self.excluded),
            "editions": [
                {
                    "edition": line.edition,
                    "lens": line.lens,
                    "arm": line.arm,
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
        self,
        database: Database,
        segments: Segments,
        *,
        consent_required: bool,
        actor: str,
        languages: Sequence[str] = (),
        topics: Sequence[str] = (),
        empty: Sequence[ReaderKind] = (),
    ) -> None:
        """`languages` are those that there are editions in, the publication's own first; `topics` those
        of the issue's briefs that readers may not have chosen; `empty` are the readers who would get no
        brief at all, and so no mail."""
        self.empty = empty
        self.languages = languages
        self.topics = topics
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
        kind: str = "issue",
        options: Options = Options(),
    ) -> Plan:
        """Store editions, links, recipients and exclusions in one transaction.

        `editions` must cover every set of segments that a sendable person is in. An earlier plan
        that was never started is replaced. Raises RefusedError while the issue is being sent.
        """
        now = datetime.now(UTC)
        with self.database.write() as connection:
            self._make_room(connection, issue)
            store_editions(connection, [one.edition for one in editions], now)
            values = {
                "kind": kind,
                "issue": issue,
                "transport": transport,
                "fingerprint": fingerprint,
                "options": options.as_dict(),
                "send_at": options.send_at,
            }
            mailing_id = self._mailing(connection, values, now)
            self._exclude(connection, mailing_id, issue, now, options)
            self._deliver(connection, mailing_id, editions, now, options)
            self._lines(connection, mailing_id, editions)
            _store_page(connection, issue, page)
            digest = plan_hash(connection, mailing_id)
            connection.execute(
                mailing.update().where(mailing.c.id == mailing_id).values(plan=digest)
            )
            plan = load_plan(connection, mailing_id)
            detail = {"issue": issue, "plan": digest, "deliveries": plan.deliveries}
            log(connection, self.actor, "plan", str(mailing_id), detail)
        return plan

    def _make_room(self, connection: sa.Connection, issue: str) -> None:
        rows = connection.execute(
            sa.select(mailing.c.id, mailing.c.state, mailing.c.started_at).where(
                mailing.c.issue == issue, mailing.c.kind != "service"
            )
        ).all()
        # one that is held before anything of it left is as good as not started
        untouched = [row.id for row in rows if row.state == "held" and row.started_at is None]
        for row in rows:
            if row.state in _UNDER_WAY and row.id not in untouched:
                raise RefusedError(
                    f"issue {issue} is {row.state}; see: newsletter send status {issue}"
                )
        unstarted = [row.id for row in rows if row.state in ("planned", "approved")] + untouched
        for table in (delivery, exclusion, mailing_edition):
            connection.execute(table.delete().where(table.c.mailing.in_(unstarted)))
        connection.execute(mailing.delete().where(mailing.c.id.in_(unstarted)))

    def _mailing(self, connection: sa.Connection, values: Mapping[str, Any], now: datetime) -> int:
        result = connection.execute(
            mailing.insert(),
            {
                **values,
                "state": "planned",
                "plan": "",
                "segments": list(self.segments.keys),
                "candidates": connection.scalar(sa.select(sa.func.count()).select_from(subscriber)),
                "created_at": now,
            },
        )
        assert result.inserted_primary_key is not None
        return int(result.inserted_primary_key[0])

    def _reason(self, issue: str, now: datetime, options: Options) -> sa.ColumnElement[str | None]:
        """Why a person is left out of this mailing, or NULL."""
        of_issue = (
            sa.exists()
            .where(delivery.c.subscriber_id == subscriber.c.id)
            .where(delivery.c.mailing == mailing.c.id, mailing.c.issue == issue)
            .where(mailing.c.kind != "service")
        )
        refused = of_issue.where(delivery.c.state == "rejected", delivery.c.reason == REFUSED)
        cases: list[tuple[sa.ColumnElement[bool], str]] = [
            (of_issue.where(delivery.c.state.in_(_MAILED)), ALREADY),
            (refused, BOUNCED),
        ]
        asked = Asked(self.segments, now)
        cases.append((_too_soon(now), TOO_SOON))
        # a rule that is neither true nor false of somebody (a field that is empty) does not find them
        if options.to is not None:
            cases.append(
                (sa.not_(sa.func.coalesce(where(options.to, asked), sa.false())), NOT_TARGETED)
            )
        if options.exclude is not None:
            cases.append((sa.func.coalesce(where(options.exclude, asked), sa.false()), EXCLUDED))
        person = why_not(now=now, consent_required=self.consent_required)
        return sa.func.coalesce(person, sa.case(*cases, else_=sa.null()))

    def _exclude(
        self,
        connection: sa.Connection,
        mailing_id: int,
        issue: str,
        now: datetime,
        options: Options,
    ) -> None:
        reason = self._reason(issue, now, options)
        people = sa.select(
            sa.literal(mailing_id, sa.Integer), subscriber.c.id, reason.label("reason")
        ).subquery()
        connection.execute(
            exclusion.insert().from_select(
                ["mailing", "subscriber_id", "reason"],
                sa.select(people).where(people.c.reason.is_not(None)),
            )
        )

        if not self.empty:
            return
        columns = (sa.column("bits", sa.BigInteger), sa.column("muted", sa.BigInteger))
        kinds = {(self.segments.to_bits(one.segments), self._muted(one)) for one in self.empty}
        none = sa.values(*columns, name="none").data(sorted(kinds)).cte()
        known = sa.exists().where(
            exclusion.c.mailing == mailing_id, exclusion.c.subscriber_id == subscriber.c.id
        )
        others = (
            sa.select(
                subscriber.c.id,
                segment_bits(Asked(self.segments, now)).label("bits"),
                muted_bits(self.topics).label("muted"),
            )
            .where(sa.not_(known))
            .subquery()
        )
        both = sa.and_(none.c.bits == others.c.bits, none.c.muted == others.c.muted)
        rows = sa.select(
            sa.literal(mailing_id, sa.Integer), others.c.id, sa.literal(NO_BRIEF)
        ).select_from(others.join(none, both))
        connection.execute(
            exclusion.insert().from_select(["mailing", "subscriber_id", "reason"], rows)
        )

    def _muted(self, reader: ReaderKind) -> int:
        """The number that `muted_bits` gives these readers."""
        return sum(1 << i for i, topic in enumerate(self.topics) if topic in reader.muted)

    def _deliver(
        self,
        connection: sa.Connection,
        mailing_id: int,
        editions: Sequence[PlannedEdition],
        now: datetime,
        options: Options,
    ) -> None:
        """Number everybody who is not excluded, each with the edition of their set of segments and
        of the arm that they are drawn for."""
        which = [
            (
                self.segments.to_bits(reader.segments),
                planned.arm,
                reader.language,
                self._muted(reader),
                n,
            )
            for n, planned in enumerate(editions, 1)
            for reader in planned.readers
        ]
        if not which:
            return
        columns = (
            sa.column("bits", sa.BigInteger),
            sa.column("arm", sa.Text),
            sa.column("language", sa.Text),
            sa.column("muted", sa.BigInteger),
            sa.column("edition", sa.Integer),
        )
        chosen = sa.values(*columns, name="chosen").data(which).cte()
        people = (
            sa.select(
                subscriber.c.id,
                segment_bits(Asked(self.segments, now)).label("bits"),
                _arm_of(options).label("arm"),
                spoken(self.languages).label("language"),
                muted_bits(self.topics).label("muted"),
            )
            .where(
                ~sa.exists()
                .where(exclusion.c.mailing == mailing_id)
                .where(exclusion.c.subscriber_id == subscriber.c.id)
            )
            .cte("people")
            # or the segments' rules are asked again for every edition that a person is compared with
            .prefix_with("MATERIALIZED")
        )
        rows = sa.select(
            sa.literal(mailing_id, sa.Integer),
            sa.func.row_number().over(order_by=people.c.id),
            people.c.id,
            chosen.c.edition,
            people.c.bits,
            sa.func.nullif(people.c.arm, ""),
            sa.literal("planned"),
            sa.literal(0),
        ).select_from(
            people.outerjoin(
                chosen,
                sa.and_(
                    chosen.c.bits == people.c.bits,
                    chosen.c.arm == people.c.arm,
                    chosen.c.language == people.c.language,
                    chosen.c.muted == people.c.muted,
                ),
            )
        )
        names = [
            *("mailing", "n", "subscriber_id", "edition", "segments", "arm", "state", "attempts")
        ]
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
                    if any(key in reader.segments for reader in planned.readers)
                ],
                "recipients": recipients[n],
            }
            for n, planned in enumerate(editions, 1)
            if n in recipients
        ]
        if lines:
            connection.execute(mailing_edition.insert(), lines)


def plan_hash(connection: sa.Connection, mailing_id: int) -> str:
    """One hash over editions, links, options and opaque recipient ids, as they stand in the database
    now; no address is in it."""
    row = connection.execute(sa.select(mailing).where(mailing.c.id == mailing_id)).one()
    ids = [
        line.edition
        for line in connection.execute(
            sa.select(mailing_edition.c.edition)
            .where(mailing_edition.c.mailing == mailing_id)
            .order_by(mailing_edition.c.n)
        )
    ]
    head = [row.fingerprint, row.transport, row.segments, ids, row.kind, row.options]
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for at in connection.execute(
        sa.select(link.c.edition, link.c.n, link.c.url)
        .where(link.c.edition.in_(ids))
        .order_by(link.c.edition, link.c.n)
    ):
        digest.update(f"{at.edition}|{at.n}|{at.url}\n".encode())
    for lines in _recipients(connection, mailing_id):
        digest.update(lines.encode())
    return digest.hexdigest()[:16]


def _recipients(connection: sa.Connection, mailing_id: int) -> Iterator[str]:
    """Who gets which edition, as lines in the order of the numbers, some thousand people a piece: a
    million rows are put together in the database four times as fast as here."""
    row = (
        sa.cast(delivery.c.n, sa.Text)
        + sa.literal(",")
        + sa.cast(delivery.c.subscriber_id, sa.Text)
    )
    row += sa.literal(",") + sa.cast(delivery.c.edition, sa.Text)
    number = sa.bindparam("number", type_=sa.Integer)
    last = sa.bindparam("last", type_=sa.Integer)
    piece = (
        sa.select(delivery.c.n, row.label("line"))
        .where(delivery.c.mailing == mailing_id, delivery.c.n > number, delivery.c.n <= last)
        .order_by(delivery.c.n)
        .subquery()
    )
    lines = sa.select(sa.func.aggregate_strings(piece.c.line, "\n"))
    most = connection.scalar(
        sa.select(sa.func.max(delivery.c.n)).where(delivery.c.mailing == mailing_id)
    )
    for at in range(0, most or 0, _PIECE):
        if found := connection.scalar(lines, {"number": at, "last": at + _PIECE}):
            yield found + "\n"


def _too_soon(now: datetime) -> sa.ColumnElement[bool]:
    """SQL over `subscriber`: whether somebody who wants fewer issues had one lately. The days are less
    than the interval, so that an issue which is early for once is not missed."""
    lately = (
        sa.exists()
        .where(delivery.c.subscriber_id == subscriber.c.id, delivery.c.mailing == mailing.c.id)
        .where(mailing.c.kind == "issue", delivery.c.state.in_(_MAILED))
    )
    return sa.or_(
        *(
            sa.and_(
                subscriber.c.frequency == wish,
                lately.where(mailing.c.started_at > now - timedelta(days=days)),
            )
            for wish, days in _RESTS.items()
        )
    )


def _arm_of(options: Options) -> sa.ColumnElement[str]:
    """SQL over `subscriber`: the arm that a person is drawn for, the same in every plan of the seed."""
    if not options.arms:
        return sa.literal("", sa.Text)
    cases: list[tuple[sa.ColumnElement[bool], str]] = []
    begin = 0.0
    for arm in options.arms[:-1]:
        cases.append((share_of(subscriber.c.id, options.seed, begin, begin + arm.share), arm.name))
        begin += arm.share
    last = options.arms[-1].name
    return sa.case(*cases, else_=sa.literal(last, sa.Text)) if cases else sa.literal(last, sa.Text)


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
            edition.c.signature,
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
        kind=row.kind,
        options=row.options,
        editions=tuple(
            EditionLine(
                edition=line.edition,
                lens=line.lens,
                subject=line.subject,
                segments=tuple(line.segments),
                recipients=line.recipients,
                bytes=line.html_bytes,
                message_bytes=line.message_bytes,
                arm=line.signature.get("arm", ""),
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


def planned_groups(
    connection: sa.Connection, issue: str | None
) -> tuple[str, tuple[str, ...], list[tuple[tuple[str, ...], int]]] | None:
    """The issue that was planned last (or `issue`), the segments that there were, and how many people
    were in which set of them. None when there is no plan. Raises NotFoundError for an unknown issue."""
    if issue is not None:
        rows = mailings_of(connection, issue)
    else:
        newest = (
            sa.select(mailing)
            .where(mailing.c.kind == "issue", mailing.c.issue.is_not(None))
            .order_by(mailing.c.id.desc())
            .limit(1)
        )
        rows = list(connection.execute(newest))
    if not rows:
        return None
    row = rows[0]
    keys: tuple[str, ...] = tuple(row.segments)
    groups = connection.execute(
        sa.select(delivery.c.segments, sa.func.count())
        .where(delivery.c.mailing == row.id)
        .group_by(delivery.c.segments)
    )
    found = [
        (tuple(key for i, key in enumerate(keys) if bits >> i & 1), number)
        for bits, number in groups
    ]
    return row.issue, keys, found
