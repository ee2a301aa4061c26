"""Tables in files: CSV, TSV, JSON Lines and XLSX, read and written row by row in bounded memory.

Knows nothing of subscribers. What can't be read is refused with its place before any row is given,
but for single rows, which come with what is wrong with them.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count, islice, repeat
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, Protocol

from newsletter.audience.encodings import LONGEST_LINE, encoding_of
from newsletter.errors import InputError
from newsletter.files import refuse_zip_bomb
from newsletter.text import tidy

Format = Literal["csv", "tsv", "jsonl", "xlsx"]
FORMATS: tuple[Format, ...] = ("csv", "tsv", "jsonl", "xlsx")
MOST_COLUMNS = 1_000
_BLOCK = 1 << 20  # bytes
_CHUNK = 5_000  # rows
_ENDINGS: dict[str, Format] = {
    ".csv": "csv", ".txt": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".xlsx": "xlsx",
}  # fmt: skip
# A workbook is a zip: what it may grow to.
_MOST_UNPACKED = 4 << 30
_MOST_TEXTS = 128 << 20  # the shared strings, which are read as a whole
_MOST_OF_OTHERS = 32 << 20  # styles and all the rest, which make objects ten times as large
_LAST_ROW = 1_048_576  # of a workbook
# What a spreadsheet would take for a formula.
_FORMULA = re.compile(r"^'*[=+\-@\t\r]")


class Row(NamedTuple):
    """One row of a table. `problem` says why it can't be read; then it has no cells."""

    line: int  #: on which it begins, from 1; in a workbook the row's number
    cells: list[str]
    problem: str = ""


class Table:
    """A table in a file. Use as a context; `rows` may be called once.

    `header` names the columns. In JSON Lines new names may come up on the way: then it grows, and the
    rows before have fewer cells.
    """

    header: list[str]
    format: Format
    note: str = ""  #: how the file was understood, when that was not plain

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.file = file
        self.name = name
        self.size = os.fstat(file.fileno()).st_size
        self._stamp = self._state()

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def chunks(self) -> Iterator[list[Row]]:
        """The rows that are not blank, some thousand at a time."""
        raise NotImplementedError

    def position(self) -> int:
        """Bytes read so far, of `size`."""
        return self.file.tell()

    def refuse_changed(self) -> None:
        """Raise InputError when the file is not the one that was opened any more."""
        if self._state() != self._stamp:
            raise InputError(
                "was changed while it was read, so nothing was imported; import it again",
                file=self.name,
            )

    def _state(self) -> tuple[int, int]:
        found = os.fstat(self.file.fileno())
        return found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class How:
    """How a file is to be read; what is not given is found out."""

    format: Format | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None


_AS_FOUND = How()


def open_table(path: Path | None, stdin: IO[bytes] | None = None, how: How = _AS_FOUND) -> Table:
    """A table in a file, or on standard input when `path` is None.

    Raises InputError, with the line, for what is no table: missing, empty, binary, of two encodings,
    with lines or columns beyond all measure, a workbook that would fill the memory.
    """
    name = "standard input" if path is None else str(path)
    file = _spooled(stdin) if path is None else _opened(path)
    try:
        kind = _format(file, name, path, how)
        if kind == "xlsx":
            return _Workbook(file, name, how.sheet)
        encoding, note = encoding_of(file, name, how.encoding)
        made: Table
        if kind == "jsonl":
            made = _JsonLines(file, name, encoding)
        else:
            delimiter = "\t" if kind == "tsv" and not how.delimiter else how.delimiter
            made = _Separated(file, name, encoding, delimiter)
    except BaseException:
        file.close()
        raise
    made.note = note
    return made


def _format(file: IO[bytes], name: str, path: Path | None, how: How) -> Format:
    head = file.read(4)
    file.seek(0)
    if not head:
        raise InputError("is empty", file=name, line=1)
    if how.format:
        return how.format
    if head == b"PK\x03\x04":
        if path is not None and path.suffix.lower() == ".zip":
            raise InputError("is a zip; unpack it, and import the file that is in it", file=name)
        return "xlsx"
    if head.lstrip()[:1] == b"[":
        raise InputError(
            "begins like a JSON array; save it as JSON Lines, one object a line", file=name, line=1
        )
    if path is None:
        return "jsonl" if head.lstrip().startswith(b"{") else "csv"
    kind = _ENDINGS.get(path.suffix.lower(), "csv")
    if kind == "xlsx":
        raise InputError("is no workbook, whatever its name says", file=name)
    return kind


