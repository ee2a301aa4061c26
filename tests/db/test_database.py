"""One schema on both systems: what migrations build is what the code means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st

from newsletter.db import HEAD, Database, schema
from newsletter.db.schema import UTCTime, audit_log, installation, mailing, subscriber
from newsletter.errors import ConfigError, RefusedError

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def _entry(at: datetime) -> dict[str, object]:
    return {"at": at, "actor": "test", "action": "a", "subject": "s", "detail": {"é": [1, None]}}


def _shape(connection: sa.Connection) -> dict[str, object]:
    """Tables, columns, keys and indexes as the server tells them."""
    inspector = sa.inspect(connection)
    tables = [name for name in inspector.get_table_names() if name != "alembic_version"]
    return {
        name: (
            [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(name)
            ],
            inspector.get_pk_constraint(name)["constrained_columns"],
            sorted(map(str, (key["column_names"] for key in inspector.get_indexes(name)))),
            sorted(
                map(str, (key["column_names"] for key in inspector.get_unique_constraints(name)))
            ),
            sorted(
                map(str, (key["constrained_columns"] for key in inspector.get_foreign_keys(name)))
            ),
        )
        for name in tables
    }


def test_migrations_give_just_the_schema(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_a_schema_made_in_one_go_is_the_migrated_one(empty_url: str, tmp_path: Path) -> None:
    engine = sa.create_engine(empty_url)
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
        made = _shape(connection)
        schema.metadata.drop_all(connection)
    engine.dispose()
    database = Database(empty_url, tmp_path)
    with database.read() as connection:
        assert _shape(connection) == made
    database.close()


def test_head_is_the_newest_script() -> None:
    config = Config()
    folder = Path(schema.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_no_table_refers_into_delivery_or_event() -> None:
    for table in schema.metadata.tables.values():
        targets = {key.column.table.name for key in table.foreign_keys}
        assert not targets & {"delivery", "event"}


def test_a_fresh_database_is_made_ready_and_named_once(empty_url: str, tmp_path: Path) -> None:
    identities = []
    for _ in range(2):
        database = Database(empty_url, tmp_path)
        with database.read() as connection:
            identities += connection.scalars(
                sa.select(installation.c.value).where(installation.c.key == "identity")
            )
        database.close()
    assert len(identities) == 2
    assert identities[0] == identities[1]
    assert len(identities[0]) == 32


def test_two_databases_have_different_identities(tmp_path: Path) -> None:
    found = set()
    for name in ("a.db", "b.db"):
        database = Database(f"sqlite:///{name}", tmp_path)
        with database.read() as connection:
            found.add(connection.scalar(sa.select(installation.c.value)))
        database.close()
    assert len(found) == 2


@pytest.mark.parametrize(
    ("version", "remedy"), [("9999", "update the program"), ("0000", "newsletter db upgrade")]
)
def test_another_schema_is_refused_with_the_remedy(
    database: Database, version: str, remedy: str
) -> None:
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": version})
    again = Database(database.engine.url.render_as_string(hide_password=False), Path("/"))
    for use in (again.read, again.write):
        with pytest.raises(RefusedError, match=remedy) as caught, use():
            pass
        assert version in str(caught.value)
        assert HEAD in str(caught.value)
    again.close()


def test_somebody_elses_database_is_refused_and_left_alone(empty_url: str, tmp_path: Path) -> None:
    engine = sa.create_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE shop (id integer)"))
    database = Database(empty_url, tmp_path)
    with pytest.raises(RefusedError), database.read():
        pass
    database.close()
    assert sa.inspect(engine).get_table_names() == ["shop"]
    engine.dispose()


def test_a_relative_path_counts_from_the_workspace(tmp_path: Path) -> None:
    database = Database("sqlite:///var/newsletter.db", tmp_path)
    with database.read():
        pass
    database.close()
    assert (tmp_path / "var" / "newsletter.db").is_file()


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    database = Database("sqlite:///taken", tmp_path)
    with pytest.raises(RefusedError, match="taken can't be opened"), database.read():
        pass
    database.close()


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://who:s3cret@/none?host={tmp_path}"
    database = Database(url, tmp_path)
    with pytest.raises(RefusedError, match="can't be opened") as caught, database.read():
        pass
    assert "s3cret" not in str(caught.value)
    database.close()


def test_an_address_that_is_none_is_a_setting_gone_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"database\.url"):
        Database("nonsense", tmp_path)


def test_a_failed_write_leaves_nothing(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        connection.execute(audit_log.insert(), [_entry(NOON), {**_entry(NOON), "actor": None}])
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(audit_log)) == 0


def test_sqlite_keeps_what_was_committed_through_a_power_cut(sqlite: Database) -> None:
    with sqlite.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000,
    }  # fmt: skip


def test_a_reader_on_sqlite_neither_waits_for_a_writer_nor_sees_half_of_its_work(
    sqlite: Database,
) -> None:
    with sqlite.write() as writing:
        writing.execute(audit_log.insert(), _entry(NOON))
        with sqlite.read() as reading:
            assert reading.scalar(sa.select(sa.func.count()).select_from(audit_log)) == 0


@pytest.mark.parametrize(
    "moment",
    [
        NOON,
        datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=-8))),
    ],
)
def test_a_moment_comes_back_as_the_same_moment_in_utc(
    database: Database, moment: datetime
) -> None:
    with database.write() as connection:
        connection.execute(audit_log.insert(), _entry(moment))
    with database.read() as connection:
        row = connection.execute(sa.select(audit_log)).one()
    assert row.at == moment
    assert row.at.tzinfo == UTC
    assert row.detail == {"é": [1, None]}


def test_moments_of_different_zones_compare_as_moments(database: Database) -> None:
    east = datetime(2026, 11, 24, 13, tzinfo=timezone(timedelta(hours=2)))  # an hour before noon
    with database.write() as connection:
        connection.execute(audit_log.insert(), [_entry(NOON), _entry(east)])
    with database.read() as connection:
        earlier = connection.scalars(sa.select(audit_log.c.at).where(audit_log.c.at < NOON)).all()
    assert earlier == [east]


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        UTCTime().process_bind_param(datetime(2026, 11, 24, 12), sa.dialects.sqlite.dialect())


@given(st.datetimes(timezones=st.timezones()))
def test_utc_text_on_sqlite_loses_nothing(moment: datetime) -> None:
    dialect = sa.dialects.sqlite.dialect()
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:  # the first and the last day that datetime knows
        return
    stored = UTCTime().process_bind_param(moment, dialect)
    assert UTCTime().process_result_value(stored, dialect) == expected


def test_ids_count_on_by_themselves_on_both_systems(database: Database) -> None:
    values = {
        "kind": "issue", "state": "planned", "transport": "outbox", "plan": "", "fingerprint": "",
        "segments": [], "candidates": 0, "created_at": NOON,
    }  # fmt: skip
    with database.write() as connection:
        first, second = (
            connection.execute(mailing.insert(), values).inserted_primary_key[0] for _ in range(2)
        )
    assert second == first + 1


def test_one_address_is_one_subscriber(database: Database) -> None:
    values = {
        "address": "a@example.com", "address_key": "a@example.com", "domain": "example.com",
        "status": "subscribed", "fields": {}, "created_at": NOON, "updated_at": NOON,
    }  # fmt: skip
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        connection.execute(subscriber.insert(), [values, values])


def test_a_writer_works_again_after_an_error(database: Database) -> None:
    writer = database.writer()
    with writer.write() as connection:
        connection.execute(audit_log.insert(), _entry(NOON))
    with pytest.raises(sa.exc.IntegrityError), writer.write() as connection:
        connection.execute(audit_log.insert(), [{**_entry(NOON), "id": 7} for _ in range(2)])
    with writer.write() as connection:
        connection.execute(audit_log.insert(), _entry(NOON))
        assert connection.scalar(sa.select(sa.func.count()).select_from(audit_log)) == 2
    writer.close()
    with writer.write() as connection:
        connection.execute(audit_log.insert(), _entry(NOON))
    writer.close()
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(audit_log)) == 3
