"""Mailings from outside: approve, pause, resume, cancel, resolve, look at, audit.

What the command line and the console ask. A send that runs in another process reads what is decided
here within a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from newsletter.audience import log
from newsletter.db import Database
from newsletter.db.schema import delivery, mailing
from newsletter.delivery.canary import lift_canary
from newsletter.delivery.fence import Fence
from newsletter.delivery.ledger import (
    OPEN,
    STATES,
    cancel_open,
    domain_counts,
    edition_counts,
    mailing_row,
    owners,
    resolve,
    state_counts,
)
from newsletter.delivery.owners import lives
from newsletter.delivery.plan import exclusions, load_plan, mailings_of, plan_hash
from newsletter.errors import RefusedError

#: Options of a mailing: dates that have passed and hold it, and those of which somebody said that they know.
DATES_ASKED, DATES_KNOWN = "dates_asked", "dates_known"


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
        """Both sums hold, nobody is uncertain (also while their next attempt is still to come), and a
        finished mailing has nothing open."""
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


def due_issues(database: Database, now: datetime) -> list[str]:
    """Issues whose scheduled mailing should be under way at `now` (an aware datetime), and that no
    living process sends: approved and their time has come, or left behind by one that died."""
    with database.read() as connection:
        rows = connection.execute(
            sa.select(mailing.c.id, mailing.c.issue)
            .where(mailing.c.state.in_(("approved", "running")), mailing.c.kind != "service")
            .where(mailing.c.send_at <= now)
            .order_by(mailing.c.send_at, mailing.c.id)
        ).all()
        return [
            row.issue
            for row in rows
            if not any(lives(one, until, now) for one, until in owners(connection, row.id).items())
        ]


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
        if not connection.scalar(sa.select(sa.exists().where(delivery.c.mailing == row.id))):
            raise RefusedError(f"the plan of {issue} has nobody to mail")
        connection.execute(
            mailing.update()
            .where(mailing.c.id == row.id)
            .values(state="approved", approved_at=datetime.now(UTC), approved_by=actor)
        )
        log(connection, actor, "approve", str(row.id), {"plan": row.plan})
        return str(row.plan)


def refuse_tampered(database: Database, mailing_id: int) -> None:
    """Compute the hash of an approved plan again. Raises RefusedError when the rows give another."""
    with database.read() as connection:
        approved = connection.scalar(sa.select(mailing.c.plan).where(mailing.c.id == mailing_id))
        found = plan_hash(connection, mailing_id)
    if found != approved:
        raise RefusedError(
            f"what the database holds of mailing {mailing_id} is not the plan that was approved "
            f"({approved}, now {found}). Plan and approve it again"
        )


def pause(database: Database, issue: str, *, actor: str) -> str:
    """Ask the send of an issue to wait; returns the mailing's state."""
    with database.write() as connection:
        row = regular_mailing(connection, issue)
        if row.state == "paused":
            return "paused"
        if row.state != "running":
            raise RefusedError(
                f"the mailing of {issue} is {row.state}; only a running one can pause"
            )
        _change(connection, row.id, actor, "pause", state="paused", note=f"by {actor}")
        return "paused"


def hold(
    database: Database, mailing_id: int, why: str, *, dates: Sequence[str], actor: str
) -> bool:
    """Hold a mailing whose `dates` have passed until somebody who knows lets it go on. False when another
    process is at it: then nothing is changed."""
    with database.write() as connection:
        row = mailing_row(connection, mailing_id)
        if row.state not in ("approved", "running") or owners(connection, mailing_id):
            return False
        options = {**row.options, DATES_ASKED: list(dates)}
        _change(connection, mailing_id, actor, "hold", state="held", note=why, options=options)
        return True


def resume(
    database: Database, issue: str, *, fence: Fence, i_know: bool, actor: str
) -> tuple[str, bool]:
    """Let a paused or held mailing go on; returns its state, and whether a process is at it.

    `i_know` lifts the fence for this place, a time that has passed, and dates that have. Raises
    RefusedError with all of them where that is needed.
    """
    now = datetime.now(UTC)
    with database.write() as connection:
        row = regular_mailing(connection, issue)
        if row.state in ("running", "approved") and not i_know:
            return row.state, bool(owners(connection, row.id))
        if row.state not in ("paused", "held", "running", "approved"):
            raise RefusedError(f"the mailing of {issue} is {row.state}; there is nothing to resume")
        breach = fence.breach(connection)
        late = row.options.get("not_after")
        too_late = bool(late) and datetime.fromisoformat(late) < now
        asked = row.options.get(DATES_ASKED, [])
        reasons = [breach] if breach else []
        if too_late:
            reasons.append(f"its --not-after, {late}, is over")
        if asked:
            reasons.append(row.note or "dates of its actions have passed")
        if reasons and not i_know:
            raise RefusedError(
                f"{'; '.join(reasons)}. If this place should send {issue} all the same, and no other one "
                f"does: newsletter send resume {issue} --i-know"
            )
        if breach:
            fence.lift(connection)
        values: dict[str, Any] = {"note": None}
        values["state"] = "running" if row.started_at else "approved"
        if too_late or asked:
            kept = {k: v for k, v in row.options.items() if k not in ("not_after", DATES_ASKED)}
            if not too_late and late:
                kept["not_after"] = late
            if asked:
                kept[DATES_KNOWN] = [*row.options.get(DATES_KNOWN, []), *asked]
            values["options"] = kept
        if row.state == "held" and row.canary_until is not None:
            lift_canary(connection, row.id)
        _change(connection, row.id, actor, "resume", i_know=i_know, **values)
        if "options" in values:  # the approval follows what was decided just now
            connection.execute(
                mailing.update()
                .where(mailing.c.id == row.id)
                .values(plan=plan_hash(connection, row.id))
            )
        return values["state"], bool(owners(connection, row.id))


