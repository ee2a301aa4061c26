"""Front matter of a brief: YAML values with the places of their keys, checked key by key."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date as Date  # noqa: N812  (FrontMatter has a field of that name)
from datetime import datetime
from typing import Any

import yaml

from newsletter.briefs.model import Source
from newsletter.briefs.vocabulary import Audiences
from newsletter.findings import Finding, Position, Severity
from newsletter.text import did_you_mean, slugify, tidy

KEYS = ("slug", "headline", "date", "tags", "segments", "sources", "actions")
_ID = re.compile(r"[a-z0-9][a-z0-9._/+-]{0,119}$")


class _Loader(yaml.SafeLoader):
    """SafeLoader for which every value is text, so that a slug 007, a tag `no` and a date that does
    not exist arrive as they were written. The one in Python: libyaml's overflows the stack."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A brief needs no aliases, and nested ones grow without bound."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not allowed here", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)


_NULL = "tag:yaml.org,2002:null"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, shape) for tag, shape in resolvers if tag == _NULL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.yaml_constructors = {  # explicit tags (!!timestamp, !!set) are refused with their place
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag in (None, _NULL, *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")))
}


@dataclass
class FrontMatter:
    """What the front matter says; None where it says nothing."""

    slug: str | None = None
    headline: str | None = None
    date: Date | None = None
    tags: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    ids: dict[str, str] = field(default_factory=dict)  #: by action key, e.g. "ai-teams+execs"
    dues: dict[str, Date | None] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)  #: by key, e.g. "actions.execs"


class Reader:
    """Reads one front matter, collecting findings instead of stopping at the first."""

    def __init__(self, first_line: int, audiences: Audiences | None, file: str | None) -> None:
        self.first_line = first_line  # of the YAML in the file, from 1
        self.audiences = audiences
        self.file = file
        self.front = FrontMatter()
        self.findings: list[Finding] = []

    def read(self, text: str) -> FrontMatter:
        """Never raises for the text's sake; what is wrong becomes a finding at its line."""
        try:
            loader = _Loader(text)
            node = loader.get_single_node()
            values = loader.construct_document(node) if node else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            at = Position(mark.line, mark.column + 1) if mark else Position(0)
            self._find("BR401", f"the front matter is not valid YAML: {error.problem}", at)
            return self.front
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            deep = isinstance(error, RecursionError)
            problem = "nested too deeply" if deep else tidy(str(error).splitlines()[0])
            self._find("BR401", f"the front matter is not valid YAML: {problem}", Position(0))
            return self.front
        if values is None:
            return self.front
        if not isinstance(values, dict):
            self._find("BR401", "the front matter must be `key: value` lines", Position(0))
            return self.front
        self._places(node)
        for key, value in values.items():
            self._key(str(key), value)
        return self.front

    def _places(self, node: Any, inside: str = "") -> None:
        for key, value in node.value:
            name = f"{inside}{key.value}"
            at = Position(key.start_mark.line, key.start_mark.column + 1)
            if name in self.front.positions:
                first = self.front.positions[name].line
                self._find("BR403", f'"{tidy(name)}" stands in line {first} already', at)
            self.front.positions[name] = self._shift(at)
            if isinstance(value, yaml.MappingNode) and not inside:
                self._places(value, f"{name}.")

    def _key(self, key: str, value: Any) -> None:
        readers: dict[str, Callable[[Any], None]] = {
            "slug": self._slug,
            "headline": self._headline,
            "date": self._date,
            "tags": self._tags,
            "segments": self._segments,
            "sources": self._sources,
            "actions": self._actions,
        }
        if key not in readers:
            hint = did_you_mean(key, KEYS) or f" Known keys: {', '.join(KEYS)}."
            self._find("BR402", f'unknown key "{tidy(key)}" in the front matter.{hint}', key=key)
        elif value is not None:
            readers[key](value)

    def _slug(self, value: Any) -> None:
        text = str(value)
        if text != slugify(text):
            self._wrong(
                "slug", f'"{tidy(text)}" is no slug; "{slugify(text)}" would be (a-z, 0-9, hyphens)'
            )
        else:
            self.front.slug = text

    def _headline(self, value: Any) -> None:
        self.front.headline = tidy(str(value)) or None

    def _date(self, value: Any) -> None:
        self.front.date = self._as_date("date", value)

    def _tags(self, value: Any) -> None:
        tags = value if isinstance(value, list) else [value]
        self.front.tags = tuple(tidy(str(tag)) for tag in tags if tidy(str(tag)))

    def _segments(self, value: Any) -> None:
        names = value if isinstance(value, list) else [value]
        keys: set[str] = set()
        for name in map(str, names):
            found = slugify(name) if self.audiences is None else self.audiences.key(name)
            if found is None:
                hint = did_you_mean(name, self.audiences.options() if self.audiences else ())
                self._find("BR201", f'"{tidy(name)}" is no known audience.{hint}', key="segments")
            else:
                keys.add(found)
        self.front.segments = tuple(sorted(keys))

    def _sources(self, value: Any) -> None:
        sources: list[Source] = []
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, dict):
                name, url = tidy(str(entry.get("name") or "")), entry.get("url")
            else:
                name, url = tidy(str(entry)), None
            url = tidy(str(url)) if url else None
            if url and not url.startswith(("https://", "http://")):
                self._wrong("sources", f'the address "{url}" must begin with https:// or http://')
            elif name:
                sources.append(Source(name, url))
            else:
                self._wrong("sources", "each source needs a `name`, and may have a `url`")
        self.front.sources = tuple(sources)

    def _actions(self, value: Any) -> None:
        if not isinstance(value, dict):
            self._wrong("actions", "write it as `ai-teams: {id: …, due: …}`")
            return
        for key, settings in value.items():
            place = f"actions.{key}"
            if not isinstance(settings, dict) or set(settings) - {"id", "due"}:
                self._wrong(place, "may hold `id` and `due`, nothing else")
                continue
            if "due" in settings:
                due = settings["due"]
                self.front.dues[str(key)] = None if due is None else self._as_date(place, due)
            if "id" in settings:
                pinned = str(settings["id"])
                if _ID.match(pinned):
                    self.front.ids[str(key)] = pinned
                else:
                    self._wrong(place, f'"{tidy(pinned)}" is no id: a-z, 0-9 and . _ / + - only')

    def _as_date(self, key: str, value: Any) -> Date | None:
        try:
            return datetime.fromisoformat(str(value).strip()).date()
        except ValueError:
            self._wrong(key, f'"{tidy(str(value))}" is no date; write it as 2026-11-24')
            return None

    def _wrong(self, key: str, problem: str) -> None:
        self._find("BR403", f"{tidy(key)}: {problem}", key=key)

    def _find(self, code: str, message: str, at: Position | None = None, *, key: str = "") -> None:
        place = self._shift(at) if at else self.front.positions.get(key, self._shift(Position(0)))
        severity: Severity = "warning" if code == "BR402" else "error"
        self.findings.append(Finding(code, severity, message, self.file, place.line, place.column))

    def _shift(self, at: Position) -> Position:
        return Position(at.line + self.first_line, at.column)
