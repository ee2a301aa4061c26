"""What the columns of a file mean, and what their cells say: from rows of text to staged people.

Exports of other systems are known by their columns. Nothing here touches the database.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import chain, compress, count
from typing import Any

from newsletter.audience.addresses import AddressError, address_parts
from newsletter.audience.segments import RESERVED_KEY, Segments
from newsletter.audience.systems import SYSTEMS, System
from newsletter.audience.tables import Row, original
from newsletter.config import FieldSettings
from newsletter.db import compact_json
from newsletter.errors import InputError
from newsletter.languages import is_language
from newsletter.text import did_you_mean, fold, slugify, tidy

LONGEST_VALUE = 500  #: characters of a name or field
MOST_VALUES = 100  #: of a list
MOST_NOTICES = 20  #: columns without use that are named one by one
_MOST_REMEMBERED = 50_000  # cells of a column whose meaning is kept
_LAST_PAUSE = datetime(2200, 1, 1, tzinfo=UTC)
#: What Go writes (`2021-09-16 08:52:47.123456789 +0100 CET`): a zone twice, and nanoseconds.
_GO_TIME = re.compile(r"^([^.]*(?:\.\d{1,6})?)\d* ?([+-]\d{4})(?: \S+)?$")
#: In a column's name: it may tell who is not to be mailed.
_SAYS_WHO_LEFT = re.compile(r"(^|_)(status|state|unsubscribed|bounced|opted_out|disabled)$")
_CLOCKS_DIFFER = timedelta(minutes=5)
_FIRST_CONSENT = datetime(1990, 1, 1, tzinfo=UTC)  # before it nobody had a newsletter

#: What a column can mean, besides declared fields.
MEANINGS = (
    "email", "name", "first_name", "last_name", "segments", "status", "language", "consent_at",
    "consent_source", "created_at", "left_at", "topics", "frequency", "lens", "paused_until",
    "attributes",
)  # fmt: skip
IGNORED = "-"  #: `--map "Notes=-"`
_ALSO: Mapping[str, str] = {
    "e_mail": "email", "email_address": "email", "e_mail_address": "email", "mail": "email",
    "tags": "segments", "full_name": "name", "firstname": "first_name", "lastname": "last_name",
    "given_name": "first_name", "family_name": "last_name", "opted_in_at": "consent_at",
    "subscribed_at": "consent_at", "unsubscribed_at": "left_at",
    "vorname": "first_name", "nachname": "last_name", "prénom": "first_name", "nom": "last_name",
    "e_mail_adresse": "email", "adresse_e_mail": "email", "sprache": "language", "langue": "language",
}  # fmt: skip
#: What may stand in a status column. The last three keep an address out for good.
STATUSES: Mapping[str, str] = {
    "subscribed": "subscribed", "active": "subscribed", "enabled": "subscribed",
    "confirmed": "subscribed", "regular": "subscribed",
    "pending": "pending", "unconfirmed": "pending", "unactivated": "pending",
    "unsubscribed": "unsubscribed", "left": "left", "inactive": "left", "removed": "left",
    "bounced": "bounced", "cleaned": "bounced", "undeliverable": "bounced", "invalid": "bounced",
    "complained": "complained", "spam": "complained", "blocklisted": "complained",
    "blocked": "complained", "suppressed": "suppressed",
}  # fmt: skip
KEPT_OUT = ("left", "bounced", "complained", "suppressed")
FREQUENCIES = ("", "fortnightly", "monthly")


#: One row on its way into the database, as a list in this order. Empty texts were not given; `fields`
#: and `topics` are JSON, segments keys joined by commas, times UTC as SQLite keeps them.
STAGED = (
    "key", "address", "domain", "name", "language", "status", "fields", "segments", "topics",
    "frequency", "lens", "paused_until", "consent_at", "consent_source", "created_at",
)  # fmt: skip
AT = {name: n for n, name in enumerate(STAGED)}
#: What a cell says when it is empty, of those that go in as they are.
_EMPTY: Mapping[str, Any] = {
    "language": "", "segments": "", "topics": None, "frequency": "", "lens": "",
    "paused_until": None, "consent_at": None, "consent_source": "", "created_at": None,
}  # fmt: skip
_NO_SEGMENTS: tuple[str, tuple[()]] = ("", ())


class _CellError(ValueError):
    """What is wrong with a cell, as a sentence."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands where a cell's value would, with what is wrong with it."""

    reason: str


