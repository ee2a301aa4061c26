"""A share of a mailing goes first; the rest waits, and is held when too many of them fail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from newsletter.config import SendingSettings
from newsletter.db.schema import delivery, event, mailing
from newsletter.delivery.chance import share_of

_PASSED = datetime(1970, 1, 1, tzinfo=UTC)  # `canary_until` once the rest may go


@dataclass(slots=True)
class Canary:
    """The canary of one mailing that has not been judged yet."""

    mailing: int
    share: float
    until: datetime | None  #: the rest waits till then; None while the canary is still going out
    seconds: float
    limit: float

    @classmethod
    def of(cls, row: sa.Row[Any], settings: SendingSettings) -> Canary | None:
        share = row.options.get("canary")
        if not share or row.canary_until == _PASSED:
            return None
        return cls(row.id, share, row.canary_until, settings.canary_wait, settings.canary_limit)

    @property
    def only(self) -> sa.ColumnElement[bool]:
        """SQL over `delivery`: whether a row belongs to the canary."""
        return share_of(delivery.c.n, self.mailing, 0.0, self.share)

    def wait(self, connection: sa.Connection, now: datetime) -> None:
        """All of the canary is out."""
        self.until = now + timedelta(seconds=self.seconds)
        self._store(connection, self.until)

    def judge(self, connection: sa.Connection) -> str | None:
        """Why the rest must not go, as a sentence, or None when it may."""
        bounced = (
            sa.exists()
            .where(event.c.mailing == delivery.c.mailing, event.c.delivery == delivery.c.n)
            .where(event.c.kind == "bounce")
        )
        failed = sa.or_(delivery.c.state == "rejected", bounced)
        row = connection.execute(
            sa.select(sa.func.count(), sa.func.count(sa.case((failed, 1)))).where(
                delivery.c.mailing == self.mailing,
                self.only,
                delivery.c.state.in_(("accepted", "rejected", "uncertain", "deferred")),
            )
        ).one()
        sent, bad = row
        if bad > self.limit * sent:
            return (
                f"{bad} of the canary's {sent} messages were refused or bounced, more than "
                f"{self.limit:.0%} (sending.canary_limit)"
            )
        return None

    def passed(self, connection: sa.Connection) -> None:
        lift_canary(connection, self.mailing)

    def _store(self, connection: sa.Connection, until: datetime) -> None:
        connection.execute(
            mailing.update().where(mailing.c.id == self.mailing).values(canary_until=until)
        )


def lift_canary(connection: sa.Connection, mailing_id: int) -> None:
    """The rest may go, whatever became of the canary."""
    connection.execute(
        mailing.update().where(mailing.c.id == mailing_id).values(canary_until=_PASSED)
    )