def _opened(path: Path) -> IO[bytes]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise InputError("there is no such file", file=str(path)) from None
    except IsADirectoryError:
        raise InputError("is a folder; name the file", file=str(path)) from None
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file=str(path)) from error
    if not file.seekable():  # a pipe, e.g. of the shell's <(…)
        with closing(file):
            return _spooled(file)
    return file


def _spooled(source: IO[bytes] | None) -> IO[bytes]:
    """What comes from a pipe, in a file of nobody's that ends with us: it is read more than once."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  (closed by its reader)
    while block := source.read(_BLOCK) if source else b"":
        file.write(block)
    file.seek(0)
    return file


# -- separated values --------------------------------------------------------------------------------


class _Separated(Table):
    format: Format = "csv"

    def __init__(
        self, file: IO[bytes], name: str, encoding: str, delimiter: str | None = None
    ) -> None:
        super().__init__(file, name)
        file.seek(0)
        self._text = io.TextIOWrapper(file, encoding, newline="")
        try:
            first = self._first_line()
            said = re.fullmatch(r'"?sep=([^\w"])"?\s*', first, re.IGNORECASE)  # for a spreadsheet
            self._before = 1 if said else 0
            if said:
                self._text.readline(LONGEST_LINE)
                delimiter = delimiter or said[1]
            self.delimiter = delimiter or max(",;\t|", key=first.count)
            if self.delimiter == "\t":
                self.format = "tsv"
            self._reader = csv.reader(self._text, delimiter=self.delimiter, strict=True)
            self.header = next(self._reader, [])
            _refuse_header(self.header, name)
        except (csv.Error, TypeError, ValueError) as error:
            self._text.close()
            raise InputError(f"can't be read as CSV: {error}", file=name, line=1) from None
        except InputError:
            self._text.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def _first_line(self) -> str:
        first = self._text.readline(LONGEST_LINE)
        self._text.seek(0)
        if not first.strip():
            raise InputError(
                "begins with an empty line; the first line names the columns",
                file=self.name,
                line=1,
            )
        # what stands between quotes is no delimiter
        return re.sub(r'"[^"]*"', "", first)

    def chunks(self) -> Iterator[list[Row]]:
        """A hot path, guarded by `make bench-audience`: about 1 µs a row, since the reader runs on by
        itself as long as every row is one line."""
        reader = self._reader
        while True:
            rows: list[list[str]] = []
            before, problem = reader.line_num, ""
            try:
                rows.extend(islice(reader, _CHUNK))
            except csv.Error as error:  # those before it are there
                problem = f"can't be read as CSV ({error}); is a quote not closed?"
            if not rows and not problem:
                break
            chunk = self._placed(rows, before + 1, reader.line_num - before, cut=bool(problem))
            if problem:
                begun = before + 1 + sum(_lines_of(cells) for cells in rows)
                place = "this line"
                if reader.line_num > begun:
                    place = f"lines {begun + self._before} to {reader.line_num + self._before}"
                chunk.append(Row(begun + self._before, [], f"{place} {problem}"))
            yield chunk

    def _placed(self, rows: list[list[str]], first: int, lines: int, *, cut: bool) -> list[Row]:
        """The rows that are not blank, each with the line on which it begins; they take so many `lines`,
        or are `cut` off by one that can't be read."""
        first += self._before
        if lines == len(rows) and not cut:
            placed = list(map(Row._make, zip(count(first), rows, repeat(""))))
        else:
            placed = []
            for cells in rows:
                number = _lines_of(cells)
                problem = _swallowed(cells, self.delimiter) if number > 1 else ""
                placed.append(Row(first, cells, problem))
                first += number
        if all(cells and cells[0] and not cells[0].isspace() for cells in rows):
            return placed
        return [row for row in placed if any(map(str.strip, row.cells))]


_BREAK = re.compile(r"\r\n|\r|\n")


def _lines_of(cells: Sequence[str]) -> int:
    """How many lines a row takes."""
    return 1 + sum(len(_BREAK.findall(cell)) for cell in cells)


