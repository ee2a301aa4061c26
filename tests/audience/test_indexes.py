"""Indexes of declared fields come and go with the settings, and rules use them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from newsletter.audience import Rule, keep_indexes, where
from newsletter.config import FieldSettings
from newsletter.db import Database
from newsletter.db.schema import subscriber
from tests.audience.people import ASKED, add_person

WANTED = {
    "role": FieldSettings(type="text", index=True),
    "seats": FieldSettings(type="number", index=True),
    "since": FieldSettings(type="date"),
}


def keep(database: Database, fields: dict[str, FieldSettings]) -> list[str]:
    with database.write() as connection:
        return keep_indexes(connection, fields)


def test_indexes_are_what_the_settings_say(database: Database) -> None:
    add_person(database, "a@example.com", fields={"role": "cto", "seats": 5.0})
    assert keep(database, WANTED) == ["role", "seats"]
    assert keep(database, WANTED) == []
    text = {**WANTED, "seats": FieldSettings(type="text", index=True)}
    assert keep(database, text) == ["seats"]
    assert keep(database, {}) == ["role", "seats"]


@pytest.mark.parametrize(
    "rule", ["role = 'cto'", "role in ('cto', 'ceo')", "seats = 5", "seats > 4"]
)
def test_rules_use_them(database: Database, rule: str) -> None:
    for n in range(200):
        add_person(database, f"p{n}@example.com", fields={"role": f"r{n}", "seats": n / 100})
    keep(database, WANTED)
    statement = sa.select(subscriber.c.id).where(where(Rule(rule, WANTED), ASKED))
    with database.write() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if not sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        text = str(
            statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        ).replace("%%", "%")
        prefix = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
        plan = " ".join(map(str, connection.exec_driver_sql(f"{prefix} {text}").all()))
    assert "ix_field_" in plan


@pytest.mark.parametrize("kind", ["list", "boolean"])
def test_what_an_index_would_not_help_can_have_none(kind: str) -> None:
    with pytest.raises(ValueError, match="can have no index"):
        FieldSettings(type=kind, index=True)  # type: ignore[arg-type]


def test_what_was_taken_back_is_looked_up_by_the_person(sqlite: Database) -> None:
    """By the mailing it would take a million people the square of that."""
    rule = Rule("done(last_n_issues(4)) >= 2", {})
    statement = sa.select(subscriber.c.id).where(where(rule, ASKED))
    with sqlite.read() as connection:
        text = str(
            statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        )
        plan = [str(row) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    (later,) = [step for step in plan if "SEARCH later" in step]
    assert "ix_event_subscriber_id" in later