def cancel(database: Database, issue: str, *, actor: str) -> int:
    """Take back every message of an issue's mailing that has not left; returns how many.

    The state is changed first, so that a run stops at once however many rows there are.
    """
    with database.write() as connection:
        row = regular_mailing(connection, issue)
        if row.state == "done":
            raise RefusedError(f"the mailing of {issue} is done; there is nothing to cancel")
        if row.state != "cancelled":
            _change(connection, row.id, actor, "cancel", state="cancelled", note=f"by {actor}")
    with database.write() as connection:
        return cancel_open(connection, row.id, datetime.now(UTC))


def resolve_uncertain(database: Database, issue: str, *, resend: bool, actor: str) -> int:
    """Decide about deliveries of which nobody can tell whether they were taken; returns how many.

    Sent again, with the same Message-ID, they wait for the next start; dropped, they are `skipped`.
    """
    with database.write() as connection:
        number = 0
        for row in mailings_of(connection, issue):
            count = resolve(connection, row.id, resend=resend, now=datetime.now(UTC))
            if not count:
                continue
            number += count
            verb = "resend" if resend else "drop"
            values = {"state": "running", "finished_at": None} if resend else {}
            _change(connection, row.id, actor, verb, people=count, **values)
    return number


def _change(
    connection: sa.Connection, mailing_id: int, actor: str, verb: str, **values: Any
) -> None:
    """Change a mailing's row and log it; keys that are no columns go into the log alone."""
    columns = {key: value for key, value in values.items() if key in mailing.c}
    if columns:
        connection.execute(mailing.update().where(mailing.c.id == mailing_id).values(**columns))
    detail = {key: value for key, value in values.items() if key != "finished_at"}
    log(connection, actor, verb, str(mailing_id), detail)


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


def status_issue(database: Database, issue: str, *, domains: bool = False) -> dict[str, Any]:
    """The shape that `send status --json` prints. The rate is of the last half minute while it runs,
    of the whole time when it is done; with `domains` the largest recipient domains are counted too.
    """
    now = datetime.now(UTC)
    with database.read() as connection:
        mailings = []
        for row in mailings_of(connection, issue):
            one = _status(row, state_counts(connection, row.id), now)
            if row.state == "running":
                one |= _speed(connection, row, one["states"], now)
            if domains:
                one["domains"] = domain_counts(connection, row.id)
            mailings.append(one)
    states = {state: sum(one["states"][state] for one in mailings) for state in STATES}
    latest = mailings[-1]
    return {**latest, "states": states, "mailings": mailings}


def _speed(
    connection: sa.Connection, row: sa.Row[Any], states: Mapping[str, int], now: datetime
) -> dict[str, Any]:
    """Messages a second of the last half minute, and seconds until the end at that rate."""
    since = max(row.started_at, now - timedelta(seconds=30))
    settled = connection.scalar(
        sa.select(sa.func.count()).where(
            delivery.c.mailing == row.id,
            delivery.c.state.in_(("accepted", "rejected")),
            delivery.c.settled_at >= since,
        )
    )
    rate = round((settled or 0) / max((now - since).total_seconds(), 0.001), 1)
    left = sum(states[state] for state in OPEN)
    return {"rate": rate, "eta": round(left / rate, 1) if rate else None}


def _status(row: sa.Row[Any], states: Mapping[str, int], now: datetime) -> dict[str, Any]:
    rate = 0.0
    if row.started_at and row.finished_at:
        seconds = max((row.finished_at - row.started_at).total_seconds(), 0.001)
        rate = round(states["accepted"] / seconds, 1)
    scheduled = row.state == "approved" and row.send_at is not None and row.send_at > now
    return {
        "mailing": row.id,
        "kind": row.kind,
        "state": "scheduled" if scheduled else row.state,
        "note": row.note,
        "plan": row.plan,
        "transport": row.transport,
        "options": row.options,
        "states": dict(states),
        "rate": rate,
        "eta": None,
        "approved_by": row.approved_by,
        "send_at": row.send_at.isoformat() if row.send_at else None,
        "started_at": row.started_at.isoformat() if row.started_at else None,
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
    }
