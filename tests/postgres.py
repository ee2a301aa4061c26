"""A PostgreSQL server for one test process: begun on first use, gone with the process.

It listens on a socket in its own temporary directory and nowhere else, so any number of test
processes run side by side. Nothing is synced to disk: what it holds is thrown away.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from newsletter.db import Database

USER = "newsletter"
TEMPLATE = "migrated"  #: the database that every test's own is cloned from
_PATIENCE = 60  # seconds until a server that does not answer is given up
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "autovacuum": "off",
}


def binaries() -> Path | None:
    """The folder that holds initdb and postgres, of the newest version installed, or None."""
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(debian, key=lambda path: [int(n) for n in path.parts[-2].split(".")])
    on_path = shutil.which("postgres")
    candidates = [*reversed(newest), *([Path(on_path).resolve().parent] if on_path else [])]
    complete = (
        folder
        for folder in candidates
        if (folder / "initdb").exists() and (folder / "postgres").exists()
    )
    return next(complete, None)


class Server:
    """One running server. `stop` ends it by its own process id and removes its files."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the binaries. Returns when the server answers a query."""
        # Not pytest's folder: that one is closed to other users, and a socket's path must be short.
        self.home = Path(tempfile.mkdtemp(prefix="newsletter-pg-"))
        self.log = self.home / "log"
        self._databases = count(1)
        account = _unprivileged(self.home)
        subprocess.run(
            [
                *(folder / "initdb", "-D", self.home / "data", "-A", "trust", "-U", USER),
                *("--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"),
            ],
            check=True,
            capture_output=True,
            cwd=self.home,
            **account,
        )
        settings = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [folder / "postgres", "-D", self.home / "data", "-k", self.home, *settings],
                stdout=log,
                stderr=log,
                cwd=self.home,
                **account,
            )
        self._await_answer()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}@/{database}?host={self.home}"

    def new_database(self, template: str = "template0") -> str:
        """The URL of a database of its own."""
        name = f"test_{next(self._databases)}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return self.url(name)

    def new_migrated_database(self) -> str:
        """The same, with the newest schema: cloned, which is much quicker than migrating."""
        if not self._run(f"SELECT FROM pg_database WHERE datname = '{TEMPLATE}'"):
            self._run(f'CREATE DATABASE "{TEMPLATE}" TEMPLATE template0')
            migrated = Database(self.url(TEMPLATE), self.home)
            migrated.upgrade()
            migrated.close()
        return self.new_database(TEMPLATE)

    def drop(self, url: str) -> None:
        name = url.partition("@/")[2].partition("?")[0]
        self._run(f'DROP DATABASE "{name}" WITH (FORCE)')

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)  # at once: there is nothing to keep
        self.process.wait(_PATIENCE)
        shutil.rmtree(self.home)

    def _run(self, statement: str) -> int:
        with psycopg.connect(
            f"user={USER} dbname=postgres host={self.home}", autocommit=True
        ) as connection:
            return connection.execute(statement.encode()).rowcount

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self._run("SELECT 1")
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    self.process.wait()
                    log = self.log.read_text("utf-8", "replace")
                    shutil.rmtree(self.home)
                    raise RuntimeError(f"the PostgreSQL server did not start:\n{log}") from error
            else:
                return
            try:  # the pause between two questions ends at once when the server does
                self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue


def _unprivileged(home: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as `postgres`, else as `nobody`."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(home, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
