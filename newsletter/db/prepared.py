"""Statements for the hot path: compiled once, many rows in and out of one execution.

SQLAlchemy's own way costs 60 to 100 µs a call beside the statement, and the driver of SQLite gives up
the interpreter's lock at every row that it takes or gives: among busy threads each of those is a
queue to stand in. So rows go in as one JSON parameter and come out as one JSON value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from newsletter.db.schema import UTCTime


class Prepared:
    """One statement for one dialect. Parameters are named by `sa.bindparam`; a literal in it must be
    what the driver takes, a time therefore a parameter."""

    def __init__(self, statement: sa.Executable, dialect: sa.Dialect) -> None:
        compiled = statement.compile(  # type: ignore[attr-defined]
            dialect=dialect, compile_kwargs={"render_postcompile": True}
        )
        self._sql: str = str(compiled)
        self._constants: dict[str, Any] = dict(compiled.params)
        self._order: Sequence[str] | None = compiled.positiontup

    def run(
        self, connection: sa.Connection, values: Mapping[str, Any] = MappingProxyType({})
    ) -> Any:
        """Execute within the connection's transaction; returns the driver's cursor. Values must be
        what the driver takes: see `time` and `json_rows`."""
        every = {**self._constants, **values}
        cursor = connection.connection.cursor()
        try:
            cursor.execute(
                self._sql, [every[name] for name in self._order] if self._order else every
            )
        except Exception as error:
            # what SQLAlchemy would have made of it, so that one place explains it
            assert connection.dialect.dbapi is not None
            raise sa.exc.DBAPIError.instance(
                self._sql, None, error, connection.dialect.dbapi.Error, hide_parameters=True
            ) from error
        return cursor


def time(dialect: sa.Dialect, at: datetime) -> Any:
    """A time as the driver takes it in a prepared statement."""
    processor = UTCTime().bind_processor(dialect)
    return processor(at) if processor else at


def read_time(value: str | None) -> datetime | None:
    """A time out of a JSON value of the database."""
    return UTCTime().process_result_value(datetime.fromisoformat(value), None) if value else None  # type: ignore[arg-type]


def json_rows(rows: Sequence[Any] | Mapping[int, Any]) -> str:
    """What `numbers` reads (a list) or `found` (rows by an integer key), as their parameter."""
    return json.dumps(rows)


def numbers(dialect: sa.Dialect, name: str) -> sa.Select[Any]:
    """SQL: the integers of a JSON array parameter."""
    if dialect.name == "postgresql":
        text = sa.cast(sa.bindparam(name, type_=sa.Text), sa.JSON)
        each = sa.func.json_array_elements_text(text).table_valued("value")
        return sa.select(sa.cast(each.c.value, sa.BigInteger))
    each = sa.func.json_each(sa.bindparam(name, type_=sa.Text)).table_valued("value")
    return sa.select(each.c.value)


def found(
    dialect: sa.Dialect, name: str, key: sa.ColumnElement[Any], n: int
) -> sa.ColumnElement[str]:
    """SQL: the `n`-th cell of a row in a JSON object of arrays, by an integer key."""
    parameter = sa.bindparam(name, type_=sa.Text)
    if dialect.name == "postgresql":
        row = sa.cast(parameter, sa.JSON).op("->")(sa.cast(key, sa.Text))
        return sa.type_coerce(row.op("->>")(n), sa.Text)
    path = sa.literal('$."').concat(sa.cast(key, sa.Text)).concat(f'"[{n}]')
    return sa.type_coerce(sa.func.json_extract(parameter, path), sa.Text)


def as_json(dialect: sa.Dialect, statement: sa.Select[Any]) -> sa.Select[Any]:
    """SQL: all rows of a statement as one JSON array of arrays, NULL when there are none."""
    rows = statement.subquery("rows_")
    names = ("json_agg", "json_build_array")
    if dialect.name != "postgresql":
        names = ("json_group_array", "json_array")
    gather, row = (getattr(sa.func, name) for name in names)
    return sa.select(gather(row(*rows.c)))


def read_rows(cursor: Any) -> list[list[Any]]:
    """What an `as_json` statement found."""
    value = cursor.fetchone()[0]
    rows: list[list[Any]] = json.loads(value) if isinstance(value, str) else value or []
    return rows
