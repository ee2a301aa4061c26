"""What rules look at: a brief, an issue, a rendered edition, the sending, each with its circumstances."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from typing import Literal, TypeVar

import lxml.etree
import lxml.html

from newsletter.audience import Group, Segments
from newsletter.briefs import Brief, ParsedBrief, image_in
from newsletter.checks.dns import DomainReport
from newsletter.checks.spam import Missing, SpamScore
from newsletter.config import Settings
from newsletter.editions import Edition, TemplateProblem, plain
from newsletter.findings import Position
from newsletter.issues import Issue

Part = Literal["headline", "take", "why", "action", "heading", "body", "image"]
T = TypeVar("T")
TEMPLATE = "templates/issue.mjml.j2"  #: whence comes what no brief says
_WORD = re.compile(r"\S+")
_HEAD = 6  # words of a paragraph that are looked for to find its place


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a brief's text: one paragraph, headline, heading or action."""

    part: Part
    text: str  #: inline Markdown, one line
    at: Position  #: of the part in which it stands; `BriefSubject.place` finds the exact one
    role: str = "body"  #: of a section: "body", "fact" or "note"

    @property
    def words(self) -> str:
        """The text without marks and addresses; of a picture what stands below it."""
        image = image_in(self.text)
        return plain(image.caption if image else self.text)


@dataclass(frozen=True)
class BriefSubject:
    """A brief, and when it will be read."""

    parsed: ParsedBrief
    settings: Settings
    day: date  #: on which readers get it: the issue's, or today for one in the inbox
    following: date | None = None  #: day of the issue after that, where it can be known
    in_issue: bool = False

    @property
    def brief(self) -> Brief:
        return self.parsed.brief

    @property
    def file(self) -> str | None:
        return self.parsed.file

    @property
    def language(self) -> str:
        return self.settings.publication.language

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """Everything that is printed, in the order of the model."""
        return tuple(self._passages())

    def _passages(self) -> Iterator[Passage]:
        brief = self.brief
        if brief.headline:
            yield Passage("headline", brief.headline, brief.at("headline"))
        for text in filter(None, brief.take.split("\n\n")):
            yield Passage("take", text, brief.at("take"))
        for text in filter(None, brief.why.split("\n\n")):
            yield Passage("why", text, brief.at("why"))
        for action in brief.actions:
            yield Passage("action", action.text, action.at)
        for section in brief.body:
            at = section.at if section.heading else brief.at("headline")
            if section.heading:
                yield Passage("heading", section.heading, at, section.role)
            for text in section.paragraphs:
                yield Passage("image" if image_in(text) else "body", text, at, section.role)

    @property
    def prose(self) -> Iterator[Passage]:
        """The passages that are sentences: no headline, no headings, no pictures."""
        return (one for one in self.passages if one.part in ("take", "why", "action", "body"))

    def place(self, passage: Passage, within: str = "") -> Position:
        """Where the passage (or the words `within` it) stands in the file; its part's place where the
        source says it in another form."""
        source = self.parsed.text
        begin = _offset(source, passage.at)
        found = _find(source, " ".join(passage.text.split()[:_HEAD]), begin)
        inner = _find(source, within, begin if found is None else found)
        if inner is not None and (found is None or inner <= found + len(passage.text) + 200):
            found = inner
        return passage.at if found is None else _position(source, found)


def _find(source: str, words: str, begin: int) -> int | None:
    """Offset of words in a text, however they are broken over lines; None when they are not there."""
    parts = _WORD.findall(words)
    if not parts:
        return None
    match = _phrase(tuple(parts)).search(source, begin)
    return match.start() if match else None


@lru_cache(maxsize=4096)
def _phrase(parts: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(r"[\s>]+".join(map(re.escape, parts)))


def _offset(text: str, at: Position) -> int:
    """Characters before a position; lines end as they do for the parser."""
    offset = 0
    for _ in range(at.line - 1):
        newline = text.find("\n", offset)
        if newline < 0:
            return offset
        offset = newline + 1
    return min(offset + at.column - 1, len(text))


def _position(text: str, offset: int) -> Position:
    return Position(text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1)


@dataclass(frozen=True)
class IssueSubject:
    """An issue with its audience and what was published before it."""

    issue: Issue
    segments: Segments
    groups: Sequence[Group]  #: sendable people by what their edition depends on
    settings: Settings
    briefs: tuple[BriefSubject, ...]
    past: tuple[Issue, ...] = ()  #: earlier issues, the latest first
    looks: tuple[str, ...] = ()  #: names of those that there are
    #: what is wrong with a picture of the workspace, "" for nothing
    picture_problem: Callable[[str], str] = lambda _: ""

    @property
    def day(self) -> date | None:
        return self.issue.day


@dataclass(frozen=True)
class EditionSubject:
    """One rendered edition as somebody would get it: slots filled with a proof's values."""

    edition: Edition
    html: str  #: as delivered, slots filled
    text: str  #: as delivered, slots filled
    subject: IssueSubject
    readers: int  #: people who get it
    segments: tuple[str, ...]  #: of a reader who gets it, in order of priority
    problems: tuple[TemplateProblem, ...] = ()  #: of the templates that made it
    dead: Mapping[str, str] = field(default_factory=dict)  #: addresses that do not answer, and why
    _seen: dict[object, object] = field(default_factory=dict, repr=False)

    @cached_property
    def document(self) -> lxml.etree._ElementTree:
        """The delivered HTML, parsed again."""
        return lxml.html.document_fromstring(self.html).getroottree()

    def once(self, look: Callable[[EditionSubject], T]) -> T:
        """What a function says of this edition, asked only once: several rules tell parts of it."""
        if look not in self._seen:
            self._seen[look] = look(self)
        return self._seen[look]  # type: ignore[return-value]

    @property
    def settings(self) -> Settings:
        return self.subject.settings

    @property
    def name(self) -> str:
        """Whose edition it is, for messages."""
        return self.edition.lens or "everybody"

    @property
    def manifest(self) -> str:
        """The file in which the issue is described."""
        return self.subject.issue.source.file

    def place(self, brief: str | None) -> tuple[str, Position]:
        """(file, position) of a brief; the issue's manifest for what is in none."""
        for one in self.subject.briefs:
            if one.brief.slug == brief and one.file:
                return one.file, one.brief.at("headline")
        return self.manifest, Position(1, 1)

    def find(self, *words: str) -> tuple[str | None, str, Position]:
        """(slug or None, file, position) of the first of these words that the issue's files hold: those
        of its briefs, then the manifest. Where none does it comes from a template."""
        for text in filter(None, words):
            for one in self.subject.briefs:
                if one.file and (found := _find(one.parsed.text, text, 0)) is not None:
                    return one.brief.slug, one.file, _position(one.parsed.text, found)
            source = self.subject.issue.source
            if (found := _find(source.text, text, 0)) is not None:
                return None, source.file, _position(source.text, found)
        return None, TEMPLATE, Position(1, 1)


@dataclass(frozen=True)
class SendingSubject:
    """Who sends and which way."""

    settings: Settings
    transport: str
    file: str  #: where settings stand
    text: str  #: of that file
    domain: DomainReport | None = None  #: what the DNS says; None off line
    spam: SpamScore | Missing | None = None  #: what the spam filter of this machine says
