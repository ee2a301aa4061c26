"""From blocks to a Brief. One reading of both formats; nothing that an editor wrote is dropped.

The rules are design §3, "Brief formats". They are worth their care in one place above all: an action
goes only to the audience that its label names. A label that is not understood is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from newsletter.briefs.blocks import ATTRIBUTES, Block, markdown_blocks, plain_blocks, split_source
from newsletter.briefs.dates import due_date
from newsletter.briefs.front import FrontMatter, Reader
from newsletter.briefs.inline import sources_in
from newsletter.briefs.model import (
    EVERYBODY,
    Action,
    Brief,
    ParsedBrief,
    Section,
    Source,
    action_id,
)
from newsletter.briefs.vocabulary import Audiences, LabelHit, Vocabulary, bare
from newsletter.findings import Finding, Position, Severity
from newsletter.text import did_you_mean, fold, listed, slugify, tidy

_HEADING_LENGTH = 120  # characters; the longest heading in the sample corpus has 78
_HEADING_WORDS = 18
_LABEL_WORDS = 4  # design §3: at most four words before a colon can be meant as an audience
_BOLD_START = re.compile(r"^(?:\*\*|__)([^*_]+?)(?:\*\*|__)(\s*:)?")
_DASHED = re.compile(r"^(.{1,80}?)\s+[–—-]+\s+(.+)$")


def parse_brief(
    text: str,
    *,
    name: str = "brief",
    vocabulary: Vocabulary | None = None,
    audiences: Audiences | None = None,
    file: str | None = None,
) -> ParsedBrief:
    """Parse a brief in either format; never raises for the text's sake.

    `name` is the file's name: its slugified stem is the slug unless the front matter has one.
    Without `audiences` any label of up to four words counts as an audience, its slug as the key.
    The result's brief is as complete as the text allows; `ok` says whether it may be used.
    """
    vocabulary = vocabulary or Vocabulary()
    source = split_source(text, vocabulary)
    front_reader = Reader(source.front[0] if source.front else 0, audiences, file)
    front = FrontMatter()
    if source.front:
        start, end = source.front
        front = front_reader.read("\n".join(source.lines[start:end]))
    blocks = markdown_blocks(source, vocabulary) if source.markdown else plain_blocks(source)
    builder = _Builder(vocabulary, audiences, front, file, markdown=source.markdown)
    builder.findings += front_reader.findings
    if source.open_fence:
        builder.find("BR401", "error", "the front matter is never closed: add a line ---")
    builder.read(list(blocks))
    slug = front.slug or slugify(PurePath(name).stem)
    return builder.finish(slug)


@dataclass
class _OpenSection:
    heading: str | None
    role: str = "body"
    segments: tuple[str, ...] = ()
    at: Position = Position()
    paragraphs: list[str] = field(default_factory=list)

    def close(self) -> Section:
        return Section(self.heading, tuple(self.paragraphs), self.role, self.segments, self.at)


@dataclass
class _OpenAction:
    segments: tuple[str, ...]
    text: str
    at: Position


class _Builder:
    """The state while reading: which part the next paragraph belongs to."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        audiences: Audiences | None,
        front: FrontMatter,
        file: str | None,
        *,
        markdown: bool,
    ) -> None:
        self.vocabulary = vocabulary
        self.audiences = audiences
        self.front = front
        self.file = file
        self.markdown = markdown
        self.findings: list[Finding] = []
        self.positions: dict[str, Position] = dict(front.positions)
        self.headline = front.headline or ""
        self.headline_ahead = (
            False  # a labelled headline comes later: no other line may take its place
        )
        self.parts: dict[str, list[str]] = {"take": [], "why": []}
        self.actions: list[_OpenAction] = []
        self.lead = _OpenSection(None)
        self.sections: list[_OpenSection] = []
        self.role = "lead"
        self.fresh = (
            False  # a label was just read: the next line is its text, whatever it looks like
        )
        self.waiting: _OpenAction | None = None  # an audience on a line of its own

    # -- reading -----------------------------------------------------------------------------

    def read(self, blocks: Sequence[Block]) -> None:
        labels = [self._label(block) for block in blocks]
        self.headline_ahead = any(hit is not None and hit.role == "headline" for hit in labels)
        for i, (block, hit) in enumerate(zip(blocks, labels, strict=True)):
            following = i + 1 < len(blocks)
            text_follows = following and labels[i + 1] is None and blocks[i + 1].kind != "heading"
            if block.kind == "heading":
                self._heading(block)
            elif hit and not self._belongs_to_action(block, hit):
                self._open(hit.role, hit.label, block.at)
                if rest := tidy(hit.rest):
                    at = Position(block.at.line, block.at.column + hit.offset)
                    self._text(Block("text", rest, at), text_follows=text_follows)
            elif i == 0 and following and not self.markdown and _looks_like_heading(block):
                self._unlabelled_heading(block)
            else:
                self._text(block, text_follows=text_follows)
        self._end_waiting()

    def _label(self, block: Block) -> LabelHit | None:
        if block.kind == "heading" or (block.kind == "item" and self.markdown):
            return None
        if not self.markdown:
            return self.vocabulary.match(block.text)
        if not block.label:
            return None
        role = self.vocabulary.role_of(block.label)
        return LabelHit(role, block.label, block.text, 0) if role else None

    def _belongs_to_action(self, block: Block, hit: LabelHit) -> bool:
        """Inside an action block "Note: …" is an action's own words, not the note's label."""
        return (
            self.role == "action"
            and bool(hit.rest)
            and not block.label
            and fold(hit.label) in self.vocabulary.not_audiences
        )

    def _heading(self, block: Block) -> None:
        text = block.text
        role = self.vocabulary.role_of(text)
        if text.startswith("\\"):
            text, role = text[1:], None
        if self.role == "action" and block.level > 2 and role is None:
            if keys := self._audience(text):
                self._wait(keys, block.at)
                return
        if block.level == 1 and not self.headline and (role is None or self.markdown):
            self._set_headline(text, block.at)
        elif role is not None:
            self._open(role, bare(text), block.at)
        else:
            self._section(text, block.at)

    def _open(self, role: str, label: str, at: Position) -> None:
        """A label begins the part that it names."""
        self._end_waiting()
        self.fresh = True
        if role in ("body", "fact", "note"):
            self.sections.append(_OpenSection(tidy(label), role, at=at))
            self.role = "section"
            return
        if role in self.positions and role not in self.front.positions:
            earlier = self.positions[role].line
            self.find(
                "BR105", "warning", f'"{label}" stands in line {earlier} already; both are kept', at
            )
        self.positions.setdefault(role, at)
        self.role = role

    def _section(self, heading: str, at: Position) -> None:
        self._end_waiting()
        segments: tuple[str, ...] = ()
        if self.markdown and (attributes := ATTRIBUTES.search(heading)):
            heading = heading[: attributes.start()]
            for label in filter(None, map(tidy, (attributes["names"] or "").split(","))):
                if keys := self._audience(label):
                    segments += keys
                else:
                    self._unknown_audience(label, at)
        segments = tuple(sorted({key for key in segments if key != EVERYBODY}))
        self.sections.append(_OpenSection(heading, segments=segments, at=at))
        self.role, self.fresh = "section", False

    def _set_headline(self, text: str, at: Position) -> None:
        self._end_waiting()
        self.headline = text
        self.positions["headline"] = at
        self.role, self.fresh = "lead", False

    def _unlabelled_heading(self, block: Block) -> None:
        if self.headline or self.headline_ahead:
            self._section(block.text, block.at)
        else:
            self._set_headline(block.text, block.at)

    def _text(self, block: Block, *, text_follows: bool) -> None:
        fresh, self.fresh = self.fresh, False
        if self.role == "headline":
            self._set_headline(block.text, block.at)
        elif self.role == "action":
            self._action(block, first=fresh, text_follows=text_follows)
        elif not self.markdown and not fresh and text_follows and _looks_like_heading(block):
            self._unlabelled_heading(block)
        else:
            paragraph = f"- {block.text}" if block.kind == "item" else block.text
            self._paragraphs().append(paragraph)

    def _paragraphs(self) -> list[str]:
        if self.role in self.parts:
            return self.parts[self.role]
        return self.sections[-1].paragraphs if self.role == "section" else self.lead.paragraphs

    # -- actions -----------------------------------------------------------------------------

    def _action(self, block: Block, *, first: bool, text_follows: bool) -> None:
        text = _BOLD_START.sub(r"\1\2", block.text)
        segments, rest, label = self._split_audience(text)
        if self.waiting and segments is None:
            self.waiting.text = text
            self.actions.append(self.waiting)
            self.waiting = None
            return
        is_action = (
            self.markdown
            or block.kind == "item"
            or segments is not None
            or first
            or _ends_sentence(text)
            or not text_follows
        )
        if not is_action:
            self._unlabelled_heading(block)
        elif segments is None and label:
            self._unknown_audience(label, block.at)
        elif segments is not None and not rest:
            self._wait(segments, block.at)
        else:
            self._end_waiting()
            keys = tuple(key for key in segments or () if key != EVERYBODY)
            self.actions.append(_OpenAction(keys, rest, block.at))

    def _split_audience(self, text: str) -> tuple[tuple[str, ...] | None, str, str | None]:
        """(segments or None, text without its audience, the words that are no known audience)."""
        head, colon, rest = text.partition(":")
        if colon and (keys := self._audience(head)):
            return keys, rest.strip(), None
        dashed = _DASHED.match(text)
        # A dash is common in prose: before it only a known audience counts, and never a guess.
        if dashed and self.audiences is not None and (keys := self._audience(dashed[1])):
            return keys, dashed[2], None
        looks_like_label = (
            colon
            and (not rest or rest[0].isspace())
            and 0 < len(head.split()) <= _LABEL_WORDS
            and fold(head) not in self.vocabulary.not_audiences
        )
        return None, text, head.strip() if looks_like_label else None

    def _audience(self, label: str) -> tuple[str, ...] | None:
        """Segment keys, `("all",)` for everybody, None for words that name no audience."""
        if fold(bare(label)) in {fold(word) for word in self.vocabulary.everyone}:
            return (EVERYBODY,)
        if self.audiences is not None:
            return self.audiences.keys(label)
        short = 0 < len(label.split()) <= _LABEL_WORDS
        return (slugify(label),) if short and "//" not in label else None

    def _wait(self, segments: tuple[str, ...], at: Position) -> None:
        self._end_waiting()
        keys = tuple(key for key in segments if key != EVERYBODY)
        self.waiting = _OpenAction(keys, "", at)

    def _end_waiting(self) -> None:
        if self.waiting:
            who = listed(self._name(key) for key in self.waiting.segments) or "everybody"
            self.find("BR203", "error", f"the action for {who} has no text", self.waiting.at)
            self.waiting = None

    def _unknown_audience(self, label: str, at: Position) -> None:
        options = [*(self.audiences.options() if self.audiences else ()), *self.vocabulary.everyone]
        hint = did_you_mean(label, options)
        if not hint and self.audiences:
            names = listed(self.audiences.display.values())
            hint = f" Known are {names}; for all readers write {self.vocabulary.everyone[0]}."
        self.find(
            "BR201",
            "error",
            f'"{label}" is no known audience, so nobody would get this action.{hint} '
            f"If it is no audience, add it to not_audiences under [briefs] in newsletter.toml.",
            at,
        )

    def _name(self, key: str) -> str:
        return self.audiences.name(key) if self.audiences else key

    # -- closing -----------------------------------------------------------------------------

    def finish(self, slug: str) -> ParsedBrief:
        if not self.headline:
            self.find(
                "BR101",
                "error",
                "no headline: add a short line without a full stop, text below it, "
                "or a line that begins with “Headline:”",
            )
        open_sections = [self.lead, *self.sections] if self.lead.paragraphs else self.sections
        body = tuple(section.close() for section in open_sections)
        for part in ("take", "why"):
            if part in self.positions and not self.parts[part]:
                label = self.vocabulary.labels[part][0]
                self.find("BR106", "warning", f'"{label}" has no text', self.positions[part])
        brief = Brief(
            slug=slug,
            headline=self.headline,
            take="\n\n".join(self.parts["take"]),
            why="\n\n".join(self.parts["why"]),
            actions=tuple(self._close_actions(slug)),
            body=body,
            tags=self.front.tags,
            date=self.front.date,
            segments=self.front.segments,
            sources=with_named_sources(self.front.sources, self.parts, body),
            positions=self.positions,
        )
        findings = sorted(self.findings, key=lambda found: (found.line or 0, found.column or 0))
        return ParsedBrief(brief, tuple(findings), self.file)

    def _close_actions(self, slug: str) -> Iterable[Action]:
        taken: dict[str, int] = {}
        keys: set[str] = set()
        ids: set[str] = set()
        for opened in self.actions:
            for segment in opened.segments or (EVERYBODY,):
                if segment in taken:
                    who = "everybody" if segment == EVERYBODY else self._name(segment)
                    self.find(
                        "BR202",
                        "error",
                        f"a second action for {who} (the first is in line {taken[segment]}): "
                        "one action per audience, so join them or choose",
                        opened.at,
                    )
                taken.setdefault(segment, opened.at.line)
            default = action_id(slug, opened.segments)
            key = default.partition("/")[2]
            keys.add(key)
            pinned = self.front.ids.get(key, default)
            if pinned in ids and pinned != default:
                self.find("BR403", "error", f'two actions have the id "{pinned}"', opened.at)
            ids.add(pinned)
            due = (
                self.front.dues[key]
                if key in self.front.dues
                else due_date(opened.text, self.front.date)
            )
            yield Action(pinned, opened.segments, opened.text, due, opened.at)
        for key in sorted({*self.front.ids, *self.front.dues} - keys):
            hint = did_you_mean(key, keys)
            at = self.front.positions.get("actions")
            self.find("BR403", "error", f'actions: there is no action "{tidy(key)}".{hint}', at)

    def find(self, code: str, severity: Severity, message: str, at: Position | None = None) -> None:
        at = at or Position()
        self.findings.append(Finding(code, severity, message, self.file, at.line, at.column))


def with_named_sources(
    given: Sequence[Source], parts: dict[str, list[str]], body: Iterable[Section]
) -> tuple[Source, ...]:
    """The given sources, then those that take, why and body name and that are not among them."""
    texts = [*parts["take"], *parts["why"], *(text for part in body for text in part.paragraphs)]
    known = {fold(source.name) for source in given}
    unique = {fold(source.name): source for source in reversed(given)}
    named = [source for source in sources_in(texts) if fold(source.name) not in known]
    ordered = [unique.pop(fold(source.name)) for source in given if fold(source.name) in unique]
    return (*ordered, *named)


def _ends_sentence(text: str) -> bool:
    return text.rstrip("\"'”’»)]*_ ").endswith((".", "!", "?", "…"))


def _looks_like_heading(block: Block) -> bool:
    """Short and without a final full stop; a question may head a section too."""
    text = block.text.rstrip("\"'”’»)]*_ ")
    return (
        block.kind == "text"
        and 0 < len(text) <= _HEADING_LENGTH
        and len(text.split()) <= _HEADING_WORDS
        and not text.endswith((".", ",", ";", "…"))
    )
