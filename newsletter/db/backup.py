"""Backups: a whole, consistent copy while everything runs, and back again.

SQLite by its own backup interface; PostgreSQL by pg_dump and pg_restore, which know every detail of it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from newsletter.db.engine import HEAD, Database
from newsletter.db.schema import mailing, metadata, subscriber
from newsletter.errors import InputError, RefusedError

_NEEDED = ("installation", "subscriber", "mailing")  # tables that every version has
_PAGES = 2_000  # copied at a time, so that writers get in between


def backup(database: Database, path: Path) -> int:
    """Write a backup, which is there as a whole or not at all; returns its bytes. Raises RefusedError
    when the file exists or can't be made."""
    database.check()
    return _write(database, path)


def _write(database: Database, path: Path) -> int:
    if path.exists():
        raise RefusedError(f"{path} is there already; backups are not overwritten")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        if database.sqlite:
            try:
                _copy(_source(database), draft)
            except sqlite3.DatabaseError:  # damaged: what is there is kept as it is
                shutil.copyfile(_source(database), draft)
        else:
            _run("pg_dump", database, "--format=custom", "--no-owner", "--file", str(draft))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path.stat().st_size


def check_backup(database: Database, path: Path) -> None:
    """Raises InputError for what is no backup of this program's, or of a newer one's."""
    version = _version_in_sqlite(path) if database.sqlite else _version_in_dump(path)
    if not re.fullmatch(r"\d{4}", version) or version > HEAD:
        raise InputError(
            f"is a backup with the schema {version}, this program's is {HEAD}: update the program",
            file=str(path),
        )


def restore(database: Database, path: Path, before: Path) -> None:
    """Put a backup into the place of what is there, which is kept as the backup `before`, whatever state
    it is in; an older schema is brought to the newest. Raises InputError for what is no backup of
    ours."""
    check_backup(database, path)
    _write(database, before)
    database.close()
    if database.sqlite:
        target = _source(database)
        try:
            _copy(path, target, into=True)
        except sqlite3.DatabaseError:  # what is there is no database: it is replaced as a file
            for ending in ("", "-wal", "-shm"):
                Path(f"{target}{ending}").unlink(missing_ok=True)
            _copy(path, target, into=True)
    else:
        _replay(database, path)
    database.close()
    database.upgrade()


def _source(database: Database) -> Path:
    return Path(str(database.engine.url.database))


def _copy(source: Path, target: Path, *, into: bool = False) -> None:
    with (
        closing(sqlite3.connect(source)) as old,
        closing(sqlite3.connect(target, timeout=30)) as new,
    ):
        old.backup(new, pages=-1 if into else _PAGES, sleep=0.005)
        if not into:
            new.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it


def numbers(connection: sa.Connection) -> dict[str, int]:
    """The highest number that each table which counts gave, as far as its rows tell."""
    return {
        table.name: connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
        for table in _counting()
    }


def raise_numbers(connection: sa.Connection, given: Mapping[str, int]) -> None:
    """Let every table count on from these: links that were mailed name numbers, and after a restore
    nobody else may get one of them."""
    for table in _counting():
        last = max(
            given.get(table.name, 0), connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
        )
        if not last:
            continue
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
            connection.exec_driver_sql(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, last)
            )
        else:
            sequence = sa.func.pg_get_serial_sequence(table.name, "id")
            connection.execute(sa.select(sa.func.setval(sequence, last)))


def _counting() -> list[sa.Table]:
    """The tables whose numbers stand in links, deliveries and logs."""
    return [subscriber, mailing]


def _version_in_sqlite(path: Path) -> str:
    """The schema's version. Raises InputError for what is no whole database of ours."""
    try:
        address = f"{path.resolve(strict=True).as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            ok = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            version = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            connection.execute("SELECT 1 FROM installation, subscriber, mailing LIMIT 1")
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file=str(path)) from None
    except sqlite3.Error as error:
        raise InputError(f"is no backup of this program: {error}", file=str(path)) from None
    if ok != "ok" or version is None:
        raise InputError(f"is damaged: {ok}", file=str(path))
    return str(version[0])


def _version_in_dump(path: Path) -> str:
    """The same of a dump of PostgreSQL's."""
    _refuse_without("pg_restore")
    options = ("--data-only", "--table=alembic_version", "--file=-")
    done = subprocess.run(  # noqa: S603
        ["pg_restore", *options, str(path)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    listed = subprocess.run(  # noqa: S603
        ["pg_restore", "--list", str(path)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    ours = all(f" TABLE DATA public {name} " in listed for name in _NEEDED)
    found = re.search(r"^COPY .*alembic_version.*\n(\S+)$", done.stdout, re.MULTILINE)
    if done.returncode or found is None or not ours:
        raise InputError("is no backup of this program", file=str(path))
    return found[1]


def _replay(database: Database, path: Path) -> None:
    """Our tables out and the dump in, in one transaction: whatever hangs on them, and whatever version
    they are of."""
    _refuse_without("pg_restore")
    tables = ", ".join(f'"{name}"' for name in (*metadata.tables, "alembic_version"))
    with tempfile.NamedTemporaryFile(suffix=".sql") as script:
        script.write(f"DROP TABLE IF EXISTS {tables} CASCADE;\n".encode())
        script.flush()
        with open(script.name, "ab") as more:  # noqa: PTH123  (the program appends to it)
            done = subprocess.run(  # noqa: S603
                ["pg_restore", "--no-owner", "--file=-", str(path)],  # noqa: S607
                stdout=more,
                stderr=subprocess.PIPE,
                check=False,
            )
        if done.returncode:
            raise RefusedError(f"pg_restore failed: {_error_in(done.stderr.decode())}")
        options = ("--single-transaction", "--set=ON_ERROR_STOP=1", "--quiet", "--no-psqlrc")
        _run("psql", database, *options, "--output=/dev/null", f"--file={script.name}")


def _error_in(said: str) -> str:
    """The line of what a program of PostgreSQL's said that tells what went wrong."""
    lines = said.strip().splitlines()
    return next((line for line in lines if "ERROR" in line), lines[-1] if lines else "")


def _refuse_without(program: str) -> None:
    if shutil.which(program) is None:
        raise RefusedError(f"{program} is not here (Debian: apt install postgresql-client)")


def _run(program: str, database: Database, *arguments: str) -> None:
    """A program of PostgreSQL's; the password stays out of the list of processes."""
    _refuse_without(program)
    url = database.engine.url
    plain = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    done = subprocess.run(  # noqa: S603
        [program, "--dbname", plain, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise RefusedError(f"{program} failed: {_error_in(done.stderr) or done.returncode}")


def problems(database: Database) -> list[str]:
    """What is wrong with a database, each as a sentence; empty when all is well."""
    with database.read() as connection:
        found: list[str] = []
        if database.sqlite:
            rows = connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars().all()
            found += [row for row in rows if row != "ok"]
            rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            found += [
                f"a row of {row[0]} names a row of {row[2]} that is not there" for row in rows
            ]
        connection.execute(sa.select(sa.literal(1)))
    return found