def _swallowed(cells: Sequence[str], delimiter: str) -> str:
    """What to say of a row over several lines that seems to have swallowed others."""
    for cell in cells:
        breaks = cell.strip().count("\n")
        if breaks and "@" in cell and (delimiter in cell or cell.count("@") > 1):
            return (
                f"a cell runs over {breaks + 1} lines and holds an address; is a quote not closed?"
            )
    return ""


def _refuse_header(header: Sequence[str], name: str) -> None:
    if len(header) > MOST_COLUMNS:
        raise InputError(
            f"names {len(header):,} columns; {MOST_COLUMNS:,} is the most", file=name, line=1
        )


# -- JSON Lines --------------------------------------------------------------------------------------


class _JsonLines(Table):
    format: Format = "jsonl"

    def __init__(self, file: IO[bytes], name: str, encoding: str) -> None:
        super().__init__(file, name)
        self._encoding = encoding
        self.header = []
        file.seek(0)
        self._text = io.TextIOWrapper(file, encoding)
        self._waiting = self._next_chunk(100)  # names the columns

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def chunks(self) -> Iterator[list[Row]]:
        chunk = self._waiting
        while chunk:
            yield chunk
            chunk = self._next_chunk(_CHUNK)

    def _next_chunk(self, most: int) -> list[Row]:
        line = getattr(self, "_line", 0)
        places = {name: n for n, name in enumerate(self.header)}
        chunk: list[Row] = []
        for text in self._text:
            line += 1
            if not text.strip():
                continue
            try:
                found = json.loads(text)
                chunk.append(self._row(line, found, places))
            except (ValueError, RecursionError) as error:
                chunk.append(Row(line, [], f"this line is no JSON ({tidy(str(error))[:80]})"))
            if len(chunk) >= most:
                break
        self._line = line
        return chunk

    def _row(self, line: int, found: Any, places: dict[str, int]) -> Row:
        if not isinstance(found, dict):
            return Row(line, [], "this line is no JSON object")
        cells = [""] * len(places)
        for named, value in _flat(found):
            key = _cell(named)
            at = places.setdefault(key, len(places))
            if at == len(self.header):
                self.header.append(key)
                _refuse_header(self.header, self.name)
                cells.append("")
            cells[at] = _cell(value)
        return Row(line, cells)


def _flat(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """`{"metadata": {"company": "x"}}` names the column `metadata.company`."""
    for key, value in found.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", one) for inner, one in value.items())
        else:
            yield key, value


_HALVES = re.compile("[\ud800-\udfff]")  # of letters, which no file can hold


def _cell(value: Any) -> str:
    """A value as it would stand in CSV."""
    match value:
        case None:
            return ""
        case str():
            return value if value.isascii() else _HALVES.sub("\ufffd", value)
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.15g}"
        case datetime():
            return value.isoformat(" ")
        case date():
            return value.isoformat()
        case list():
            return ";".join(_cell(one) for one in value)
        case dict():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


# -- workbooks ---------------------------------------------------------------------------------------


class _Workbook(Table):
    format: Format = "xlsx"

    def __init__(self, file: IO[bytes], name: str, sheet: str | None) -> None:
        super().__init__(file, name)
        import openpyxl

        _refuse_bomb(file, name)
        file.seek(0)
        try:
            self._book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            chosen = self._book[sheet] if sheet else self._book.worksheets[0]
        except (KeyError, IndexError) as error:
            if not hasattr(self, "_book"):
                raise InputError(f"is no workbook: {tidy(str(error))[:120]}", file=name) from None
            there = ", ".join(self._book.sheetnames) if hasattr(self, "_book") else "none"
            raise InputError(f'has no sheet "{sheet}" (there: {there})', file=name) from None
        except Exception as error:  # noqa: BLE001  (openpyxl raises whatever it stumbles over)
            raise InputError(
                f"can't be read as a workbook: {tidy(str(error))[:120]}", file=name
            ) from None
        self._sheet = chosen
        if len(self._book.worksheets) > 1 and not sheet:
            others = len(self._book.worksheets) - 1
            self.note = f'the sheet "{chosen.title}" was read; {others} more (--sheet NAME)'
        self._rows = self._values()
        self.header = next(self._rows, Row(1, [])).cells
        _refuse_header(self.header, name)

    def __exit__(self, *_: object) -> None:
        self._book.close()
        super().__exit__()

    def _refuse_size(self, rows: int, columns: int) -> None:
        if rows > _LAST_ROW or columns > MOST_COLUMNS:
            raise InputError(
                f"has more than {MOST_COLUMNS:,} columns or {_LAST_ROW:,} rows",
                file=self.name,
                line=min(rows, _LAST_ROW),
            )

    def _values(self) -> Iterator[Row]:
        try:
            self._sheet.reset_dimensions()  # what the file says of its size may be wrong
            for number, values in enumerate(self._sheet.iter_rows(values_only=True), 1):
                self._refuse_size(number, len(values))
                cells = [_cell(value) for value in values]
                if any(cell.strip() for cell in cells) or number == 1:
                    while cells and not cells[-1]:
                        cells.pop()
                    yield Row(number, cells)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  (openpyxl raises whatever it stumbles over)
            raise InputError(
                f"can't be read as a workbook: {tidy(str(error))[:120]}", file=self.name
            ) from None

    def chunks(self) -> Iterator[list[Row]]:
        chunk: list[Row] = []
        for row in self._rows:
            chunk.append(row)
            if len(chunk) >= _CHUNK:
                yield chunk
                chunk = []
        yield chunk