class _Cells(dict[str, Any]):
    """What the cells of one column say, each read when it is met first."""

    def __init__(self, read: Callable[[str], Any], empty: Any) -> None:
        super().__init__()
        self._read = read
        self._empty = empty
        self.refuses = False  #: whether any cell was refused so far

    def __missing__(self, cell: str) -> Any:
        try:
            found = self._read(cell)
        except ValueError as problem:
            found = _Refused(str(problem))
            self.refuses = True
        if len(self) < _MOST_REMEMBERED:
            self[cell] = found
        return found

    def of(self, cells: Sequence[str], refused: dict[int, str]) -> list[Any]:
        """The values of cells; what is wrong goes to `refused` by position, unless something else is
        there already."""
        found = list(map(self.__getitem__, cells))
        if self.refuses:
            for n, one in enumerate(found):
                if isinstance(one, _Refused):
                    refused.setdefault(n, one.reason)
                    found[n] = self._empty
        return found


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is to be understood."""

    map: Mapping[str, str] = field(default_factory=dict)  #: column to meaning, as written
    system: str | None = None
    replaces: bool = False  #: an empty cell of a field empties it
    creates_segments: bool | None = None  #: for tags that are none; None: those of other systems


class Columns:
    """Reads the rows of one table. Raises InputError when the columns make no sense."""

    def __init__(
        self,
        header: Sequence[str],
        fields: Mapping[str, FieldSettings],
        segments: Segments,
        options: Options,
        *,
        topics: Sequence[str] = (),
        file: str = "",
        literal: bool = False,
    ) -> None:
        """`literal` says that cells are as they were written, without apostrophes before formulas."""
        self.literal = literal
        self.fields = fields
        self.segments = segments
        self.options = options
        self.topics = topics
        self.file = file
        self.system = _system(header, options.system, file)
        self.notices: list[str] = []
        self.counted: dict[str, int] = {}  #: notices with the number of rows
        self.new_segments: dict[str, str] = {}  #: key to name, of tags that are no segment yet
        self.meanings: list[str] = []
        self._unused = 0
        self._labels = {
            fold(label): key for key, labels in segments.names() for label in (key, *labels)
        }
        self._made: dict[str, str] = {}  # tag to key of the segment that is made for it
        self._cells: list[_Cells] = []
        self._names = _names(header)
        self.extend(header)
        if "email" not in self.meanings:
            there = ", ".join(f'"{tidy(name)}"' for name in header[:12]) or "none"
            raise InputError(
                f'has no column "email" in its first line (columns there: {there}). The first line '
                'must name the columns, one of them email; or say which it is: --map "COLUMN=email"',
                file=file,
                line=1,
            )

    @property
    def creates_segments(self) -> bool:
        wanted = self.options.creates_segments
        return self.system is not None if wanted is None else wanted

    def extend(self, header: Sequence[str]) -> None:
        """Take in columns that came up since."""
        for written in header[len(self.meanings) :]:
            self.meanings.append(self._meaning(written))
            meaning = self.meanings[-1]
            empty = _NO_SEGMENTS if meaning == "segments" else _EMPTY.get(meaning, "")
            self._cells.append(_Cells(partial(self._read_cell, meaning, empty), empty))
        self._email = self.meanings.index("email") if "email" in self.meanings else -1
        self._default = self.system.default_status(self._names) if self.system else ""

    def given(self, *, grows: bool) -> list[str]:
        """Those of `STAGED` that any row can say something of; all, when columns can still come up."""
        told = {"key", "address", "domain", *self.meanings}
        if "first_name" in told or "last_name" in told:
            told.add("name")
        if self.system or "left_at" in told:
            told.add("status")
        if "attributes" in told or told & self.fields.keys():
            told.add("fields")
        return [name for name in STAGED if grows or name in told]

    def finish(self) -> list[str]:
        """What is to be said after the last row."""
        if self._unused > MOST_NOTICES:
            self.notices.append(f"{self._unused - MOST_NOTICES:,} more columns are not used")
        return self.notices + [
            f"{text} ({count:,} {'row' if count == 1 else 'rows'})"
            for text, count in self.counted.items()
        ]

    def _meaning(self, written: str) -> str:
        """What a column means; empty for one that is not used."""
        name = plain_name(written)
        for given, meaning in reversed(list(self.options.map.items())):  # the last word counts
            if plain_name(given) == name:
                return "" if meaning == IGNORED else self._once(self._known(meaning, given), given)
        if self.system:
            meaning = self.system.columns.get(name, "")
            if meaning and (meaning not in self.meanings or meaning in ("segments", "attributes")):
                return meaning
            known = any(name in needs for needs in self.system.needs)
            if not known and name not in self.fields and _SAYS_WHO_LEFT.search(name):
                self.notices.append(
                    f'column "{tidy(written)}" is not used; if it tells who has left, say so: --map '
                    f'"{tidy(written)}=status"'
                )
            return name if name in self.fields and name not in self.meanings else ""
        meaning = name if name in MEANINGS or name in self.fields else _ALSO.get(name, "")
        if meaning and meaning not in self.meanings:
            return meaning
        self._unused += 1
        if self._unused <= MOST_NOTICES:
            hint = did_you_mean(name, [*MEANINGS, *self.fields])
            again = " again" if meaning else ""
            self.notices.append(
                f'column "{tidy(written)}"{again} is not used.{hint} Declare it under [fields] in '
                'newsletter.toml to keep it, or say what it is: --map "COLUMN=FIELD"'
            )
        return ""

    def _once(self, meaning: str, column: str) -> str:
        if meaning in self.meanings and meaning not in ("segments", "attributes"):
            raise InputError(f'--map "{column}={meaning}": another column is the {meaning} already')
        return meaning

    def _known(self, meaning: str, column: str) -> str:
        name = plain_name(meaning)
        if name not in MEANINGS and name not in self.fields:
            known = [*MEANINGS, *self.fields]
            hint = did_you_mean(name, known) or f" There are: {', '.join(known)}."
            raise InputError(f'--map "{column}={meaning}": there is no field "{meaning}".{hint}')
        return name

    # -- rows ------------------------------------------------------------------------------------

    def read(self, rows: Sequence[Row]) -> tuple[list[Sequence[Any]], list[tuple[Row, str]]]:
        """The people of these rows, as one sequence for each name in `STAGED`; and the rows that can't be
        used, with what is wrong. A hot path, guarded by `make bench-audience`: about 2 µs a row, since
        cells are looked up by column and most of them were met before."""
        refused: dict[int, str] = {}
        matrix = self._as_wide(rows, refused)
        given = list(zip(*matrix, strict=True)) if matrix else [()] * len(self.meanings)
        emails: Sequence[str] = given[self._email]
        if not self.literal:
            emails = [original(one) if one[:1] == "'" else one for one in emails]
        staged: dict[str, Sequence[Any]] = _addresses(emails, refused)
        fields: list[Sequence[str]] = []
        labels: list[Sequence[Any]] = []
        said: dict[str, Sequence[Any]] = {}
        for at, meaning in enumerate(self.meanings):
            if meaning in ("", "email"):
                continue
            found = self._cells[at].of(given[at], refused)
            if meaning in self.fields or meaning == "attributes":
                fields.append(found)
            elif meaning == "segments":
                labels.append(found)
            else:
                said[meaning] = found
        length = len(matrix)
        staged["name"] = _names_of(said, length)
        staged["status"] = self._statuses(said, length)
        staged["fields"] = self._documents(fields, length)
        if labels:
            said["segments"] = self._joined(labels, refused)
        for name, empty in _EMPTY.items():
            staged[name] = said.get(name) or [empty] * length
        columns = [staged[name] for name in STAGED]
        if refused:
            kept = [n not in refused for n in range(length)]
            columns = [list(compress(column, kept)) for column in columns]
        return columns, [(rows[n], refused[n]) for n in sorted(refused)]

    def _as_wide(self, rows: Sequence[Row], refused: dict[int, str]) -> list[list[str]]:
        """The cells of each row, as many as there are columns."""
        width = len(self.meanings)
        matrix = [row.cells for row in rows]
        for n, cells in enumerate(matrix):
            if len(cells) == width and not rows[n].problem:
                continue
            matrix[n] = (cells + [""] * (width - len(cells)))[:width]
            if rows[n].problem:
                refused[n] = rows[n].problem
            elif any(cell.strip() for cell in cells[width:]):
                refused[n] = f"has {len(cells)} cells, the first line names {width}"
        return matrix

    def _joined(self, labels: list[Sequence[Any]], refused: Mapping[int, str]) -> list[str]:
        """Keys of segments; what is to be said of them is noted, once for each row that comes in."""
        for column in labels:
            for n, (_, notes) in enumerate(column):
                if notes and n not in refused:
                    for label, note in notes:
                        self._note(label, note)
        first = [keys for keys, _ in labels[0]]
        if len(labels) == 1:
            return first
        return [
            ",".join(filter(None, (keys for keys, _ in one))) for one in zip(*labels, strict=True)
        ]

    def _statuses(self, said: Mapping[str, Sequence[Any]], length: int) -> list[str]:
        statuses = [one or self._default for one in said.get("status", [""] * length)]
        if "left_at" in said:
            gone = self._default or "left"
            for n, left in enumerate(said["left_at"]):
                if left and statuses[n] in ("", "subscribed"):
                    statuses[n] = gone
        return statuses

    def _documents(self, fields: list[Sequence[str]], length: int) -> list[str]:
        """Declared fields as JSON, from parts such as `"role":"cto",`."""
        if not fields:
            return ["{}"] * length
        documents = ["{" + text[:-1] + "}" for text in map("".join, zip(*fields, strict=True))]
        if "attributes" in self.meanings:  # it may name a field that has a column, too
            documents = [one if one == "{}" else compact_json(json.loads(one)) for one in documents]
        return documents

    def _note(self, text: str, note: str) -> None:
        if text:
            self.new_segments.setdefault(text, note)
        else:
            self.counted[note] = self.counted.get(note, 0) + 1

    def _read_cell(self, meaning: str, empty: Any, cell: str) -> Any:
        """What a cell says. Raises ValueError with what is wrong with it."""
        text = tidy(cell if self.literal else original(cell))
        if meaning in self.fields:
            return self._field(meaning, text)
        if not text:
            return empty
        if len(text) > LONGEST_VALUE and meaning not in ("attributes", "segments"):
            raise _CellError(f"{meaning} has {len(text)} characters; {LONGEST_VALUE} is the most")
        match meaning:
            case "status":
                return self._status(text)
            case "consent_at" | "created_at":
                return _time(meaning, text)
            case "language":
                return self._language(text)
            case "paused_until":
                return _time(meaning, text, past=False)
            case "segments":
                return self._segments(text)
            case "topics":
                return self._topics(text)
            case "frequency" | "lens":
                return self._choice(meaning, text)
            case "attributes":
                return self._attributes(text)
        return text

    def _field(self, name: str, text: str) -> str:
        """A part of a JSON object, with a comma behind it."""
        if not text:
            return f'"{name}":null,' if self.options.replaces else ""
        if len(text) > LONGEST_VALUE * (MOST_VALUES if self.fields[name].type == "list" else 1):
            raise _CellError(f"{name} has {len(text)} characters; {LONGEST_VALUE} is the most")
        value = field_value(name, text, self.fields[name])
        return f'"{name}":{compact_json(value)},'

    def _status(self, text: str) -> str:
        statuses = {**STATUSES, **(self.system.statuses if self.system else {})}
        status = statuses.get(plain_name(text))
        if status is None:
            known = dict.fromkeys(statuses.values())
            raise _CellError(f'status "{text}" is none of {", ".join(known)}')
        return status

    def _segments(self, text: str) -> tuple[str, list[tuple[str, str]]]:
        """(keys joined by commas, [(key of a new one, its name) or ("", notice)])"""
        keys: list[str] = []
        notes: list[tuple[str, str]] = []
        for label in _split(text, self.system.separator if self.system else ";"):
            key = self._labels.get(fold(label))
            if key is None and self.creates_segments:
                key = self._new_key(label)
                notes.append((key, label))
            elif key is None and self.system:
                notes.append(("", f'the tag "{label}" is no segment, and was not used'))
                continue
            elif key is None:
                hint = did_you_mean(label, [segment.name for segment in self.segments])
                raise _CellError(f'"{label}" is no segment.{hint}')
            elif not self.segments.get(key).manual:
                reason = (
                    f'"{label}" has a rule, which decides who is in it; the column was not used'
                )
                notes.append(("", reason))
                continue
            keys.append(key)
        return ",".join(dict.fromkeys(keys)), notes

    def _language(self, text: str) -> str:
        code = text.replace("_", "-")
        if is_language(code):
            return code
        self.notices.append(f'"{text}" is no language, and was not used; write its code, e.g. en')
        return ""

    def _new_key(self, label: str) -> str:
        """The key of a segment for a tag: no other tag's, and no other segment's."""
        folded = fold(label)
        if folded not in self._made:
            stem = slugify(label)[:36].strip("-") or "tag"
            taken = {*self.segments.keys, *self._made.values(), RESERVED_KEY}
            keys = chain([stem], (f"{stem}-{n}" for n in count(2)))
            self._made[folded] = next(key for key in keys if key not in taken)
        return self._made[folded]

    def _topics(self, text: str) -> str:
        chosen = []
        for topic in _split(text, ";"):
            if fold(topic) not in map(fold, self.topics):
                hint = did_you_mean(topic, self.topics)
                raise _CellError(f'"{topic}" is no topic.{hint}')
            chosen.append(next(one for one in self.topics if fold(one) == fold(topic)))
        return compact_json(list(dict.fromkeys(chosen)))

    def _choice(self, meaning: str, text: str) -> str:
        known = FREQUENCIES[1:] if meaning == "frequency" else self.segments.keys
        if meaning == "lens" and text in known and not self.segments.get(text).choosable:
            self.notices.append(f'"{text}" can\'t be chosen as a lens any more, and was not used')
            return ""
        if text not in known:
            hint = did_you_mean(text, known) or f" There are: {', '.join(known)}."
            raise _CellError(f'{meaning} "{text}" is not known.{hint}')
        return text

    def _attributes(self, text: str) -> str:
        """A cell of JSON: what is declared of it is taken."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise _CellError("attributes are no JSON") from None
        if not isinstance(found, dict):
            raise _CellError("attributes are no JSON object")
        return "".join(
            self._field(plain_name(name), tidy(_as_cell(value)))
            for name, value in found.items()
            if plain_name(name) in self.fields and value not in (None, "", [])
        )


