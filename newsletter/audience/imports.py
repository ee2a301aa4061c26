"""Getting people in from CSV. Good rows go in, bad ones are listed in a file with line and reason.

An import never brings back somebody who left or is suppressed. Running the same file twice changes
nothing the second time.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import sqlalchemy as sa

from newsletter.audience.addresses import Address, AddressError, parse_address
from newsletter.audience.people import add_memberships, log, memberships, suppression_holds
from newsletter.audience.segments import Segments
from newsletter.config import FieldSettings
from newsletter.db import Database
from newsletter.db.schema import subscriber, suppression
from newsletter.errors import InputError
from newsletter.text import did_you_mean, fold, tidy

CHUNK = 5_000  #: rows a transaction; bounds memory and keeps other writers waiting under a second
MOST_NOTICES = 20  #: columns without use that are named one by one
LONGEST_VALUE = 500  #: characters of a name or field
_FIRST_CONSENT = datetime(1990, 1, 1, tzinfo=UTC)  # before it nobody had a newsletter
_KNOWN = ("email", "name", "segments", "status", "consent_at", "consent_source", "language")
_ALSO_EMAIL = ("email", "e mail", "email address", "e mail address", "mail")
_STATUS = {
    "subscribed": "subscribed",
    "active": "subscribed",
    "pending": "pending",
    "unsubscribed": "unsubscribed",
}


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

    def as_dict(self) -> dict[str, Any]:
        counts = ("rows", "added", "updated", "unchanged", "merged", "kept_out", "rejected")
        return {
            **{name: getattr(self, name) for name in counts},
            "notices": self.notices,
            "rejects_file": self.rejects_file,
        }


@dataclass(slots=True)
class _Row:
    line: int
    address: Address
    values: dict[str, Any]  # columns of `subscriber` that the file names
    fields: dict[str, Any]
    segments: tuple[str, ...]
    counted: bool = True  # false for a further row of an address that an earlier chunk had

    @property
    def leaves(self) -> bool:
        return self.values.get("status") == "unsubscribed"

    def merged_with(self, later: _Row) -> _Row:
        """A later row of the same address adds its segments and fills what was empty; a wish to
        leave holds, whichever row has it."""
        values = {**later.values, **self.values}
        if later.leaves:
            values["status"] = "unsubscribed"
        return _Row(
            self.line,
            self.address,
            values,
            {**later.fields, **self.fields},
            tuple(dict.fromkeys((*self.segments, *later.segments))),
            self.counted,
        )


class _RowError(ValueError):
    pass


class Importer:
    """One import of one CSV file."""

    def __init__(
        self,
        database: Database,
        segments: Segments,
        fields: Mapping[str, FieldSettings],
        *,
        actor: str = "import",
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.database = database
        self.segments = segments
        self.fields = fields
        self.actor = actor
        self.progress = progress
        self.result = ImportResult()
        self._seen: set[str] = set()
        self._notices: dict[str, int] = {}
        self._segment_keys = {
            fold(label): key for key, labels in segments.names() for label in (key, *labels)
        }

    def run(self, path: Path, rejects: Path) -> ImportResult:
        """Import the file. `rejects` is written only when a row is refused.

        Raises InputError for what is no CSV with an e-mail column; then nothing was changed.
        """
        _require_text(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = _reader(file, path)
            try:
                header: list[str] = next(reader, [])
            except csv.Error as error:
                raise InputError(f"can't be read as CSV: {error}", file=str(path), line=1) from None
            columns = self._columns(header, path)
            with _Rejects(rejects) as refused:
                self._refused = refused
                for rows in self._chunks(reader, columns):
                    self._store(rows, f"import:{path.name}")
                    if self.progress:
                        self.progress(self.result.rows)
        if refused.count:
            self.result.rejects_file = str(rejects)
        self.result.notices += [
            f"{text} ({count} {'row' if count == 1 else 'rows'})"
            for text, count in self._notices.items()
        ]
        with self.database.write() as connection:
            log(connection, self.actor, "import", path.name, self.result.as_dict())
        return self.result

    # -- reading -----------------------------------------------------------------------------

    def _columns(self, header: Sequence[str], path: Path) -> list[str | None]:
        """What each column means; None for those that are not used."""
        names = [fold(name).replace(" ", "_") for name in header]
        columns: list[str | None] = []
        options = [*_KNOWN, *self.fields]
        unused = 0
        for name, written in zip(names, header, strict=True):
            if name.replace("_", " ") in _ALSO_EMAIL and "email" not in columns:
                columns.append("email")
            elif (name in _KNOWN or name in self.fields) and name not in columns:
                columns.append(name)
            else:
                columns.append(None)
                unused += 1
                if unused > MOST_NOTICES:
                    continue
                hint = did_you_mean(name, options)
                again = " again" if name in columns else ""
                self.result.notices.append(
                    f'column "{tidy(written)}"{again} is not used.{hint} '
                    "Declare it under [fields] in newsletter.toml to keep it."
                )
        if unused > MOST_NOTICES:
            self.result.notices.append(f"{unused - MOST_NOTICES:,} more columns are not used")
        if "email" not in columns:
            there = ", ".join(f'"{tidy(name)}"' for name in header[:12]) or "none"
            raise InputError(
                f'has no column "email" in its first line (columns there: {there}). '
                "The first line must name the columns, one of them email",
                file=str(path),
                line=1,
            )
        return columns

    def _chunks(self, reader: Any, columns: list[str | None]) -> Iterator[list[_Row]]:
        chunk: dict[str, _Row] = {}
        for line, cells in self._lines(reader):
            try:
                row = self._row(line, cells, columns)
            except (_RowError, AddressError) as problem:
                self._refuse(line, str(problem), cells)
                continue
            key = row.address.key
            if key in self._seen:
                self.result.merged += 1
                row.counted = False
            self._seen.add(key)
            chunk[key] = chunk[key].merged_with(row) if key in chunk else row
            if len(chunk) >= CHUNK:
                yield list(chunk.values())
                chunk = {}
        yield list(chunk.values())

    def _lines(self, reader: Any) -> Iterator[tuple[int, list[str]]]:
        """(line on which it begins, cells) of every row that is not blank."""
        line = 2
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.result.rows += 1
                last = reader.line_num
                lines = f"lines {line} to {last}" if last > line else "this line"
                self._refuse(
                    line, f"{lines} can't be read as CSV ({error}); is a quote not closed?", []
                )
                continue
            finally:
                begins, line = line, reader.line_num + 1
            if any(cell.strip() for cell in cells):
                self.result.rows += 1
                yield begins, cells

    def _row(self, line: int, cells: list[str], columns: list[str | None]) -> _Row:
        if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
            raise _RowError(f"has {len(cells)} cells, the first line names {len(columns)}")
        given = {
            name: tidy(cell) for name, cell in zip(columns, cells, strict=False) if name is not None
        }
        for name, cell in zip(columns, cells, strict=False):
            if name != "email" and "@" in cell and "\n" in cell.strip():
                over = cell.strip().count("\n") + 1
                raise _RowError(
                    f"a cell runs over {over} lines and holds an address; is a quote not closed?"
                )
        raw = dict(zip(columns, cells, strict=False)).get("email", "")
        address = parse_address(raw or "")
        for name, value in given.items():
            if len(value) > LONGEST_VALUE:
                raise _RowError(f"{name} has {len(value)} characters; {LONGEST_VALUE} is the most")
        values: dict[str, Any] = {
            name: given[name] for name in ("name", "language", "consent_source") if given.get(name)
        }
        if given.get("status"):
            status = _STATUS.get(given["status"].lower())
            if status is None:
                known = ", ".join(_STATUS)
                raise _RowError(f'status "{given["status"]}" is none of {known}')
            values["status"] = status
        if given.get("consent_at"):
            values["consent_at"] = _time(given["consent_at"])
        fields = {
            name: _field(name, given[name], self.fields[name])
            for name in self.fields
            if given.get(name)
        }
        return _Row(line, address, values, fields, self._segments(given.get("segments", "")))

    def _segments(self, cell: str) -> tuple[str, ...]:
        keys: list[str] = []
        for label in filter(None, map(str.strip, cell.split(";"))):
            key = self._segment_keys.get(fold(label))
            if key is None:
                hint = did_you_mean(label, [segment.name for segment in self.segments])
                raise _RowError(f'"{label}" is no segment.{hint}')
            if not self.segments.get(key).manual:
                self._note(
                    f'"{label}" has a rule, which decides who is in it; the column was not used'
                )
            else:
                keys.append(key)
        return tuple(keys)

    def _note(self, text: str) -> None:
        self._notices[text] = self._notices.get(text, 0) + 1

    def _refuse(self, line: int, reason: str, cells: Sequence[str]) -> None:
        self.result.rejected += 1
        self._refused.add(line, reason, cells)

    # -- storing -----------------------------------------------------------------------------

    def _store(self, rows: list[_Row], source: str) -> None:
        if not rows:
            return
        now = datetime.now(UTC)
        with self.database.write() as connection:
            keys = [row.address.key for row in rows]
            suppressed = set(
                connection.scalars(
                    sa.select(suppression.c.address_key).where(
                        suppression.c.address_key.in_(keys), suppression_holds(now)
                    )
                )
            )
            known = {
                row.address_key: row
                for row in connection.execute(
                    sa.select(subscriber).where(subscriber.c.address_key.in_(keys))
                )
            }
            members = memberships(connection, [row.id for row in known.values()])
            new: list[dict[str, Any]] = []
            changed: list[dict[str, Any]] = []
            joining: list[_Row] = []
            for row in rows:
                person = known.get(row.address.key)
                if row.address.key in suppressed or _stays_away(person, row):
                    outcome = "kept_out"
                elif person is None:
                    outcome = "added"
                    new.append(_new(row, source, now))
                    joining.append(row)
                else:
                    joins = set(row.segments) - members.get(person.id, set())
                    merged = _merged(row, person)
                    differs = any(getattr(person, name) != merged[name] for name in merged)
                    outcome = "updated" if differs or joins else "unchanged"
                    if differs:
                        changed.append({"row_id": person.id, **merged, "updated_at": now})
                    if joins:
                        joining.append(row)
                if row.counted:
                    setattr(self.result, outcome, getattr(self.result, outcome) + 1)
            if new:
                connection.execute(subscriber.insert(), new)
            if changed:
                connection.execute(_UPDATE, changed)
            self._join(connection, [row for row in joining if row.segments])

    @staticmethod
    def _join(connection: sa.Connection, rows: list[_Row]) -> None:
        if not rows:
            return
        wanted = {row.address.key: row.segments for row in rows}
        people = connection.execute(
            sa.select(subscriber.c.address_key, subscriber.c.id).where(
                subscriber.c.address_key.in_(wanted)
            )
        )
        add_memberships(
            connection, [(segment, person) for key, person in people for segment in wanted[key]]
        )


_UPDATED = ("name", "status", "language", "fields", "consent_at", "consent_source")
_UPDATE = (
    subscriber.update()
    .where(subscriber.c.id == sa.bindparam("row_id"))
    .values({name: sa.bindparam(name) for name in (*_UPDATED, "updated_at")})
)


def _stays_away(person: sa.Row[Any] | None, row: _Row) -> bool:
    """Who left is brought back by their own wish only, never by a file."""
    return person is not None and person.status == "unsubscribed" and not row.leaves


def _new(row: _Row, source: str, now: datetime) -> dict[str, Any]:
    return {
        "address": row.address.mailbox,
        "address_key": row.address.key,
        "domain": row.address.domain,
        "name": row.values.get("name", ""),
        "status": row.values.get("status", "subscribed"),
        "language": row.values.get("language", ""),
        "fields": row.fields,
        "consent_at": row.values.get("consent_at"),
        "consent_source": row.values.get("consent_source") or source,
        "created_at": now,
        "updated_at": now,
    }


def _merged(row: _Row, person: sa.Row[Any]) -> dict[str, Any]:
    """The person's values with those of the row over them; an empty cell takes nothing away. A
    further row of the same file only fills what is empty, as within one chunk."""
    merged: dict[str, Any] = {}
    for name in _UPDATED:
        given, had = row.values.get(name), getattr(person, name)
        merged[name] = (given or had) if row.counted else (had or given or had)
    merged["status"] = "unsubscribed" if row.leaves else merged["status"]
    first, second = (row.fields, person.fields) if row.counted else (person.fields, row.fields)
    merged["fields"] = {**second, **first}
    return merged


class _Rejects:
    """The rejects file: made with the first refused row, so a clean import leaves none behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file: TextIO | None = None

    def __enter__(self) -> _Rejects:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def add(self, line: int, reason: str, cells: Sequence[str]) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow(["line", "reason", "row"])
        self.count += 1
        csv.writer(self._file).writerow([line, reason, *cells])


