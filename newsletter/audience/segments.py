"""Segment definitions: `subscribers/segments.toml`, read and checked as a whole."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

from newsletter.audience.rules import InSegment, Rule
from newsletter.config import FieldSettings, line_of_error
from newsletter.errors import ConfigError, NotFoundError, RuleError
from newsletter.text import did_you_mean, fold

FILE = Path("subscribers") / "segments.toml"
MOST = 60  #: segments in a publication: memberships travel as the bits of one 64-bit number
RESERVED_KEY = "all"  #: stands for everybody
DEEPEST = 10  #: segments that ask for each other in a row
LARGEST = 1_000  #: conditions of a rule, those of the segments that it asks for among them
_KEYS = ("key", "name", "aliases", "priority", "rule", "manual", "choosable")


@dataclass(frozen=True, slots=True)
class Segment:
    """A named part of the audience. Members by `rule`, or by hand when it is None."""

    key: str
    name: str
    aliases: tuple[str, ...]
    priority: int  #: lowest wins
    rule: Rule | None
    choosable: bool = False  #: readers see it among the lenses that they can choose

    @property
    def manual(self) -> bool:
        return self.rule is None


class Segments(Sequence[Segment]):
    """All segments in order of priority; their positions are the bits of a membership number."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._all = sorted(segments, key=lambda segment: (segment.priority, segment.key))
        self._by_key = {segment.key: segment for segment in self._all}

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: Any) -> Any:
        return self._all[index]

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._all)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(segment.key for segment in self._all)

    def get(self, key: str) -> Segment:
        """Raises NotFoundError with the closest key."""
        if key not in self._by_key:
            hint = did_you_mean(key, self._by_key) or f" There are: {', '.join(self.keys)}."
            raise NotFoundError(f'there is no segment "{key}".{hint}')
        return self._by_key[key]

    def names(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """(key, (name, aliases…)) of each, what `briefs.Audiences` is made from."""
        for segment in self._all:
            yield segment.key, (segment.name, *segment.aliases)

    def from_bits(self, bits: int) -> tuple[str, ...]:
        """Keys in order of priority for a membership number."""
        return tuple(segment.key for i, segment in enumerate(self._all) if bits >> i & 1)

    def to_bits(self, keys: Sequence[str]) -> int:
        """The membership number for keys; unknown ones count nothing."""
        return sum(1 << i for i, segment in enumerate(self._all) if segment.key in keys)


def load_segments(
    root: Path, fields: Mapping[str, FieldSettings], text: str | None = None
) -> Segments:
    """The workspace's segments; none when there is no file. With `text`, what they would be if that
    were written. Raises ConfigError with file and line."""
    path = root / FILE
    try:
        text = path.read_text("utf-8-sig") if text is None else text
    except FileNotFoundError:
        return Segments([])
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8; save it with the encoding UTF-8", file=str(FILE)) from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = line_of_error(error, text)
        raise ConfigError(f"is not valid TOML: {error}", file=str(FILE), line=line) from None
    found = tables.get("segment", [])
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise ConfigError("every segment is a table [[segment]], with two brackets", file=str(FILE))
    if unknown := set(tables) - {"segment"}:
        raise ConfigError(
            f'holds an unknown table "{min(unknown)}"; every segment is a table [[segment]]',
            file=str(FILE),
        )
    return _Reader(text, fields).read(found)


def _ring(segments: Sequence[Segment]) -> list[str]:
    """Keys of segments whose rules ask for each other in a circle, the first one again at the end;
    empty when there is none."""
    asks = {one.key: sorted(one.rule.segments) if one.rule else [] for one in segments}
    through: set[str] = set()  # these and all that they ask for are in no ring

    def find(key: str, path: list[str]) -> list[str]:
        if key in path:
            return [*path[path.index(key) :], key]
        if key not in through:
            for other in asks.get(key, ()):
                if ring := find(other, [*path, key]):
                    return ring
            through.add(key)
        return []

    return next(filter(None, (find(key, []) for key in asks)), [])


def _reach(
    segment: Segment, among: Mapping[str, Segment], known: dict[str, tuple[int, int]]
) -> tuple[int, int]:
    """How deep a segment's rule asks for others, and how many conditions that makes in all: SQL holds
    those of a segment wherever it is asked for."""
    if segment.key not in known:
        depth, size = 0, 0
        for condition in segment.rule or ():
            size += 1
            if isinstance(condition, InSegment) and condition.key in among:
                below, more = _reach(among[condition.key], among, known)
                depth, size = max(depth, below + 1), size + more
        known[segment.key] = depth, size
    return known[segment.key]


class _Reader:
    def __init__(self, text: str, fields: Mapping[str, FieldSettings]) -> None:
        self.fields = fields
        self.lines = text.splitlines()
        self.starts = [
            n for n, line in enumerate(self.lines, 1) if re.match(r"\s*\[\[\s*segment\s*\]\]", line)
        ]

    def read(self, tables: list[dict[str, Any]]) -> Segments:
        if len(tables) > MOST:
            raise ConfigError(f"holds {len(tables)} segments; {MOST} is the most", file=str(FILE))
        self.known = [str(table["key"]) for table in tables if isinstance(table.get("key"), str)]
        segments = [self._segment(i, table) for i, table in enumerate(tables)]
        taken: dict[str, str] = {}
        for i, segment in enumerate(segments):
            for label in (segment.key, segment.name, *segment.aliases):
                owner = taken.setdefault(fold(label), segment.key)
                if owner != segment.key:
                    self._fail(i, f'"{label}" names two segments, {owner} and {segment.key}')
        if len({segment.key for segment in segments}) < len(segments):
            keys = [segment.key for segment in segments]
            doubled = next(key for key in keys if keys.count(key) > 1)
            self._fail(len(keys) - 1 - keys[::-1].index(doubled), f'a second segment "{doubled}"')
        if ring := _ring(segments):
            at = [segment.key for segment in segments].index(ring[0])
            self._fail(at, f"segments that ask for each other: {' → '.join(ring)}", "rule")
        for i, segment in enumerate(segments):
            depth, size = _reach(segment, {one.key: one for one in segments}, {})
            if depth > DEEPEST or size > LARGEST:
                what = (
                    f"asks for segments that ask for others, {depth} deep; {DEEPEST} is the most"
                    if depth > DEEPEST
                    else f"and the segments that it asks for hold {size:,} conditions; {LARGEST:,} "
                    "is the most"
                )
                self._fail(i, f'the rule of "{segment.key}" {what}', "rule")
        return Segments(segments)

    def _segment(self, i: int, table: dict[str, Any]) -> Segment:
        for name in set(table) - set(_KEYS):
            hint = did_you_mean(name, _KEYS) or f" Keys: {', '.join(_KEYS)}."
            self._fail(i, f'unknown key "{name}".{hint}', name)
        key = table.get("key")
        if not isinstance(key, str) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key):
            self._fail(i, 'needs a `key` of a-z, 0-9 and hyphens, e.g. key = "ai-teams"', "key")
        if key == RESERVED_KEY:
            self._fail(i, '"all" is reserved: it stands for everybody', "key")
        name = table.get("name", key)
        aliases = table.get("aliases", [])
        if not isinstance(name, str) or not name.strip():
            self._fail(i, "`name` must be a text", "name")
        if not isinstance(aliases, list) or not all(isinstance(a, str) for a in aliases):
            self._fail(i, '`aliases` must be a list of texts, e.g. ["AI team"]', "aliases")
        priority = table.get("priority", 100)
        if not isinstance(priority, int) or isinstance(priority, bool):
            self._fail(i, "`priority` must be a whole number; the lowest wins", "priority")
        choosable = table.get("choosable", False)
        if not isinstance(choosable, bool):
            self._fail(i, "`choosable` is true or false", "choosable")
        rule = self._rule(i, key, table)
        return Segment(key, name.strip(), tuple(aliases), priority, rule, choosable)

    def _rule(self, i: int, key: str, table: dict[str, Any]) -> Rule | None:
        text, manual = table.get("rule"), table.get("manual", False)
        if not isinstance(manual, bool):
            self._fail(i, "`manual` is true or false", "manual")
        if (text is None) != manual:
            self._fail(i, f'"{key}" needs either `rule = "…"` or `manual = true`', "rule")
        if text is None:
            return None
        if not isinstance(text, str):
            self._fail(i, "`rule` must be a text, e.g. rule = \"role = 'cto'\"", "rule")
        try:
            return Rule(text, self.fields, self.known)
        except RuleError as error:
            self._fail(i, f'the rule of "{key}": {error.message}', "rule")

    def _fail(self, i: int, message: str, key: str | None = None) -> Never:
        start = self.starts[i] if i < len(self.starts) else 1
        end = self.starts[i + 1] if i + 1 < len(self.starts) else len(self.lines) + 1
        line = start
        if key:
            for number in range(start, end):
                if re.match(rf"\s*{re.escape(key)}\s*=", self.lines[number - 1]):
                    line = number
                    break
        raise ConfigError(message, file=str(FILE), line=line)
