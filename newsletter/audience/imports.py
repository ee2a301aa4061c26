"""Getting people in: a file is read through and staged, then stored in pieces, each all or nothing.

Whatever is wrong with the file shows before anything is changed. An import never brings back somebody
who left or is suppressed, unless a later proof of consent comes with them. Running the same file
twice changes nothing the second time, so one that was cut off is simply run again.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import sqlalchemy as sa

from newsletter.audience.columns import STAGED, Columns, Options, plain_name
from newsletter.audience.erased import ErasedPeople
from newsletter.audience.people import log
from newsletter.audience.segments import MOST, Segments
from newsletter.audience.staging import Policy, Progress, Storage, open_stage
from newsletter.audience.tables import Table, harmless
from newsletter.config import FieldSettings
from newsletter.db import Database
from newsletter.db.schema import column_map
from newsletter.errors import InputError
from newsletter.text import did_you_mean

FIRST_ROWS = 5  #: shown by a dry run


@dataclass
class ImportResult:
    """What became of the rows: six of the counts sum to `rows`."""

    rows: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    merged: int = 0  #: a further row for an address of the same file
    kept_out: int = 0  #: people who left or are suppressed, and stay so
    rejected: int = 0
    notices: list[str] = field(default_factory=list)  #: columns and values that were not used
    rejects_file: str | None = None
    system: str | None = None  #: whose export it was
    columns: dict[str, str] = field(default_factory=dict)  #: what each was taken for; "" for unused
    refused: list[str] = field(default_factory=list)  #: the first rejected rows, with their reasons
    first: list[dict[str, Any]] = field(default_factory=list)  #: of a dry run: rows as understood
    new_segments: dict[str, str] = field(default_factory=dict)  #: made for tags, key to name

    def as_dict(self) -> dict[str, Any]:
        """What `audience import --json` prints."""
        counts = ("rows", "added", "updated", "unchanged", "merged", "kept_out", "rejected")
        values: dict[str, Any] = {name: getattr(self, name) for name in counts}
        values |= {"notices": self.notices, "rejects_file": self.rejects_file}
        values |= {"system": self.system, "columns": self.columns}
        values |= {"new_segments": list(self.new_segments), "refused": self.refused}
        return values | ({"first": self.first} if self.first else {})


_AS_FOUND = Options()


class Importer:
    """One import of one table."""

    def __init__(
        self,
        database: Database,
        segments: Segments,
        fields: Mapping[str, FieldSettings],
        *,
        actor: str = "import",
        topics: Sequence[str] = (),
        erased: ErasedPeople | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.database = database
        self.segments = segments
        self.fields = fields
        self.actor = actor
        self.topics = topics
        self.erased = erased
        self.progress = progress or (lambda _done, _total, _doing: None)
        self.result = ImportResult()

    def run(
        self,
        table: Table,
        rejects: Path,
        *,
        source: str,
        options: Options = _AS_FOUND,
        policy: Policy = "update",
        dry: bool = False,
        make_segments: Callable[[Mapping[str, str]], None] | None = None,
    ) -> ImportResult:
        """Import the table. `rejects` is written only when a row is refused; `source` is where people
        without a source of consent come from; `make_segments` makes manual ones for tags. A `dry` run
        counts just what a real one would, and changes nothing.

        Raises InputError for what is no table with an e-mail column, or was changed while it was
        read; then nothing was changed.
        """
        writer = self.database.writer()
        options = self._with_known_map(table, options)
        columns = Columns(
            table.header,
            self.fields,
            self.segments,
            options,
            topics=self.topics,
            file=table.name,
            literal=table.format == "jsonl",
        )
        self.result.system = columns.system.name if columns.system else None
        try:
            with (
                open_stage(writer, self.erased) as storage,
                _Rejects(rejects, dry=dry) as refused,
            ):
                self._read(storage, table, columns, refused, dry=dry)
                table.refuse_changed()
                self._refuse_too_many(columns.new_segments)
                self.result.merged = storage.merge()
                self.result.new_segments = columns.new_segments
                if columns.new_segments and not dry and make_segments:
                    make_segments(columns.new_segments)
                counts = storage.store(
                    policy=policy,
                    source=source,
                    dry=dry,
                    progress=self.progress,
                )
        finally:
            writer.close()
        for outcome, number in counts.items():
            setattr(self.result, outcome, number)
        if refused.count and not dry:
            self.result.rejects_file = str(rejects)
        elif not dry:
            rejects.unlink(missing_ok=True)  # of an earlier run, with other mistakes
        if table.note:
            self.result.notices.insert(0, table.note)
        self.result.notices += columns.finish()
        self.result.columns = dict(zip(table.header, columns.meanings, strict=True))
        if not dry:
            self._remember(table, options, source)
        return self.result

    # -- reading -----------------------------------------------------------------------------

    def _read(
        self, storage: Storage, table: Table, columns: Columns, refused: _Rejects, *, dry: bool
    ) -> None:
        with storage.staging(columns.given(grows=table.format == "jsonl")) as put:
            for rows in table.chunks():
                if len(table.header) > len(columns.meanings):
                    columns.extend(table.header)
                staged, unusable = columns.read(rows)
                for row, problem in unusable:
                    refused.add(row.line, problem, row.cells)
                    if len(self.result.refused) < FIRST_ROWS:
                        self.result.refused.append(f"line {row.line}: {problem}")
                self.result.rows += len(rows)
                if dry and (wanted := FIRST_ROWS - len(self.result.first)):
                    self.result.first += map(_shown, islice(zip(*staged, strict=True), wanted))
                put(staged)
                self.progress(table.position(), table.size, "reading")
        self.result.rejected = refused.count

    def _refuse_too_many(self, new: Mapping[str, str]) -> None:
        if new and (number := len(self.segments) + len(new)) > MOST:
            raise InputError(
                f"there would be {number} segments with those for its tags; {MOST} is the most. "
                "Import without them (--no-create-segments), or leave the column out: "
                '--map "COLUMN=-"'
            )

    def _with_known_map(self, table: Table, options: Options) -> Options:
        """What was said of a file with these columns before, and what is said now. Raises InputError for
        a column that is not there."""
        names = [plain_name(one) for one in table.header]
        for column in options.map:
            if plain_name(column) not in names and table.format != "jsonl":
                hint = did_you_mean(column, table.header)
                raise InputError(f'--map: there is no column "{column}".{hint}', file=table.name)
        with self.database.read() as connection:
            known = connection.scalar(
                sa.select(column_map.c.map).where(column_map.c.columns == _hash(table.header))
            )
        if not known:
            return options
        self.result.notices.append(
            "columns are understood as the last time: "
            + ", ".join(f"{column}={known[column]}" for column in sorted(known))
        )
        said = [plain_name(one) for one in options.map]
        known = {one: meaning for one, meaning in known.items() if plain_name(one) not in said}
        return Options(
            {**known, **options.map}, options.system, options.replaces, options.creates_segments
        )

    def _remember(self, table: Table, options: Options, source: str) -> None:
        with self.database.write() as connection:
            if options.map:
                columns = _hash(table.header)
                connection.execute(column_map.delete().where(column_map.c.columns == columns))
                values = {"columns": columns, "map": dict(options.map)}
                connection.execute(column_map.insert(), {**values, "updated_at": datetime.now(UTC)})
            name = source.removeprefix("import:")
            said = {k: v for k, v in self.result.as_dict().items() if k != "refused"}
            log(connection, self.actor, "import", name, said)


def _shown(staged: Sequence[Any]) -> dict[str, Any]:
    """A row as it was understood, without what was not given."""
    values = dict(zip(STAGED, staged, strict=True))
    email, fields = values.pop("address"), json.loads(values.pop("fields"))
    hidden = ("key", "domain")
    found = {name: value for name, value in values.items() if value and name not in hidden}
    return {"email": email, **found, **fields}


def _hash(header: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(header)).encode()).hexdigest()[:32]


class _Rejects:
    """The rejects file: made with the first refused row, so a clean import leaves none behind."""

    def __init__(self, path: Path, *, dry: bool) -> None:
        self.path = path
        self.dry = dry
        self.count = 0
        self._file: TextIO | None = None

    def __enter__(self) -> _Rejects:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def add(self, line: int, reason: str, cells: Sequence[str]) -> None:
        self.count += 1
        if self.dry:
            return
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._file = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="")
            csv.writer(self._file).writerow(["line", "reason", "row"])
        csv.writer(self._file).writerow([line, reason, *map(harmless, cells)])