def _addresses(cells: Sequence[str], refused: dict[int, str]) -> dict[str, Sequence[Any]]:
    """`key`, `address` and `domain` of each."""
    try:
        found = list(map(address_parts, cells))
    except AddressError:  # of one of them: each by itself
        found = []
        for n, cell in enumerate(cells):
            try:
                found.append(address_parts(cell))
            except AddressError as problem:
                refused.setdefault(n, str(problem))
                found.append(("", "", ""))
    addresses, keys, domains = zip(*found, strict=True) if found else ((), (), ())
    return {"key": keys, "address": addresses, "domain": domains}


def _names_of(said: Mapping[str, Sequence[str]], length: int) -> Sequence[str]:
    """Full names; first and last ones are joined where there is none."""
    names = said.get("name", [""] * length)
    if "first_name" not in said and "last_name" not in said:
        return names
    first, last = (said.get(name, [""] * length) for name in ("first_name", "last_name"))
    return [
        name or f"{one} {other}".strip()
        for name, one, other in zip(names, first, last, strict=True)
    ]


def _as_cell(value: Any) -> str:
    if isinstance(value, list):
        return ";".join(map(str, value))
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def plain_name(name: str) -> str:
    """A column's name as it is compared: "E-Mail Address" is `e_mail_address`."""
    return fold(name).replace(" ", "_")


