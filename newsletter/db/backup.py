"""Backups: a whole, consistent copy while everything runs, and back again.

SQLite by its own backup interface; PostgreSQL by pg_dump and pg_restore, which know every detail of it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from newsletter.db.engine import Database
from newsletter.errors import InputError, RefusedError

_PAGES = 2_000  # copied at a time, so that writers get in between


def backup(database: Database, path: Path) -> int:
    """Write a backup, which is there as a whole or not at all; returns its bytes. Raises RefusedError
    when the file exists or can't be made."""
    if path.exists():
        raise RefusedError(f"{path} is there already; backups are not overwritten")
    database.check()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        if database.sqlite:
            _copy(_source(database), draft)
        else:
            _run("pg_dump", database, "--format=custom", "--no-owner", "--file", str(draft))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path.stat().st_size


def restore(database: Database, path: Path, before: Path) -> None:
    """Put a backup into the place of what is there, which is kept as the backup `before`; an older
    schema is brought to the newest. Raises InputError for what is no backup of ours."""
    if database.sqlite:
        _refuse_foreign(path)
    backup(database, before)
    if database.sqlite:
        database.close()
        _copy(path, _source(database), into=True)
    else:
        options = ("--clean", "--if-exists", "--no-owner", "--single-transaction")
        _run("pg_restore", database, *options, str(path))
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


def _refuse_foreign(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            ok = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            version = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise InputError(f"is no backup of this program: {error}", file=str(path)) from None
    if ok != "ok" or version is None:
        raise InputError(f"is damaged: {ok}", file=str(path))


def _run(program: str, database: Database, *arguments: str) -> None:
    """A program of PostgreSQL's; the password stays out of the list of processes."""
    if shutil.which(program) is None:
        raise RefusedError(f"{program} is not here (Debian: apt install postgresql-client)")
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
        said = done.stderr.strip().splitlines()
        raise RefusedError(f"{program} failed: {said[-1] if said else done.returncode}")


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
