"""Shares of people by lot that come out the same on every database, machine and day."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

_PARTS = 1 << 32


def lot(number: sa.ColumnElement[Any], seed: int) -> sa.ColumnElement[int]:
    """SQL: a number from 0 to 2³²-1 drawn for each `number`, a positive integer under 2³¹.

    Two rounds of multiplying modulo 2³² with the halves swapped in between; every step stays below
    2⁶³, so SQLite and PostgreSQL compute the same.
    """
    wide = sa.cast(number, sa.BigInteger)
    mixed = (wide + seed % 1_000_003) * 2_654_435_761 % _PARTS
    mixed = mixed // 65_536 + mixed % 65_536 * 65_536
    mixed = (mixed % _PARTS) * 2_147_001_325 % _PARTS
    mixed = mixed // 65_536 + mixed % 65_536 * 65_536
    return sa.type_coerce(mixed, sa.BigInteger)


def share_of(
    number: sa.ColumnElement[Any], seed: int, begin: float, end: float
) -> sa.ColumnElement[bool]:
    """SQL: whether the lot of `number` falls between two shares, from 0 to 1."""
    drawn = lot(number, seed)
    return sa.and_(drawn >= int(begin * _PARTS), drawn < int(end * _PARTS))
