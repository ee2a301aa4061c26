"""From blocks to a Brief. One reading of both formats; nothing that an editor wrote is dropped.

The rules are design §3, "Brief formats". They are worth their care in one place above all: an action
goes only to the audience that its label names. A label that is not understood is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import PurePath
from typing import Literal

from rapidfuzz import fuzz

from newsletter.briefs.blocks import (
    ALL_BOLD,
    ATTRIBUTES,
    Block,
    markdown_blocks,
    plain_blocks,
    split_source,
)
from newsletter.briefs.blocks import Source as SplitSource
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
from newsletter.briefs.vocabulary import Audiences, LabelHit, Vocabulary, bare, without_for
from newsletter.findings import Finding, Position, Severity
from newsletter.text import did_you_mean, fold, listed, slugify, tidy

_HEADING_LENGTH = 120  # characters; the longest heading in the sample corpus has 78
_HEADING_WORDS = 18
_LABEL_WORDS = 4  # design §3: at most four words before a colon can be meant as an audience
_BOLD_START = re.compile(r"^(?:\*\*|__)([^*_]+?)(?:\*\*|__)(\s*:)?")
_LIST_MARK = re.compile(r"^(?:\d{1,3}[.)]|\[[ xX]?\])\s+")  # "1.", "2)", "[ ]" before an action
_NEAR = 90  # percent; "Why it matter" has 96, and "What happens", no slip of "What happened", 88
_REMARK_WORDS = 3
_DASHED = re.compile(r"^(.{1,80}?)\s+[–—-]+\s+(.+)$")


def parse_brief(
    text: str,
    *,
    name: str = "brief",
    vocabulary: Vocabulary | None = None,
    audiences: Audiences | None = None,
    file: str | None = None,
    day: date | None = None,
) -> ParsedBrief:
    """Parse a brief in either format; never raises for the text's sake.

    `name` is the file's name: its slugified stem is the slug unless the front matter has one.
    Without `audiences` any label of up to four words counts as an audience, its slug as the key.
    Relative dates ("by Friday") count from the brief's own date, else from `day`, on which it is sent.
    The result's brief is as complete as the text allows; `ok` says whether it may be used.
    """
    vocabulary = vocabulary or Vocabulary()
    source = split_source(text, vocabulary)
    front_reader = Reader(source.front[0] + 1 if source.front else 1, audiences, file)
    front = FrontMatter()
    if source.front:
        start, end = source.front
        front = front_reader.read("\n".join(source.lines[start:end]))
    split = markdown_blocks if source.markdown else plain_blocks
    builder = _Builder(vocabulary, audiences, front, file, source, day=day)
    builder.findings += front_reader.findings
    if source.open_fence:
        builder.find("BR401", "error", "the front matter is never closed: add a line ---")
    builder.read(list(split(source, vocabulary)))
    slug = front.slug or slugify(PurePath(name).stem)
    return builder.finish(slug)


@dataclass
class _OpenSection:
    heading: str | None
    role: str = "body"
    segments: tuple[str, ...] = ()
    at: Position = field(default=Position())
    paragraphs: list[str] = field(default_factory=list)

    def close(self) -> Section:
        return Section(self.heading, tuple(self.paragraphs), self.role, self.segments, self.at)


@dataclass
class _OpenAction:
    segments: tuple[str, ...]
    text: str
    at: Position
    #: what below it, without an audience of its own, still belongs to it besides what is indented:
    #: bullets when the audience stands on a line of its own, everything when it stands in a heading
    holds: Literal["indented", "items", "everything"] = "indented"

    def add(self, text: str) -> None:
        """Further words for the same audience, joined as sentences or as a list."""
        if not self.text or _ends_sentence(self.text) or self.text.endswith((":", ",", ";")):
            self.text = f"{self.text} {text}".strip()
        else:
            self.text = f"{self.text}; {text}"


class _Builder:
    """The state while reading: which part the next paragraph belongs to."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        audiences: Audiences | None,
        front: FrontMatter,
        file: str | None,
        source: SplitSource,
        *,
        day: date | None,
    ) -> None:
        self.day = front.date or day
        self.source = "\n".join(source.lines)
        self.vocabulary = vocabulary
        self._everyone = {fold(word) for word in vocabulary.everyone}
        self.audiences = audiences
        self.front = front
        self.file = file
        self.markdown = source.markdown
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
        self.above: _OpenAction | None = None  # the action to which an indented line belongs

    # -- reading -----------------------------------------------------------------------------

    def read(self, blocks: Sequence[Block]) -> None:
        labels = [self._label(block) for block in blocks]
        self.headline_ahead = any(
            (hit is not None and hit.role == "headline") or self._is_title(block)
            for block, hit in zip(blocks, labels, strict=True)
        )
        for i, (block, hit) in enumerate(zip(blocks, labels, strict=True)):
            following = i + 1 < len(blocks)
            text_follows = following and labels[i + 1] is None and blocks[i + 1].kind != "heading"
            if block.kind == "heading":
                self._heading(block)
            elif hit and not self._belongs_to_action(block, hit):
                self._open(hit.role, hit.label, block.at)
                if rest := tidy(hit.rest):
                    at = Position(block.at.line, block.at.column + hit.offset)
                    below = replace(block, kind="text", text=rest, at=at)
                    self._text(below, text_follows=text_follows)
            elif (
                i == 0
                and following
                and not (self.markdown and self._has_headline)
                and _looks_like_heading(block)
            ):
                self._unlabelled_heading(block)
            else:
                self._text(block, text_follows=text_follows)
        self._leave_action()

    @property
    def _has_headline(self) -> bool:
        """Whether the headline was read or is marked further down."""
        return bool(self.headline) or self.headline_ahead

    def _is_title(self, block: Block) -> bool:
        """A heading of the first level that is no label's."""
        is_label = self.vocabulary.role_of(block.text) is not None
        return block.kind == "heading" and block.level == 1 and (self.markdown or not is_label)

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
        text = ALL_BOLD.sub(r"\2", block.text)
        role = self.vocabulary.role_of(text)
        if self.markdown and text.startswith(
            "\\"
        ):  # as the writer marks what only looks like a label
            text, role = text[1:].lstrip(), None
        below_action = self.role == "action" and block.level > 2 and role is None
        if below_action and (keys := self._audience(text)):
            self._await_text(keys, block.at, "everything")
            return
        first = not self.sections and not self.positions.get("headline") and self.role == "lead"
        is_title = self._is_title(block) or (first and role is None and not self.headline_ahead)
        if is_title and (not self.headline or fold(text) == fold(self.headline)):
            self._set_headline(text, block.at)
        elif role is not None:
            self._open(role, bare(text), block.at)
        else:
            self._section(text, block.at)

    def _open(self, role: str, label: str, at: Position) -> None:
        """A label begins the part that it names."""
        self._leave_action()
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
        self._leave_action()
        segments: tuple[str, ...] = ()
        if self.markdown and (attributes := ATTRIBUTES.search(heading)):
            heading = heading[: attributes.start()]
            for label in filter(None, map(tidy, (attributes["names"] or "").split(","))):
                if keys := self._audience(label):
                    segments += keys
                else:
                    self._unknown_audience(label, at)
        segments = tuple(sorted(set(_without_everybody(segments))))
        self.sections.append(_OpenSection(heading, segments=segments, at=at))
        self.role, self.fresh = "section", False

    def _set_headline(self, text: str, at: Position) -> None:
        self._leave_action()
        self.headline = text
        self.positions["headline"] = at
        self.role, self.fresh = "lead", False

    def _unlabelled_heading(self, block: Block) -> None:
        self._near_label(block)
        if self._has_headline:
            self._section(block.text, block.at)
        else:
            self._set_headline(ALL_BOLD.sub(r"\2", block.text), block.at)

    def _near_label(self, block: Block) -> None:
        """A heading that is nearly a label is more often a slip of the pen than a headline."""
        known = (label for labels in self.vocabulary.labels.values() for label in labels)
        for label in known:
            if " " in label and fuzz.ratio(fold(block.text), fold(label)) >= _NEAR:
                message = f'"{block.text}" is read as a heading; did you mean the label "{label}"?'
                self.find("BR109", "warning", message, block.at)
                return

    def _text(self, block: Block, *, text_follows: bool) -> None:
        fresh, self.fresh = self.fresh, False
        if self.role == "headline":
            self._set_headline(ALL_BOLD.sub(r"\2", block.text), block.at)
        elif self.role == "action":
            pieces = self._by_audience(block)
            for n, piece in enumerate(pieces):
                last = n == len(pieces) - 1
                self._action(piece, first=fresh and n == 0, text_follows=text_follows or not last)
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

    def _by_audience(self, block: Block) -> list[Block]:
        """A paragraph over several lines, cut before each line that names an audience of its own."""
        pieces: list[list[tuple[str, Position]]] = [[]]
        for line, at in block.lines:
            text = _BOLD_START.sub(r"\1\2", tidy(line))
            segments, _, label = self._split_audience(text)
            head, colon, _ = text.partition(":")
            sure = (colon and self._audience(head)) or self._misspelt(label)
            after_sentence = pieces[-1] and _ends_sentence(pieces[-1][-1][0])
            if sure or (after_sentence and (segments is not None or label)):
                pieces.append([])
            pieces[-1].append((line, at))
        texts = [(tidy(" ".join(line for line, _ in piece)), piece) for piece in pieces]
        cut = [replace(block, text=text, at=piece[0][1], lines=()) for text, piece in texts if text]
        return cut or [block]

    def _action(self, block: Block, *, first: bool, text_follows: bool) -> None:
        unmarked = _LIST_MARK.sub("", block.text)
        is_item = block.kind == "item" or unmarked != block.text
        text = _BOLD_START.sub(r"\1\2", unmarked)
        segments, rest, label = self._split_audience(text)
        if segments is None and not label and self._belongs_above(block, text, is_item=is_item):
            self._continue(text)
            return
        is_action = (
            segments is not None
            or first
            or is_item
            or _ends_sentence(text)
            or not text_follows
            or (self.markdown and self._has_headline)
            or self._misspelt(label)
            or self._is_remark(text)
        )
        if not is_action:
            self._unlabelled_heading(block)
        elif segments is None and label:
            self._leave_action()
            self._unknown_audience(label, block.at)
        elif segments is not None and not rest:
            self._await_text(segments, block.at, "items")
        else:
            self._leave_action()
            if segments is None and self.actions:
                self.find(
                    "BR205",
                    "warning",
                    "this line names no audience, so everybody without an action of their own gets "
                    f'it; begin it with "{self.vocabulary.everyone[0]}:" if that is meant',
                    block.at,
                )
            self.above = _OpenAction(_without_everybody(segments or ()), rest, block.at)
            self.actions.append(self.above)

    def _belongs_above(self, block: Block, text: str, *, is_item: bool) -> bool:
        """Whether a line without an audience goes on with the action above it."""
        above = self.above
        if above is None:
            return False
        if not above.text or above.holds == "everything":
            return True
        if self._is_remark(text):
            return True
        if is_item and (above.holds == "items" or above.text.endswith(":")):
            return True
        return (is_item or self.markdown) and block.at.column > above.at.column

    def _continue(self, text: str) -> None:
        assert self.above
        if not self.above.text:
            self.actions.append(self.above)
        self.above.add(text)

    def _misspelt(self, label: str | None) -> bool:
        """Whether words before a colon are an audience with a slip of the pen, not a headline's."""
        if not label or self.audiences is None:
            return False
        options = (*self.audiences.options(), *self.vocabulary.everyone)
        return any(fuzz.ratio(fold(label), fold(option)) >= 80 for option in options)

    def _is_remark(self, text: str) -> bool:
        """`Deadline: Friday`: words that are no audience and say more of the action above.

        A long line without a full stop is a headline, whatever its first word.
        """
        head, colon, rest = text.partition(":")
        known = bool(colon) and fold(head) in self.vocabulary.not_audiences
        return known and (_ends_sentence(text) or len(rest.split()) <= _REMARK_WORDS)

    def _split_audience(self, text: str) -> tuple[tuple[str, ...] | None, str, str | None]:
        """(segments or None, text without its audience, the words that are no known audience)."""
        head, colon, rest = text.partition(":")
        if colon and (keys := self._audience(head)):
            return keys, rest.strip(), None
        if self.audiences is not None and (keys := self._audience(text)):
            return keys, "", None
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
        if fold(without_for(label)) in self._everyone:
            return (EVERYBODY,)
        if self.audiences is not None:
            return self.audiences.keys(label)
        short = 0 < len(label.split()) <= _LABEL_WORDS
        return (slugify(label),) if short and "//" not in label else None

    def _await_text(
        self, segments: tuple[str, ...], at: Position, holds: Literal["items", "everything"]
    ) -> None:
        """An audience on a line or heading of its own: what to do stands below."""
        self._leave_action()
        self.above = _OpenAction(_without_everybody(segments), "", at, holds)

    def _leave_action(self) -> None:
        if self.above and not self.above.text:
            who = listed(self._name(key) for key in self.above.segments) or "everybody"
            self.find("BR203", "error", f"the action for {who} has no text", self.above.at)
        self.above = None

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
        return ParsedBrief(brief, tuple(findings), self.file, self.source)

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
            if pinned in ids and (pinned != default or default in self.front.ids.values()):
                self.find("BR403", "error", f'two actions have the id "{pinned}"', opened.at)
            ids.add(pinned)
            due = (
                self.front.dues[key]
                if key in self.front.dues
                else due_date(opened.text, self.day, self.vocabulary.language)
            )
            yield Action(pinned, opened.segments, opened.text, due, opened.at)
        for key in sorted({*self.front.ids, *self.front.dues} - keys):
            hint = did_you_mean(key, keys)
            at = self.front.positions.get(f"actions.{key}")
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


def _without_everybody(segments: Iterable[str]) -> tuple[str, ...]:
    return tuple(key for key in segments if key != EVERYBODY)


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
