"""The figures of an issue: raw and human side by side, actions done first.

`raw` counts events as they came; `human` those that a person made; `readers` different people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from newsletter.db import Database
from newsletter.db.schema import (
    delivery,
    edition,
    edition_action,
    event,
    link,
    mailing_edition,
)
from newsletter.delivery import audit_mailing, mailings_of

_SAID = ("done", "not_for_me", "undo")
_MOST_HOURS = 48
_HUMAN = event.c.verdict == "human"


def issue_report(
    database: Database, issue: str, *, names: Mapping[str, str], zone: ZoneInfo
) -> dict[str, Any]:
    """The shape that `report --json` prints, with more in it. `names` maps segment keys to names.

    Raises NotFoundError when nothing of the issue was planned.
    """
    with database.read() as connection:
        rows = mailings_of(connection, issue)
        return _Report(connection, issue, rows, names, zone).build()


class _Report:
    def __init__(
        self,
        connection: sa.Connection,
        issue: str,
        rows: list[sa.Row[Any]],
        names: Mapping[str, str],
        zone: ZoneInfo,
    ) -> None:
        self.connection = connection
        self.issue = issue
        self.rows = rows
        self.names = names
        self.zone = zone
        self.ids = [row.id for row in rows]
        # the deliveries of these mailings, and the same with their events
        self.mailed = sa.and_(delivery.c.mailing.in_(self.ids), delivery.c.state == "accepted")
        self.joined = event.join(
            delivery,
            sa.and_(delivery.c.mailing == event.c.mailing, delivery.c.n == event.c.delivery),
        )

    def build(self) -> dict[str, Any]:
        said = self._said()
        audits = [audit_mailing(self.connection, number) for number in self.ids]
        states: dict[str, int] = defaultdict(int)
        excluded: dict[str, int] = defaultdict(int)
        for audit in audits:
            for state, number in audit.states.items():
                states[state] += number
            for reason, number in audit.excluded.items():
                excluded[reason] += number
        started = min((row.started_at for row in self.rows if row.started_at), default=None)
        by_kind = self._counts(sa.literal(0))[0] if self.ids else {}
        signature = self.connection.execute(
            sa.select(edition.c.signature)
            .join(mailing_edition, mailing_edition.c.edition == edition.c.id)
            .where(mailing_edition.c.mailing.in_(self.ids))
            .limit(1)
        ).first()
        about = signature.signature if signature else {}
        return {
            "issue_id": self.issue,
            "title": about.get("title", self.issue),
            "subject": about.get("subject", ""),
            "sent_at": f"{started.astimezone(self.zone):%Y-%m-%d %H:%M}" if started else "",
            "recipients": states["accepted"],
            "states": {state: number for state, number in states.items() if number},
            "excluded": dict(excluded),
            "opens": _three(by_kind, "open"),
            "clicks": _three(by_kind, "click"),
            "links": self._links(),
            "actions": self._actions(said),
            "unsubscribed": self._unsubscribed(),
            "bounced": states["rejected"],
            "complained": 0,
            "editions": self._editions(said),
            "segments": self._segments(said),
            "hours": self._hours(),
            "mailings": [
                {
                    "mailing": row.id,
                    "kind": row.kind,
                    "state": row.state,
                    "recipients": audit.states["accepted"],
                }
                for row, audit in zip(self.rows, audits, strict=True)
            ],
        }

    def _counts(
        self, key: sa.ColumnElement[Any], *where: sa.ColumnElement[bool]
    ) -> dict[Any, dict[str, tuple[int, int, int]]]:
        """(raw, human, readers) by key and kind of event."""
        person = delivery.c.mailing * 1_000_000_000_000 + delivery.c.n
        counts: dict[Any, dict[str, tuple[int, int, int]]] = defaultdict(dict)
        for row in self.connection.execute(
            sa.select(
                key.label("key"),
                event.c.kind,
                sa.func.count().label("raw"),
                sa.func.sum(sa.case((_HUMAN, 1), else_=0)).label("human"),
                sa.func.count(sa.distinct(sa.case((_HUMAN, person)))).label("readers"),
            )
            .select_from(self.joined)
            .where(event.c.mailing.in_(self.ids), event.c.kind.in_(("open", "click")), *where)
            .group_by(key, event.c.kind)
        ):
            counts[row.key][row.kind] = (row.raw, row.human, row.readers)
        return counts

    def _said(self) -> list[sa.Row[Any]]:
        """What each reader said last of each action: (mailing, delivery, edition, bits, ref, kind)."""
        last = (
            sa.func.row_number()
            .over(
                partition_by=(event.c.mailing, event.c.delivery, event.c.ref),
                order_by=event.c.n.desc(),
            )
            .label("last")
        )
        said = (
            sa.select(
                delivery.c.mailing,
                delivery.c.edition,
                delivery.c.segments,
                event.c.ref,
                event.c.kind,
                last,
            )
            .select_from(self.joined)
            .where(event.c.mailing.in_(self.ids), event.c.kind.in_(_SAID))
            .subquery()
        )
        return list(
            self.connection.execute(
                sa.select(
                    said.c.mailing,
                    said.c.edition,
                    said.c.segments,
                    said.c.ref,
                    said.c.kind,
                    sa.func.count().label("people"),
                )
                .where(said.c.last == 1, said.c.kind != "undo")
                .group_by(said.c.mailing, said.c.edition, said.c.segments, said.c.ref, said.c.kind)
            )
        )

    def _links(self) -> list[dict[str, Any]]:
        rows = self.connection.execute(
            sa.select(
                link.c.url,
                sa.func.count().label("raw"),
                sa.func.sum(sa.case((_HUMAN, 1), else_=0)).label("human"),
            )
            .select_from(
                self.joined.join(
                    mailing_edition,
                    sa.and_(
                        mailing_edition.c.mailing == delivery.c.mailing,
                        mailing_edition.c.n == delivery.c.edition,
                    ),
                ).join(
                    link,
                    sa.and_(link.c.edition == mailing_edition.c.edition, link.c.n == event.c.ref),
                )
            )
            .where(event.c.mailing.in_(self.ids), event.c.kind == "click")
            .group_by(link.c.url)
            .order_by(sa.desc("human"), sa.desc("raw"), link.c.url)
        )
        return [{"url": row.url, "raw": row.raw, "human": row.human} for row in rows]

    def _actions(self, said: list[sa.Row[Any]]) -> list[dict[str, Any]]:
        """Every action that somebody got, in the order of the issue."""
        rows = self.connection.execute(
            sa.select(
                mailing_edition.c.mailing,
                mailing_edition.c.n.label("edition"),
                edition_action.c.n.label("ref"),
                edition_action.c.action,
                edition_action.c.segments,
                edition_action.c.label,
                edition_action.c.text,
            )
            .join(edition_action, edition_action.c.edition == mailing_edition.c.edition)
            .where(mailing_edition.c.mailing.in_(self.ids))
            .order_by(edition_action.c.n)
        ).all()
        got = self._people_by_edition()
        found: dict[str, dict[str, Any]] = {}
        where: dict[tuple[int, int, int], str] = {}
        for row in rows:
            where[row.mailing, row.edition, row.ref] = row.action
            one = found.setdefault(
                row.action,
                {
                    "id": row.action,
                    "segments": list(row.segments),
                    "label": row.label,
                    "text": row.text,
                    "done": 0,
                    "not_for_me": 0,
                    "readers": 0,
                },
            )
            one["readers"] += got.get((row.mailing, row.edition), 0)
        for answer in said:
            action = where.get((answer.mailing, answer.edition, answer.ref))
            if action:
                found[action][answer.kind] += answer.people
        return sorted(found.values(), key=lambda one: (-one["done"], -one["readers"], one["id"]))

    def _people_by_edition(self) -> dict[tuple[int, int], int]:
        return {
            (row.mailing, row.edition): row.people
            for row in self.connection.execute(
                sa.select(delivery.c.mailing, delivery.c.edition, sa.func.count().label("people"))
                .where(self.mailed)
                .group_by(delivery.c.mailing, delivery.c.edition)
            )
        }

    def _editions(self, said: list[sa.Row[Any]]) -> list[dict[str, Any]]:
        got = self._people_by_edition()
        # (mailing, edition) as one number: mailings have far fewer than 10,000 editions
        counts = self._counts(delivery.c.mailing * 10_000 + delivery.c.edition)
        rows = self.connection.execute(
            sa.select(
                mailing_edition.c.mailing,
                mailing_edition.c.n,
                mailing_edition.c.edition,
                edition.c.lens,
            )
            .join(edition, edition.c.id == mailing_edition.c.edition)
            .where(mailing_edition.c.mailing.in_(self.ids))
        ).all()
        lines = [
            {
                "edition": row.edition,
                "lens": row.lens or "Everybody",
                "recipients": got.get((row.mailing, row.n), 0),
                "opens": _three(counts.get(row.mailing * 10_000 + row.n, {}), "open"),
                "clicks": _three(counts.get(row.mailing * 10_000 + row.n, {}), "click"),
                **_sum_said(
                    one for one in said if (one.mailing, one.edition) == (row.mailing, row.n)
                ),
            }
            for row in rows
        ]
        return sorted(lines, key=lambda line: -line["recipients"])

    def _segments(self, said: list[sa.Row[Any]]) -> list[dict[str, Any]]:
        """By the segments that readers were in when the mailing was planned; overlaps in each."""
        lines: list[dict[str, Any]] = []
        keys: list[str] = list(dict.fromkeys(key for row in self.rows for key in row.segments))
        for key in [*keys, None]:
            bits = {
                row.id: (1 << row.segments.index(key)) if key in row.segments else 0
                for row in self.rows
            }
            member = _member(bits, none=key is None)
            recipients = self.connection.scalar(
                sa.select(sa.func.count()).select_from(delivery).where(self.mailed, member)
            )
            counts = self._counts(sa.literal(0), member).get(0, {})
            mine = (
                one
                for one in said
                if (one.segments == 0 if key is None else one.segments & bits[one.mailing])
            )
            lines.append(
                {
                    "key": key,
                    "name": self.names.get(key, key) if key else "No segment",
                    "recipients": recipients or 0,
                    "opens": _three(counts, "open"),
                    "clicks": _three(counts, "click"),
                    **_sum_said(mine),
                }
            )
        return lines

    def _unsubscribed(self) -> int:
        """Deliveries whose reader left through this mail and did not come back through it."""
        last = sa.func.row_number().over(
            partition_by=(event.c.mailing, event.c.delivery), order_by=event.c.n.desc()
        )
        rows = (
            sa.select(event.c.kind, last.label("last"))
            .where(event.c.mailing.in_(self.ids), event.c.kind.in_(("unsubscribe", "resubscribe")))
            .subquery()
        )
        found = self.connection.scalar(
            sa.select(sa.func.count())
            .select_from(rows)
            .where(rows.c.last == 1, rows.c.kind == "unsubscribe")
        )
        return int(found or 0)

    def _hours(self) -> list[dict[str, Any]]:
        """What people did, by hour of the publication's zone, from the first event on."""
        counts: dict[Any, dict[str, int]] = {}
        for row in self.connection.execute(
            sa.select(event.c.at, event.c.kind).where(
                event.c.mailing.in_(self.ids),
                _HUMAN,
                event.c.kind.in_(("open", "click", "done")),
            )
        ):
            hour = row.at.astimezone(self.zone).replace(minute=0, second=0, microsecond=0)
            line = counts.setdefault(hour, {"opens": 0, "clicks": 0, "done": 0})
            line["done" if row.kind == "done" else f"{row.kind}s"] += 1
        if not counts:
            return []
        first = min(counts)
        hours = [first + timedelta(hours=i) for i in range(_MOST_HOURS)]
        last = max(i for i, hour in enumerate(hours) if hour in counts)
        empty = {"opens": 0, "clicks": 0, "done": 0}
        return [
            {"start": f"{hour:%a %H:%M}", **counts.get(hour, empty)} for hour in hours[: last + 1]
        ]


def _member(bits: Mapping[int, int], *, none: bool) -> sa.ColumnElement[bool]:
    if none:
        return delivery.c.segments == 0
    mine = sa.case(
        *((delivery.c.mailing == number, sa.literal(bit)) for number, bit in bits.items()), else_=0
    )
    return delivery.c.segments.bitwise_and(mine) != 0


def _three(counts: Mapping[str, tuple[int, int, int]], kind: str) -> dict[str, int]:
    raw, human, readers = counts.get(kind, (0, 0, 0))
    return {"raw": raw, "human": human, "readers": readers}


def _sum_said(rows: Any) -> dict[str, int]:
    total = {"done": 0, "not_for_me": 0}
    for row in rows:
        total[row.kind] += row.people
    return total