def _require_text(path: Path) -> None:
    """Refuse before anything is read in: missing, empty, binary, or not UTF-8 anywhere."""
    try:
        with path.open("rb") as file:
            line = 1
            empty = True
            for raw in file:
                empty = False
                if b"\0" in raw:
                    raise InputError("holds NUL bytes, so it is no CSV", file=str(path), line=line)
                try:
                    raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise InputError(
                        f"is not UTF-8 (byte 0x{raw[error.start]:02x}); save it as "
                        '"CSV UTF-8" and import again',
                        file=str(path),
                        line=line,
                    ) from None
                line += 1
    except FileNotFoundError:
        raise InputError("there is no such file", file=str(path)) from None
    except IsADirectoryError:
        raise InputError("is a folder; name the CSV file", file=str(path)) from None
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file=str(path)) from error
    if empty:
        raise InputError("is empty", file=str(path), line=1)


def _reader(file: TextIO, path: Path) -> Any:
    sample = file.read(20_000)
    file.seek(0)
    first = sample.splitlines()[0] if sample.strip() else ""
    delimiter = max(",;\t|", key=first.count)
    if not first.strip():
        raise InputError(
            "begins with an empty line; the first line names the columns", file=str(path), line=1
        )
    return csv.reader(file, delimiter=delimiter, strict=True)


def _time(text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
        moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or not _FIRST_CONSENT <= moment <= datetime.now(UTC) + timedelta(days=1):
        example = "2026-05-03T09:00:00Z"
        raise _RowError(f'consent_at "{text}" is no time in the past; write it as {example}')
    return moment


def _field(name: str, text: str, settings: FieldSettings) -> Any:
    match settings.type:
        case "number":
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                raise _RowError(f'{name} "{text}" is no number')
            return number
        case "boolean":
            known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
            if text.lower() not in known:
                raise _RowError(f'{name} "{text}" is neither yes nor no')
            return known[text.lower()]
        case "date":
            try:
                return date.fromisoformat(text).isoformat()
            except ValueError:
                raise _RowError(f'{name} "{text}" is no date; write it as 2026-11-24') from None
        case "choice":
            for choice in settings.choices:
                if fold(choice) == fold(text):
                    return choice
            raise _RowError(
                f'{name} "{text}" is none of {", ".join(settings.choices)}.'
                + did_you_mean(text, settings.choices)
            )
        case _:
            return text