def _refuse_bomb(file: IO[bytes], name: str) -> None:
    def most(part: str) -> int:
        if part.lower().endswith("sharedstrings.xml"):
            return _MOST_TEXTS
        return _MOST_UNPACKED if part.lower().startswith("xl/worksheets/") else _MOST_OF_OTHERS

    refuse_zip_bomb(
        file, name, kind="workbook", most=most, in_all=_MOST_UNPACKED, remedy="Save it as CSV"
    )


# -- writing -----------------------------------------------------------------------------------------


class Writer(Protocol):
    """Takes rows, the header first; `close` ends the file."""

    def write(self, rows: Sequence[Sequence[str]]) -> None: ...

    def close(self) -> None: ...


def harmless(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula, with an apostrophe before it; a cell that
    begins with one and then so gets one more, so that `original` always finds the way back."""
    return f"'{cell}" if cell and cell[0] in "=+-@\t\r'" and _FORMULA.match(cell) else cell


def original(cell: str) -> str:
    """What `harmless` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def table_writer(file: IO[bytes], kind: Format) -> Writer:
    """Writes a table into an open file, formulas made harmless. The first row names the columns."""
    if kind == "xlsx":
        return _WorkbookWriter(file)
    if kind == "jsonl":
        return _JsonWriter(file)
    return _SeparatedWriter(file, "\t" if kind == "tsv" else ",")


def write_table(file: IO[bytes], kind: Format, rows: Sequence[Mapping[str, str]]) -> None:
    """Write rows that have the same columns."""
    writer = table_writer(file, kind)
    if rows:
        writer.write([list(rows[0]), *(list(row.values()) for row in rows)])
    writer.close()


class _SeparatedWriter:
    def __init__(self, file: IO[bytes], delimiter: str) -> None:
        self._text = io.TextIOWrapper(file, "utf-8", newline="", write_through=False)
        self._writer = csv.writer(self._text, delimiter=delimiter)

    def write(self, rows: Sequence[Sequence[str]]) -> None:
        risky, formula = "=+-@\t\r'", _FORMULA.match
        self._writer.writerows(
            [
                [
                    f"'{cell}" if cell and cell[0] in risky and formula(cell) else cell
                    for cell in row
                ]
                for row in rows
            ]
        )

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


class _JsonWriter:
    """Texts as they are: nobody takes JSON for formulas."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._header: Sequence[str] = ()

    def write(self, rows: Sequence[Sequence[str]]) -> None:
        if not self._header:
            self._header, *rows = rows
        header = self._header
        lines = [
            json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False) + "\n"
            for row in rows
        ]
        self._file.write("".join(lines).encode())

    def close(self) -> None:
        self._file.flush()


_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")  # which a workbook can't hold


class _WorkbookWriter:
    def __init__(self, file: IO[bytes]) -> None:
        import openpyxl

        self._file = file
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet("subscribers")

    def write(self, rows: Sequence[Sequence[str]]) -> None:
        for row in rows:
            self._sheet.append([harmless(_CONTROLS.sub("", cell)) for cell in row])

    def close(self) -> None:
        self._book.save(self._file)
