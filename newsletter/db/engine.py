"""One database: SQLite by default, PostgreSQL by URL. Reads and writes say which they are."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url

from newsletter.db.schema import installation
from newsletter.errors import ConfigError, RefusedError
from newsletter.files import make_private

HEAD = "0003"  #: the newest migration; a test holds it to the scripts
_CHECKPOINT = 4000  # pages: a send changes the same ones again and again
PATIENCE = 30.0  #: seconds that a writer waits for another one


def compact_json(value: Any) -> str:
    """JSON as this database holds it: as short as it can be, letters as they are. Rules look for the
    values of lists in its text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Database:
    """Connections to one database, and whether its schema is the one this code knows."""

    def __init__(self, url: str, root: Path, *, patience: float = PATIENCE) -> None:
        """`root` is the workspace; a relative SQLite path counts from there. `patience` is how many
        seconds a writer waits for another one on SQLite. Connects lazily."""
        try:
            parsed = make_url(url)
        except sa.exc.ArgumentError as error:
            raise ConfigError(f"database.url can't be read: {error}") from None
        self.sqlite = parsed.get_backend_name() == "sqlite"
        if self.sqlite and parsed.database and parsed.database != ":memory:":
            path = root / parsed.database
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # people are in it
            parsed = parsed.set(database=str(path))
        self.engine = (
            _sqlite_engine(parsed, patience)
            if self.sqlite
            else sa.create_engine(
                parsed,
                hide_parameters=True,  # people stand in parameters
                json_serializer=compact_json,
            )
        )
        self._checked = False
        self.shut: Path | None = None  #: while this file is there, nothing is written

    def refuse_shut(self) -> None:
        """Raises RefusedError while a restore is under way, or was cut off."""
        if self.shut is not None and self.shut.exists():
            raise RefusedError(
                "a restore is under way, or was cut off half-way; then run it again: "
                "newsletter db restore FILE"
            )

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent view; on SQLite it never waits for a writer and never blocks one."""
        self.check()
        with self._explained(), self._connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction, committed at the end; on SQLite the write lock is taken at its start, so
        that two writers queue up instead of failing half-way."""
        self.refuse_shut()
        self.check()
        with self._explained(), self._connect(writes=True) as connection, connection.begin():
            yield connection

    def writer(self) -> Writer:
        """Many `write`s one after another by one thread, on a connection of their own."""
        return Writer(self)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What the world does to a database (locked, full, damaged, gone) as a sentence."""
        try:
            yield
        except (sa.exc.OperationalError, sa.exc.InternalError) as error:
            raise RefusedError(f"{self._name} can't be used now: {error.orig}") from error
        except sa.exc.DatabaseError as error:
            if type(error) is not sa.exc.DatabaseError:  # a mistake of ours keeps its traceback
                raise
            raise RefusedError(
                f"{self._name} is damaged ({error.orig}); restore it from a backup"
            ) from error

    @property
    def _name(self) -> str:
        return f"the database {self.engine.url.render_as_string()}"

    @contextmanager
    def _connect(self, *, writes: bool = False) -> Iterator[sa.Connection]:
        try:
            connection = self.engine.connect()
        except sa.exc.OperationalError as error:
            raise RefusedError(f"{self._name} can't be opened: {error.orig}") from error
        with connection:
            yield connection.execution_options(writes=writes)

    def check(self) -> None:
        """Make a fresh database ready; refuse one of another version. Cheap after the first call."""
        if self._checked:
            return
        with self._explained(), self._connect() as connection:
            tables = sa.inspect(connection).get_table_names()
            version = (
                connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
                if "alembic_version" in tables
                else None
            )
        if version is None and set(tables) <= {"alembic_version"}:
            self.upgrade()
        elif version != HEAD:
            newer = version is not None and version > HEAD
            remedy = "update the program" if newer else "run: newsletter db upgrade"
            raise RefusedError(
                f"the database's schema is {version}, this program's is {HEAD}: {remedy}"
            )
        self._checked = True

    def upgrade(self) -> None:
        """Bring the schema to the newest version; a fresh database gets its identity."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._connect(writes=True) as connection, connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if not connection.scalar(sa.select(sa.func.count()).select_from(installation)):
                connection.execute(
                    installation.insert(), {"key": "identity", "value": secrets.token_hex(16)}
                )
        self._checked = True

    def remember(self, name: str, values: frozenset[str]) -> frozenset[str]:
        """Keep values under a name of the installation; returns those kept before that are not
        among them now, and then keeps nothing new."""
        with self.read() as connection:
            kept = connection.scalar(
                sa.select(installation.c.value).where(installation.c.key == name)
            )
        before = frozenset(kept.split()) if kept else frozenset()
        if before - values or before == values:
            return before - values
        with self.write() as connection:
            connection.execute(installation.delete().where(installation.c.key == name))
            connection.execute(
                installation.insert(), {"key": name, "value": " ".join(sorted(values))}
            )
        return frozenset()

    def truncate_log(self) -> None:
        """Move what was written into the database file and empty SQLite's log beside it: what was
        erased stands in neither. A reader that looks at an older state just now delays it."""
        if self.sqlite:
            with self._explained(), self._connect() as connection:
                raw: Any = connection.connection.driver_connection
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Give back every connection; the object can be used again."""
        self.engine.dispose()


class Writer:
    """`Database.write` without taking a connection out of the pool each time, which costs as much as
    two statements. For one thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: sa.Connection | None = None

    def write(self) -> AbstractContextManager[sa.Connection]:
        """One transaction, as `Database.write`; after an error the next one connects again."""
        return self._transaction(writes=True)

    def read(self) -> AbstractContextManager[sa.Connection]:
        """A consistent view on the same connection. Its temporary tables may be written to, for which
        nobody has to wait."""
        return self._transaction(writes=False)

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[sa.Connection]:
        database = self._database
        database.refuse_shut()
        with database._explained():
            if self._connection is None:
                database.check()
                self._connection = database.engine.connect()
            connection = self._connection.execution_options(writes=writes)
            try:
                with connection.begin():
                    yield connection
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Give the connection back; the object can be used again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _sqlite_engine(url: sa.URL, patience: float) -> sa.Engine:
    engine = sa.create_engine(
        url,
        connect_args={"timeout": patience},
        hide_parameters=True,
        json_serializer=compact_json,
    )
    if url.database and url.database != ":memory:":
        with suppress(OSError):  # the owner's alone, before anybody is in it
            make_private(Path(url.database))

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's BEGIN below, not the driver's own
        # SQLite's own knows A to Z only, PostgreSQL's every letter.
        connection.create_function("lower", 1, _lower, deterministic=True)
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={patience * 1000:.0f}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # a committed claim survives a power cut
        cursor.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def insert_new(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *returning: str
) -> list[sa.Row[Any]]:
    """Insert the rows whose primary key is not there yet; returns these columns of those."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    columns = [table.c[name] for name in returning]
    statement = dialect.insert(table).on_conflict_do_nothing().returning(*columns)
    return list(connection.execute(statement, list(rows)))
