"""What rules look at: a brief, an issue, a rendered edition, the sending, each with its circumstances."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from typing import Literal, TypeVar

import lxml.etree
import lxml.html

from newsletter.audience import Group, Segments
from newsletter.briefs import Brief, ParsedBrief, image_in, inline_tokens
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
_GAP = (
    100  # characters of the source between two words: a line's break, its quote marks, its indent
)
_FAR = 10_000  # characters between a part's beginning and a paragraph of it
_LETTER = re.compile("(?s:.)[\u0300-\u036f]*")
_LINK_END = re.compile(r"[*_`]*\]\(")


@dataclass(frozen=True)
class Passage:
    """A piece of a brief's text: one paragraph, headline, heading or action."""

    part: Part
    text: str  #: inline Markdown, one line
    at: Position  #: of the part in which it stands; `BriefSubject.place` finds the exact one
    role: str = "body"  #: of a section: "body", "fact" or "note"

    @cached_property
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

    def place(self, passage: Passage, within: str = "", at: int | None = None) -> Position:
        """Where the passage (or the words `within` it) stands in the file; its part's place where the
        source says it in another form.

        `at` is where in `passage.words` the words begin, which tells a second occurrence from the first.
        Without it the first one that stands there as whole words is meant.
        """
        text = passage.text
        words = self._stands.get(id(passage), ())
        if not words:
            return passage.at
        start = words[0][1]
        if at is None and within:
            found = _whole(within).search(passage.words)
            if found is None and (raw := _whole(within).search(text)):
                return self._line(_in_source(words, raw.start(), start))
            at = found.start() if found else 0
        if not at:
            first = _through(text)[0] if within and passage.words else 0
            return self._line(_in_source(words, first, start) if first else start)
        through = _through(text)
        return self._line(_in_source(words, through[min(at, len(through) - 1)], start))

    @cached_property
    def _stands(self) -> dict[int, tuple[tuple[int, int], ...]]:
        """By a passage's `id` (of offset in it, offset in the source) its words, none where it is not
        found. Two alike are two: they stand at two places."""
        source = self.parsed.text
        # what is written in pieces, "e" and an accent, the reader made one: sought as it was written
        apart = not unicodedata.is_normalized("NFC", source)
        ends: dict[
            Position, int
        ] = {}  # paragraphs of one part have its place, and follow one another
        found: dict[int, tuple[tuple[int, int], ...]] = {}
        for passage in self.passages:
            begin = max(ends.get(passage.at, 0), self._offset(passage.at))
            words = _aligned(source, passage.text, begin)
            if not words and apart:
                words = _aligned_apart(source, passage.text, begin)
            if words:
                ends[passage.at] = words[-1][1] + 1
            found[id(passage)] = words
        return found

    @cached_property
    def _lines(self) -> list[int]:
        """Offsets at which the lines of the source begin; lines end as they do for the parser."""
        return [0, *(match.end() for match in re.finditer("\n", self.parsed.text))]

    def _offset(self, at: Position) -> int:
        line = self._lines[min(at.line, len(self._lines)) - 1]
        return min(line + at.column - 1, len(self.parsed.text))

    def _line(self, offset: int) -> Position:
        line = bisect_right(self._lines, offset)
        return Position(line, offset - self._lines[line - 1] + 1)


def _aligned(source: str, text: str, begin: int) -> tuple[tuple[int, int], ...]:
    """(offset in the text, offset in the source) of the words of a passage, however they are broken over
    lines there. The first few must stand together; of the others those that are found."""
    words = [(word.start(), word[0]) for word in _WORD.finditer(text)]
    while words and words[0][1] in ("-", ">"):  # the writer's marks; the editor may have set others
        words.pop(0)
    head = [word for _, word in words[:_HEAD]]
    first = None
    while head and first is None:
        first = _whole_in(source, " ".join(head), begin)
        head = head[: len(head) // 2]
    if first is None:
        return ()
    aligned: list[tuple[int, int]] = []
    position = first
    for offset, word in words:
        found = source.find(word, position, position + len(word) + _GAP)
        if found < 0 and word.endswith(";"):  # the reader's, between two lines of an action
            found = source.find(word[:-1], position, position + len(word) + _GAP)
        if found >= 0:
            aligned.append((offset, found))
            position = found + len(word)
    return tuple(aligned)


def _aligned_apart(source: str, text: str, begin: int) -> tuple[tuple[int, int], ...]:
    """As `_aligned`, for a source whose accents stand apart from their letters."""
    part = source[begin : begin + _FAR]
    joined, offsets = "", []
    for piece in _LETTER.finditer(part):
        letter = unicodedata.normalize("NFC", piece[0])
        joined += letter
        offsets += [begin + piece.start()] * len(letter)
    return tuple((word, offsets[place]) for word, place in _aligned(joined, text, 0))


def _whole_in(source: str, words: str, begin: int) -> int | None:
    """Where these words stand next, as whole words, with line breaks and quote marks between them."""
    found = source.find(words, begin, begin + _FAR)
    end = found + len(words)
    # most stand on one line: no pattern needs to be made for those
    if found >= 0 and not (_letter(source, found - 1) or _letter(source, end)):
        return found
    match = _whole(words).search(source, begin, begin + _FAR)
    return match.start() if match else None


def _letter(text: str, place: int) -> bool:
    return 0 <= place < len(text) and (text[place].isalnum() or text[place] == "_")


def _in_source(words: tuple[tuple[int, int], ...], offset: int, start: int) -> int:
    """Where a character of a passage stands in the source."""
    n = bisect_right(words, offset, key=lambda word: word[0]) - 1
    if n < 0:
        return start
    return words[n][1] + offset - words[n][0]


@lru_cache(maxsize=1024)
def _through(text: str) -> Sequence[int]:
    """For each character of the words of a paragraph its place in the paragraph with marks and addresses,
    and one more for the end."""
    image = image_in(text)
    if image:
        begin = max(text.rfind(image.caption), 0) if image.caption else 0
        return [begin + place for place in _through(image.caption)]
    places: list[int] = []
    position, address = 0, ""
    for token in inline_tokens(text):
        if token.type == "link_open":
            address = str(token.attrs.get("href", ""))
        elif token.type == "link_close" and (end := _LINK_END.match(text, position)):
            # behind the address, in which any word of the sentence may stand
            position = max(text.find(")", end.end() + len(address)) + 1, position)
        if not token.content:
            continue
        found = text.find(token.content, position)
        if found >= 0:
            places += range(found, found + len(token.content))
            position = found + len(token.content)
            continue
        for character in token.content:  # written with a backslash or as an entity
            found = text.find(character, position, position + _GAP)
            places.append(position if found < 0 else found)
            position = position if found < 0 else found + 1
    return [*places, position]


@lru_cache(maxsize=4096)
def _whole(words: str) -> re.Pattern[str]:
    """These words, however they are broken over lines, and not inside a longer word."""
    before = r"(?<!\w)" if re.match(r"\w", words) else ""
    behind = r"(?!\w)" if re.search(r"\w$", words) else ""
    return re.compile(before + r"[\s>]+".join(map(re.escape, _WORD.findall(words))) + behind)


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
