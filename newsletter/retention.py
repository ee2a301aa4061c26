"""What is no longer needed is deleted: events of old mailings, requests that nobody confirmed, suppressions
that have expired. The figures of an issue stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.audience import forget_unconfirmed
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.db.schema import delivery, event, installation, kept_report, mailing, suppression
from newsletter.reports import keep_report

EVERY = timedelta(days=1)
_PIECE = 20_000  # rows a transaction: other writers get in between


@dataclass(frozen=True, slots=True)
class Deleted:
    """How much a round deleted."""

    events: int
    requests: int  #: of people who never confirmed
    suppressions: int  #: that held until a day that is past

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def delete_old(
    database: Database, settings: Settings, *, names: Mapping[str, str], now: datetime
) -> Deleted:
    """Delete what is past its time at `now` (aware). Cut off anywhere, the next round goes on. `names`
    maps segment keys to names, for the figures that are kept."""
    days = settings.tracking.keep_days
    events = 0
    if days:
        old = _ended_before(database, now - timedelta(days=days))
        with database.read() as connection:
            known = set(connection.scalars(sa.select(kept_report.c.issue)))
        for number, issue in old.items():
            if issue not in known:  # before the report says that this was done
                _without_answers(database, number)
        for issue in sorted({one for one in old.values() if one is not None} - known):
            keep_report(database, issue, names=names, zone=settings.publication.zone, now=now)
        events = sum(_without_events(database, number) for number in old)
    before = now - timedelta(days=settings.signup.confirm_days)
    with database.write() as connection:
        requests = forget_unconfirmed(connection, before=before)
        suppressions = connection.execute(
            suppression.delete().where(suppression.c.expires_at <= now)
        ).rowcount
    return Deleted(events, requests, suppressions)


def claim_round(connection: sa.Connection, now: datetime) -> bool:
    """Whether a day has passed since the last round; then the next one is the caller's."""
    key = installation.c.key == "retention"
    last = connection.scalar(sa.select(installation.c.value).where(key))
    if last is not None and now - datetime.fromisoformat(last) < EVERY:
        return False
    connection.execute(installation.delete().where(key))
    connection.execute(installation.insert(), {"key": "retention", "value": now.isoformat()})
    return True


def _ended_before(database: Database, moment: datetime) -> dict[int, str | None]:
    """Mailings that ended before that, with their issues; an issue's only when all of them have."""
    ended = mailing.c.state.in_(("done", "cancelled"))
    last = sa.func.coalesce(mailing.c.finished_at, mailing.c.started_at, mailing.c.created_at)
    with database.read() as connection:
        rows = connection.execute(
            sa.select(mailing.c.id, mailing.c.issue, sa.and_(ended, last < moment).label("old"))
        ).all()
    young = {row.issue for row in rows if row.issue is not None and not row.old}
    return {row.id: row.issue for row in rows if row.old and row.issue not in young}


def _without_answers(database: Database, number: int) -> None:
    """Delete what servers answered to a mailing: addresses stand in it."""
    with database.write() as connection:
        connection.execute(
            delivery.update()
            .where(delivery.c.mailing == number, delivery.c.answer.is_not(None))
            .values(answer=None)
        )


def _without_events(database: Database, number: int) -> int:
    """Delete a mailing's events; returns how many."""
    deleted = 0
    while True:
        some = (
            sa.select(event.c.n).where(event.c.mailing == number).order_by(event.c.n).limit(_PIECE)
        )
        with database.write() as connection:
            gone = connection.execute(
                event.delete().where(event.c.mailing == number, event.c.n.in_(some))
            ).rowcount
        if not gone:
            return deleted
        deleted += gone
