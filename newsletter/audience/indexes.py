"""Indexes of declared fields, as `newsletter.toml` asks for them: they come and go with the settings."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from newsletter.audience.conditions import FieldValue
from newsletter.config import FieldSettings
from newsletter.db.schema import subscriber

_PREFIX = "ix_field_"


def keep_indexes(connection: sa.Connection, fields: Mapping[str, FieldSettings]) -> list[str]:
    """Make the indexes that are wanted and not there, drop those that are there and not wanted; returns
    the names of the fields whose indexes were made or dropped. Reads everybody for each that is made."""
    wanted = {_name(name, one): (name, one) for name, one in fields.items() if one.index}
    there = _there(connection)
    for index in there - wanted.keys():
        connection.exec_driver_sql(f'DROP INDEX "{index}"')
    for index in wanted.keys() - there:
        name, settings = wanted[index]
        value = FieldValue(name, settings.type).compile(
            dialect=connection.dialect, compile_kwargs={"include_table": False}
        )
        connection.exec_driver_sql(f'CREATE INDEX "{index}" ON {subscriber.name} (({value}))')
    changed = there ^ wanted.keys()
    return sorted({index.removeprefix(_PREFIX).partition("_")[2] for index in changed})


def _name(name: str, settings: FieldSettings) -> str:
    """A field that changes its type gets another index: its values are read otherwise."""
    return f"{_PREFIX}{'number' if settings.type == 'number' else 'text'}_{name}"


def _there(connection: sa.Connection) -> set[str]:
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'index'"
        if connection.dialect.name == "sqlite"
        else f"SELECT indexname FROM pg_indexes WHERE tablename = '{subscriber.name}' "  # noqa: S608
        "AND schemaname = current_schema()"
    )
    found = connection.exec_driver_sql(names).scalars()
    return {name for name in found if name.startswith(_PREFIX)}
