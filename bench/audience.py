"""The audience of a million, on SQLite and PostgreSQL: import beside a bare `executemany` or `COPY` of the
same file, counts of rules, membership of all segments, explain, erase, export beside a bare csv writer.

`python -m bench audience`; BENCH_PEOPLE sets the number of people (1,000,000), BENCH_ROUNDS how often (3),
BENCH_DATABASES which databases ("sqlite postgresql").
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import people
from bench.figures import Figure, Result, Target
from bench.sample import in_new_process, workspace_folder

PEOPLE = int(os.environ.get("BENCH_PEOPLE", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
DATABASES = os.environ.get("BENCH_DATABASES", "sqlite postgresql").split()
_COLUMNS = list(next(people.rows(1)))
RULES = {
    "a field": "role = 'cto'",
    "four fields": "role = 'cto' or department = 'ai' and country = 'DE' or company = 'Company 7'",
    "like": "role like '%sec%' or company like '%7'",
    "like, beyond ASCII": "name like '%NÚÑ%'",
    "days": "subscribed_days > 100 and consent_at > days_ago(300)",
    "a segment": "segment('security') and not segment('execs')",
}


def run(*, profile: bool = False) -> Result:  # noqa: ARG001
    figures: list[Figure] = []
    targets: list[Target] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as temporary:
        folder = Path(temporary)
        file = people.write(folder / "people.csv", PEOPLE)
        for name in DATABASES:
            measured = [_round(name, file) for _ in range(ROUNDS)]
            for what, unit, limit in _WANTED:
                values = [one[what] for one in measured if what in one]
                if not values:
                    continue
                figure = Figure(f"{name}: {what}", unit, values)
                figures.append(figure)
                if limit is not None:
                    targets.append(Target(figure, limit))
            for rule in RULES:
                figure = Figure(
                    f"{name}: count, {rule}", "s", [one["counts"][rule] for one in measured]
                )
                figures.append(figure)
                targets.append(Target(figure, 1.0))
    return Result("audience", f"Audience of {PEOPLE:,}", figures, targets, notes)


#: What is measured, its unit, and at most how much of it is wanted.
_WANTED: tuple[tuple[str, str, float | None], ...] = (
    ("import", "s", None),
    ("bare import", "s", None),
    ("import / bare", "×", 3.0),
    ("import, resident", "MB", 250.0),
    ("import again, nothing new", "s", None),
    ("membership of all segments", "s", 5.0),
    ("explain", "ms", 20.0),
    ("erase", "ms", 100.0),
    ("export", "s", None),
    ("bare export", "s", None),
    ("export / bare", "×", 3.0),
    ("export, resident", "MB", None),
)


def _round(name: str, file: Path) -> dict[str, Any]:
    with _database(name) as url, workspace_folder() as folder:
        given = {"url": url, "file": str(file), "database": name}
        found: dict[str, Any] = {}
        for step in ("bare", "import", "again", "ask", "export"):
            found |= in_new_process("bench.audience", step, str(folder), given=given)
    found["import / bare"] = found["import"] / found["bare import"]
    if "export" in found:
        found["export / bare"] = found["export"] / found["bare export"]
    return found


@contextmanager
def _database(name: str) -> Iterator[str]:
    if name == "sqlite":
        yield "sqlite:///var/newsletter.db"
        return
    from tests import postgres

    binaries = postgres.binaries()
    if binaries is None:
        raise SystemExit("there are no PostgreSQL binaries here (Debian: apt install postgresql)")
    server = postgres.Server(binaries)
    try:
        yield server.new_migrated_database()
    finally:
        server.stop()


# -- in a new process -------------------------------------------------------------------------------


def _bare(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The file into an empty table with the same keys, as fast as the database takes it."""
    columns = ", ".join(f"{name} TEXT" for name in _COLUMNS)
    if given["database"] == "sqlite":
        (folder / "var").mkdir(exist_ok=True)
        connection = sqlite3.connect(folder / "var" / "bare.db")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            f"CREATE TABLE bare (id INTEGER PRIMARY KEY AUTOINCREMENT, {columns}, UNIQUE (email))"
        )
        begun = time.perf_counter()
        with open(given["file"], encoding="utf-8", newline="") as file, connection:
            reader = csv.reader(file)
            next(reader)
            connection.executemany(
                f"INSERT INTO bare ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})",
                reader,
            )
        taken = time.perf_counter() - begun
        connection.close()
        (folder / "var" / "bare.db").unlink()
        return {"bare import": taken}
    import psycopg

    with psycopg.connect(given["url"].replace("+psycopg", "")) as server:
        server.execute(f"CREATE TABLE bare (id BIGSERIAL PRIMARY KEY, {columns}, UNIQUE (email))")
        server.commit()
        begun = time.perf_counter()
        with (
            open(given["file"], "rb") as raw,
            server.cursor().copy(
                f"COPY bare ({', '.join(_COLUMNS)}) FROM STDIN WITH (FORMAT csv, HEADER)"
            ) as copy,
        ):
            while block := raw.read(1 << 16):
                copy.write(block)
        server.commit()
        taken = time.perf_counter() - begun
        server.execute("DROP TABLE bare")
    return {"bare import": taken}


