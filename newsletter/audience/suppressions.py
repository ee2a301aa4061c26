"""Addresses that get nothing, whatever their status says: by reason, for a time or for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from newsletter.audience.addresses import AddressError, parse_address
from newsletter.audience.people import suppression_holds
from newsletter.audience.tables import Row, open_table, original
from newsletter.db.schema import suppression
from newsletter.errors import InputError, RefusedError
from newsletter.text import tidy

Reason = Literal["bounce", "complaint", "manual", "erased"]
SUPPRESSED_FOR: tuple[Reason, ...] = get_args(Reason)
GRAVITY: tuple[Reason, ...] = ("manual", "bounce", "complaint", "erased")  #: the gravest last


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a file of suppressions."""

    key: str
    reason: Reason
    note: str
    until: datetime | None


def suppress(
    connection: sa.Connection,
    key: str,
    reason: Reason,
    *,
    note: str = "",
    until: datetime | None = None,
    now: datetime | None = None,
) -> bool:
    """Keep an address out, whatever its status says; returns whether it was not kept out before. Of what
    holds already and what comes the graver reason and the later end count. Raises InputError for an end
    that is past."""
    now = now or datetime.now(UTC)
    if until is not None and until <= now:
        raise InputError("the day until which it is kept out is past")
    before = connection.execute(
        sa.select(suppression).where(suppression.c.address_key == key)
    ).first()
    holds = before is not None and (before.expires_at is None or before.expires_at > now)
    if before is not None:
        if holds:
            graver = max(before.reason, reason, key=GRAVITY.index)
            ends = None if None in (before.expires_at, until) else max(before.expires_at, until)
            if (graver, ends) == (before.reason, before.expires_at):
                return False
            reason, until, note = graver, ends, note or before.note
        connection.execute(suppression.delete().where(suppression.c.address_key == key))
    values = {"address_key": key, "reason": reason, "note": note, "created_at": now}
    connection.execute(suppression.insert(), {**values, "expires_at": until})
    return not holds


def unsuppress(connection: sa.Connection, keys: Sequence[str]) -> str:
    """Take an address off the list, under each of its keys; returns the gravest reason for which it was
    there. Raises RefusedError."""
    here = suppression.c.address_key.in_(keys)
    reasons = list(connection.scalars(sa.select(suppression.c.reason).where(here)))
    if not reasons:
        raise RefusedError("the address is not on the suppression list")
    connection.execute(suppression.delete().where(here))
    return str(max(reasons, key=GRAVITY.index))


def suppressions(
    connection: sa.Connection, *, reason: str | None = None, now: datetime | None = None
) -> list[sa.Row[Any]]:
    """Every entry that holds, by address: address_key, reason, note, created_at, expires_at."""
    now = now or datetime.now(UTC)
    found = sa.select(suppression).where(suppression_holds(now))
    if reason is not None:
        found = found.where(suppression.c.reason == reason)
    return list(connection.execute(found.order_by(suppression.c.address_key)))


# -- files -------------------------------------------------------------------------------------------


def read_suppressions(path: Path, zone: ZoneInfo) -> list[Listed]:
    """A table with the columns email and perhaps reason, note and until. Raises InputError with the
    line for the first that can't be used."""
    with open_table(path) as table:
        columns = [tidy(name).lower() for name in table.header]
        if "email" not in columns:
            raise InputError('has no column "email"', file=str(path), line=1)
        return list(
            _listed(path, columns, (row for chunk in table.chunks() for row in chunk), zone)
        )


def _listed(
    path: Path, columns: list[str], rows: Iterator[Row], zone: ZoneInfo
) -> Iterator[Listed]:
    for row in rows:
        cells = dict(zip(columns, (tidy(original(cell)) for cell in row.cells), strict=False))
        reason: Any = cells.get("reason") or "manual"
        wrong = row.problem
        if not wrong and reason not in SUPPRESSED_FOR[:-1]:
            wrong = f'reason "{reason}" is none of {", ".join(SUPPRESSED_FOR[:-1])}'
        if wrong:
            raise InputError(wrong, file=str(path), line=row.line)
        try:
            key = parse_address(cells.get("email", "")).key
            until = day(cells["until"], zone) if cells.get("until") else None
        except AddressError as error:
            raise InputError(str(error), file=str(path), line=row.line) from None
        except InputError as error:
            raise InputError(error.message, file=str(path), line=row.line) from None
        if until is not None and until <= datetime.now(UTC):
            raise InputError("the day in `until` is past", file=str(path), line=row.line)
        yield Listed(key, reason, cells.get("note", ""), until)


def day(text: str, zone: ZoneInfo) -> datetime:
    """The first moment of a day in the publication's zone. Raises InputError."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = date.min
    if not 2000 <= found.year <= 2200:
        raise InputError(f'"{text}" is no date; write it as 2026-12-24')
    return datetime.combine(found, time(), zone)
