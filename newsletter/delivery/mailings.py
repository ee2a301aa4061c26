"""Mailings from outside: approve, look at, audit. What the command line and the console ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from newsletter.audience import log
from newsletter.db import Database
from newsletter.db.schema import mailing
from newsletter.delivery.ledger import OPEN, STATES, edition_counts, state_counts
from newsletter.delivery.plan import exclusions, load_plan, mailings_of
from newsletter.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Audit:
    """The books of a mailing: `candidates = deliveries + Σ excluded`, `deliveries = Σ states`."""

    mailing: int
    state: str
    candidates: int
    deliveries: int
    planned: int  #: deliveries that the plan's editions name
    excluded: Mapping[str, int]
    states: Mapping[str, int]
    editions: Mapping[str, Mapping[str, int]]

    @property
    def unresolved(self) -> int:
        return self.states["uncertain"]

    @property
    def ok(self) -> bool:
        """Both sums hold, and a finished mailing has nothing open and nothing uncertain."""
        sums = (
            self.candidates == self.deliveries + sum(self.excluded.values())
            and self.deliveries == sum(self.states.values()) == self.planned
        )
        open_rows = sum(self.states[state] for state in OPEN) if self.state == "done" else 0
        return sums and not open_rows and not self.unresolved

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "mailing": self.mailing,
            "state": self.state,
            "candidates": self.candidates,
            "deliveries": self.deliveries,
            "excluded": dict(self.excluded),
            "states": dict(self.states),
            "unresolved": self.unresolved,
            "editions": {key: dict(states) for key, states in self.editions.items()},
        }


def regular_mailing(connection: sa.Connection, issue: str) -> sa.Row[Any]:
    """The newest mailing of an issue. Raises NotFoundError when nothing was planned."""
    return mailings_of(connection, issue)[-1]


def approve(database: Database, issue: str, *, plan: str | None, actor: str) -> str:
    """Approve the issue's plan; returns its hash. `plan` (a hash or the beginning of one, at least
    six characters) binds the approval to what was looked at."""
    with database.write() as connection:
        row = regular_mailing(connection, issue)
        if row.state == "approved" and (plan is None or row.plan.startswith(plan)):
            return str(row.plan)
        if row.state not in ("planned", "approved"):
            raise RefusedError(
                f"the mailing of {issue} is {row.state}; there is nothing to approve"
            )
        if plan is not None and (len(plan) < 6 or not row.plan.startswith(plan)):
            raise RefusedError(
                f"the plan of {issue} is {row.plan}, not {plan}: it was made again since. "
                f"Look at it once more: newsletter send plan {issue}"
            )
        connection.execute(
            mailing.update()
            .where(mailing.c.id == row.id)
            .values(state="approved", approved_at=datetime.now(UTC), approved_by=actor)
        )
        log(connection, actor, "approve", str(row.id), {"plan": row.plan})
        return str(row.plan)


def audit_mailing(connection: sa.Connection, mailing_id: int) -> Audit:
    """Recompute the books of one mailing from its rows."""
    plan = load_plan(connection, mailing_id)
    states = state_counts(connection, mailing_id)
    row = connection.execute(sa.select(mailing.c.state).where(mailing.c.id == mailing_id)).one()
    return Audit(
        mailing=mailing_id,
        state=row.state,
        candidates=plan.candidates,
        deliveries=sum(states.values()),
        planned=plan.deliveries,
        excluded=exclusions(connection, mailing_id),
        states=states,
        editions=edition_counts(connection, mailing_id),
    )


def audit_issue(database: Database, issue: str) -> dict[str, Any]:
    """The shape that `send audit --json` prints: the sums of an issue's mailings, each listed."""
    with database.read() as connection:
        audits = [audit_mailing(connection, row.id) for row in mailings_of(connection, issue)]
    excluded: dict[str, int] = {}
    for one in audits:
        for reason, people in one.excluded.items():
            excluded[reason] = excluded.get(reason, 0) + people
    return {
        "ok": all(one.ok for one in audits),
        "candidates": sum(one.candidates for one in audits),
        "deliveries": sum(one.deliveries for one in audits),
        "excluded": excluded,
        "states": {state: sum(one.states[state] for one in audits) for state in STATES},
        "unresolved": sum(one.unresolved for one in audits),
        "mailings": [one.as_dict() for one in audits],
    }


def status_issue(database: Database, issue: str) -> dict[str, Any]:
    """The shape that `send status --json` prints. Rate is messages a second since the start."""
    with database.read() as connection:
        rows = mailings_of(connection, issue)
        counted = [(row, state_counts(connection, row.id)) for row in rows]
    now = datetime.now(UTC)
    mailings = [_status(row, states, now) for row, states in counted]
    states = {state: sum(one["states"][state] for one in mailings) for state in STATES}
    latest = mailings[-1]
    return {**latest, "states": states, "mailings": mailings}


def _status(row: sa.Row[Any], states: Mapping[str, int], now: datetime) -> dict[str, Any]:
    rate, eta = 0.0, None
    if row.started_at:
        seconds = max(((row.finished_at or now) - row.started_at).total_seconds(), 0.001)
        rate = round(states["accepted"] / seconds, 1)
    if row.state == "running" and rate:
        eta = round(sum(states[state] for state in OPEN) / rate, 1)
    return {
        "mailing": row.id,
        "kind": row.kind,
        "state": row.state,
        "plan": row.plan,
        "transport": row.transport,
        "states": dict(states),
        "rate": rate,
        "eta": eta,
        "approved_by": row.approved_by,
        "started_at": row.started_at.isoformat() if row.started_at else None,
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
    }