def _names(header: Sequence[str]) -> frozenset[str]:
    return frozenset(map(plain_name, header))


def _system(header: Sequence[str], wanted: str | None, file: str) -> System | None:
    """The system whose export it is. Raises InputError when the one that was named it can't be."""
    columns = _names(header)
    if wanted is None:
        return next((one for one in SYSTEMS if any(needs <= columns for needs in one.needs)), None)
    for one in SYSTEMS:
        if one.name == wanted:
            if not any(one.columns.get(name) == "email" for name in columns):
                names = ", ".join(n for n, meaning in one.columns.items() if meaning == "email")
                raise InputError(
                    f"is no export of {wanted}: there is no column {names}", file=file, line=1
                )
            return one
    known = [one.name for one in SYSTEMS]
    hint = did_you_mean(wanted, known) or f" There are: {', '.join(known)}."
    raise InputError(f'exports of "{wanted}" are not known.{hint}')


def _split(text: str, separator: str) -> list[str]:
    """Labels of a cell, perhaps in quotes."""
    found = re.findall(rf'"([^"]*)"|([^{re.escape(separator)}"]+)', text)
    return [label for one in found if (label := (one[0] or one[1]).strip())]


def _time(name: str, text: str, *, past: bool = True) -> str:
    try:
        value = datetime.fromisoformat(_GO_TIME.sub(r"\1\2", text.removesuffix(" UTC")))
        moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        moment = None
    latest = datetime.now(UTC) + _CLOCKS_DIFFER if past else _LAST_PAUSE
    example = "write it as 2026-05-03 or 2026-05-03T09:00:00Z"
    if moment is None or moment < _FIRST_CONSENT:
        raise _CellError(f'{name} "{text}" is no time that can be read; {example}')
    if moment > latest:
        raise _CellError(f'{name} "{text}" is still to come; {example}, with its zone')
    return as_kept(moment)