def _import(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    from newsletter import Workspace
    from newsletter.cli.live import few_collections

    with Workspace(folder, actor="bench") as workspace, few_collections():
        workspace.database.check()
        begun = time.perf_counter()
        result = workspace.import_people(Path(given["file"]))
        taken = time.perf_counter() - begun
        assert result.added == result.rows, result
    return {"import": taken, "import, resident": _resident()}


def _again(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    from newsletter import Workspace
    from newsletter.cli.live import few_collections

    with Workspace(folder, actor="bench") as workspace, few_collections():
        workspace.database.check()
        begun = time.perf_counter()
        result = workspace.import_people(Path(given["file"]))
        taken = time.perf_counter() - begun
        assert result.unchanged == result.rows, result
    return {"import again, nothing new": taken}


def _ask(folder: Path, given: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    from newsletter import Workspace

    with Workspace(folder, actor="bench") as workspace:
        workspace.segment_counts()  # whoever asks once has read the database's pages
        begun = time.perf_counter()
        workspace.segment_counts()
        membership = time.perf_counter() - begun
        counts = {}
        for name, rule in RULES.items():
            begun = time.perf_counter()
            workspace.count(rule)
            counts[name] = time.perf_counter() - begun
        audience = workspace.audience
        emails = [one["email"] for one in people.rows(50)]
        audience.belongings(emails[0])
        begun = time.perf_counter()
        for email in emails:
            audience.belongings(email)
        explain = (time.perf_counter() - begun) / len(emails)
        gone = [one["email"] for one in list(people.rows(70))[50:]]
        begun = time.perf_counter()
        for email in gone:
            workspace.erase(email)
        erase = (time.perf_counter() - begun) / len(gone)
    return {
        "erase": erase * 1000,
        "membership of all segments": membership,
        "counts": counts,
        "explain": explain * 1000,
    }


def _export(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Everybody as CSV, beside a bare cursor into a bare csv writer: the same columns."""
    from newsletter import Workspace
    from newsletter.audience.exports import COLUMNS
    from newsletter.cli.live import few_collections

    with Workspace(folder, actor="bench") as workspace:
        workspace.database.check()
        names = ", ".join(
            "address" if name == "email" else name for name in COLUMNS if name != "segments"
        )
        begun = time.perf_counter()
        with (
            (folder / "bare.csv").open("w", encoding="utf-8", newline="") as text,
            _bare_cursor(folder, given) as cursor,
        ):
            cursor.execute(f"SELECT {names}, fields FROM subscriber ORDER BY id")
            csv.writer(text).writerows(cursor)
        bare = time.perf_counter() - begun
        begun = time.perf_counter()
        with (folder / "people.csv").open("wb") as file, few_collections():
            number = workspace.audience.export(file, "csv")
        taken = time.perf_counter() - begun
        assert number == PEOPLE - 20, number  # those who were erased
    return {"export": taken, "bare export": bare, "export, resident": _resident()}


@contextmanager
def _bare_cursor(folder: Path, given: dict[str, Any]) -> Iterator[Any]:
    if given["database"] == "sqlite":
        connection = sqlite3.connect(folder / "var" / "newsletter.db")
        yield connection.cursor()
        connection.close()
        return
    import psycopg

    with (
        psycopg.connect(given["url"].replace("+psycopg", "")) as server,
        server.cursor(name="everybody") as cursor,
    ):
        cursor.itersize = 5_000
        yield cursor


def _resident() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    _given = json.load(sys.stdin)
    os.environ["NEWSLETTER_DATABASE__URL"] = _given["url"]
    _step = {"bare": _bare, "import": _import, "again": _again, "ask": _ask, "export": _export}
    print(json.dumps(_step[sys.argv[1]](Path(sys.argv[2]), _given)))
