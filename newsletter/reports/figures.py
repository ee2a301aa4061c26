"""The figures of an issue: raw and human side by side, actions done first.

`raw` counts events as they came; `human` those that a person made; `readers` different people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from newsletter.db import Database
from newsletter.db.schema import (
    delivery,
    edition,
    edition_action,
    event,
    kept_report,
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
        if (kept := _kept(connection, issue)) is not None:
            return kept
        rows = mailings_of(connection, issue)
        return _Report(connection, issue, rows, names, zone).build()


def keep_report(
    database: Database, issue: str, *, names: Mapping[str, str], zone: ZoneInfo, now: datetime
) -> None:
    """Keep the figures of an issue as they are, so that its events may go. The first time counts: what
    comes back later is in no figure."""
    figures = issue_report(database, issue, names=names, zone=zone)
    with database.write() as connection:
        if _kept(connection, issue) is None:
            values = {"issue": issue, "figures": figures, "kept_at": now}
            connection.execute(kept_report.insert(), values)


def is_kept(database: Database, issue: str) -> bool:
    """Whether the figures of an issue are closed."""
    with database.read() as connection:
        return _kept(connection, issue) is not None


def _kept(connection: sa.Connection, issue: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = connection.scalar(
        sa.select(kept_report.c.figures).where(kept_report.c.issue == issue)
    )
    return found


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
        counts = self._counts()
        people = self._people()
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
            **_both(counts),
            "links": self._links(),
            "actions": self._actions(said, people),
            "unsubscribed": self._unsubscribed(),
            "bounced": states["rejected"],
            "complained": 0,
            "editions": self._editions(said, counts, people),
            "segments": self._segments(said, counts, people),
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

    def _counts(self) -> list[sa.Row[Any]]:
        """Raw, human and readers of opens and clicks by mailing, edition and set of segments.

        A delivery has one edition and one set of segments, so different readers may be summed over
        these groups; everything else is summed from here in Python.
        """
        return list(
            self.connection.execute(
                sa.select(
                    delivery.c.mailing,
                    delivery.c.edition,
                    delivery.c.segments,
                    event.c.kind,
                    sa.func.count().label("raw"),
                    sa.func.sum(sa.case((_HUMAN, 1), else_=0)).label("human"),
                    sa.func.count(sa.distinct(sa.case((_HUMAN, delivery.c.n)))).label("readers"),
                )
                .select_from(self.joined)
                .where(event.c.mailing.in_(self.ids), event.c.kind.in_(("open", "click")))
                .group_by(delivery.c.mailing, delivery.c.edition, delivery.c.segments, event.c.kind)
            )
        )

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

    def _actions(
        self, said: Sequence[sa.Row[Any]], people: Sequence[sa.Row[Any]]
    ) -> list[dict[str, Any]]:
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
        got = _by_edition(people)
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

    def _people(self) -> list[sa.Row[Any]]:
        """Accepted deliveries by mailing, edition and set of segments."""
        return list(
            self.connection.execute(
                sa.select(
                    delivery.c.mailing,
                    delivery.c.edition,
                    delivery.c.segments,
                    sa.func.count().label("people"),
                )
                .where(self.mailed)
                .group_by(delivery.c.mailing, delivery.c.edition, delivery.c.segments)
            )
        )

    def _editions(
        self,
        said: Sequence[sa.Row[Any]],
        counts: Sequence[sa.Row[Any]],
        people: Sequence[sa.Row[Any]],
    ) -> list[dict[str, Any]]:
        got = _by_edition(people)
        rows: list[sa.Row[Any]] = list(
            self.connection.execute(
                sa.select(
                    mailing_edition.c.mailing,
                    mailing_edition.c.n,
                    mailing_edition.c.edition,
                    edition.c.lens,
                )
                .join(edition, edition.c.id == mailing_edition.c.edition)
                .where(mailing_edition.c.mailing.in_(self.ids))
            )
        )

        def mine(of: Sequence[sa.Row[Any]], row: sa.Row[Any]) -> list[sa.Row[Any]]:
            return [one for one in of if (one.mailing, one.edition) == (row.mailing, row.n)]

        lines = [
            {
                "edition": row.edition,
                "lens": row.lens or "Everybody",
                "recipients": got.get((row.mailing, row.n), 0),
                **_both(mine(counts, row)),
                **_answers(mine(said, row)),
            }
            for row in rows
        ]
        return sorted(lines, key=lambda line: -line["recipients"])

    def _segments(
        self,
        said: Sequence[sa.Row[Any]],
        counts: Sequence[sa.Row[Any]],
        people: Sequence[sa.Row[Any]],
    ) -> list[dict[str, Any]]:
        """By the segments that readers were in when the mailing was planned; overlaps in each."""
        lines: list[dict[str, Any]] = []
        keys: list[str] = list(dict.fromkeys(key for row in self.rows for key in row.segments))
        for key in [*keys, None]:
            bits = {
                row.id: (1 << row.segments.index(key)) if key in row.segments else 0
                for row in self.rows
            }

            def member(
                one: sa.Row[Any], key: str | None = key, bits: dict[int, int] = bits
            ) -> bool:
                return bool(one.segments & bits[one.mailing]) if key else one.segments == 0

            lines.append(
                {
                    "key": key,
                    "name": self.names.get(key, key) if key else "No segment",
                    "recipients": sum(one.people for one in people if member(one)),
                    **_both([one for one in counts if member(one)]),
                    **_answers([one for one in said if member(one)]),
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
        if self.connection.dialect.name == "postgresql":
            hour_of = sa.func.to_char(sa.func.timezone("UTC", event.c.at), 'YYYY-MM-DD"T"HH24')
        else:
            hour_of = sa.func.strftime("%Y-%m-%dT%H", event.c.at)
        counts: dict[datetime, dict[str, int]] = {}
        empty = {"opens": 0, "clicks": 0, "done": 0}
        for text, kind, number in self.connection.execute(
            sa.select(hour_of.label("hour"), event.c.kind, sa.func.count())
            .where(
                event.c.mailing.in_(self.ids), _HUMAN, event.c.kind.in_(("open", "click", "done"))
            )
            .group_by("hour", event.c.kind)
        ):
            # zones that are half an hour off keep their halves: an hour is one of UTC
            hour = datetime.fromisoformat(f"{text}:00:00+00:00").astimezone(self.zone)
            line = counts.setdefault(hour, dict(empty))
            line["done" if kind == "done" else f"{kind}s"] += number
        if not counts:
            return []
        first = min(counts)
        hours = [first + timedelta(hours=i) for i in range(_MOST_HOURS)]
        last = max(i for i, hour in enumerate(hours) if hour in counts)
        return [
            {"start": f"{hour:%a %H:%M}", **counts.get(hour, empty)} for hour in hours[: last + 1]
        ]


def _by_edition(people: Sequence[sa.Row[Any]]) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for one in people:
        key = (one.mailing, one.edition)
        found[key] = found.get(key, 0) + one.people
    return found


def _both(counts: Sequence[sa.Row[Any]]) -> dict[str, dict[str, int]]:
    """Opens and clicks, summed: raw, human, readers."""
    return {
        f"{kind}s": {
            name: sum(getattr(one, name) for one in counts if one.kind == kind)
            for name in ("raw", "human", "readers")
        }
        for kind in ("open", "click")
    }


def _answers(said: Sequence[sa.Row[Any]]) -> dict[str, int]:
    """How often "done" and "not for me" was said."""
    return {
        kind: sum(one.people for one in said if one.kind == kind) for kind in ("done", "not_for_me")
    }