def as_kept(moment: datetime) -> str:
    """A time as SQLite keeps it, which sorts rightly as text."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def field_value(name: str, text: str, settings: FieldSettings) -> Any:
    """A field's value from its text. Raises ValueError with what would be right."""
    match settings.type:
        case "number":
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                raise _CellError(f'{name} "{text}" is no number')
            return number
        case "boolean":
            known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
            if text.lower() not in known:
                raise _CellError(f'{name} "{text}" is neither yes nor no')
            return known[text.lower()]
        case "date":
            try:
                return date.fromisoformat(text.removesuffix(" 00:00:00")).isoformat()
            except ValueError:
                raise _CellError(f'{name} "{text}" is no date; write it as 2026-11-24') from None
        case "list":
            return _values(name, text, settings)
        case "choice":
            return _chosen(name, text, settings)
        case _:
            return text


def _values(name: str, text: str, settings: FieldSettings) -> list[str]:
    values = list(dict.fromkeys(filter(None, map(str.strip, text.split(";")))))
    if len(values) > MOST_VALUES:
        raise _CellError(f"{name} has {len(values)} values; {MOST_VALUES} is the most")
    return [_chosen(name, one, settings) for one in values] if settings.choices else values


def _chosen(name: str, text: str, settings: FieldSettings) -> str:
    for choice in settings.choices:
        if fold(choice) == fold(text):
            return choice
    raise _CellError(
        f'{name} "{text}" is none of {", ".join(settings.choices)}.'
        + did_you_mean(text, settings.choices)
    )
