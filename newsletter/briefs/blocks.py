"""From characters to blocks: headings, list items and paragraphs with their places.

Knows the two formats' line structure and nothing of what labels mean to a brief.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from newsletter.briefs.inline import image_in
from newsletter.briefs.vocabulary import Vocabulary, bare
from newsletter.findings import Position
from newsletter.text import LINE_BREAKS, clean, tidy

_FENCE = re.compile(r"---[ \t]*$")
_HEADING = re.compile(r"\s{0,3}(#{1,6})(?:\s+|$)")
_BULLETS = "*+•‣·–▪▫◦○●■□☐☑✓✔➤►\uf0a7\uf0b7"  # the last two: Word's own, from its symbol fonts
_ITEM = re.compile(rf"\s*[-{_BULLETS}](?:\s+|$)")
_NUMBERED = re.compile(r"\s*\d{1,3}[.)]\s")
_RULE = re.compile(r"\s{0,3}(?:-{3,}|\*{3,}|_{3,}|={3,})\s*$")
_QUOTED = re.compile(r"\s*>\s?")
_EMPTY_QUOTE = re.compile(r"\s*>[\s>]*$")  # parts the paragraphs of a quote and says nothing
_WRAPPED_AT = 60  # characters; a shorter line was ended by its writer, not by a mail program
_BOLD = re.compile(r"\s*(?:\*\*|__)(?P<label>[^*_]+?)(?:\*\*|__)(?P<colon>\s*[:：—–-])?\s*")
# At a section heading's end: `{for: AI teams, Execs}` limits it; an empty `{}` ends a heading that
# would look like one by accident.
ATTRIBUTES = re.compile(r"\s*\{(?:for:(?P<names>[^{}]*))?\}$")
ALL_BOLD = re.compile(r"^(\*\*|__)([^*_]+)\1$")  # a heading is bold anyway
# What would be read as structure at the start of a paragraph; the writer puts a backslash before it.
STRUCTURE = re.compile(
    rf"\\*(?:#{{1,6}}(?:\s|$)|[{_BULLETS}](?:\s|$)|-$|\*\*|__|---|___|===|>[\s>]*$)"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, list item or paragraph; `text` is one tidy line of inline Markdown.

    `apart` is a paragraph that is a quote or an image: never a heading, whatever its length.
    """

    kind: Literal["heading", "item", "text", "apart"]
    text: str
    at: Position
    level: int = 0  #: of a heading, from 1
    label: str = ""  #: a known label in bold that opened the paragraph (Markdown only)
    lines: tuple[tuple[str, Position], ...] = ()  #: of `text`, where it ran over several


@dataclass(frozen=True, slots=True)
class Source:
    """A brief's text, split once."""

    lines: tuple[str, ...]
    front: tuple[int, int] | None  #: slice of `lines` between the fences of the front matter
    body: int  #: index of the first line after the front matter
    markdown: bool
    open_fence: bool = False  #: front matter was opened and never closed


def split_source(text: str, vocabulary: Vocabulary) -> Source:
    """Lines, front matter, and which of the two formats it is.

    It is Markdown when it begins with a heading, marks a known label as a heading or in bold, or
    has front matter and no unmarked label below. Everything else is plain text.
    """
    lines = tuple(LINE_BREAKS.split(text.removeprefix("\ufeff")))
    if all(_QUOTED.match(line) for line in lines if tidy(line)):  # an answered mail
        lines = tuple(_QUOTED.sub("", line, count=1) for line in lines)
    start = next((i for i, line in enumerate(lines) if tidy(line)), 0)
    if _FENCE.match(lines[start].lstrip("\ufeff")):
        for end in range(start + 1, len(lines)):
            if re.match(r"(?:---|\.\.\.)[ \t]*$", lines[end]):
                rest = lines[end + 1 :]
                plain = any(map(vocabulary.match, rest)) and not any(
                    _HEADING.match(line) or _marked_label(line, vocabulary) for line in rest
                )
                return Source(lines, (start + 1, end), end + 1, markdown=not plain)
        return Source(lines, None, start + 1, markdown=True, open_fence=True)
    first = clean(lines[start])
    markdown = bool(_HEADING.match(first)) or any(_marked_label(line, vocabulary) for line in lines)
    return Source(lines, None, 0, markdown)


def _marked_label(line: str, vocabulary: Vocabulary) -> bool:
    if heading := _HEADING.match(line):
        return vocabulary.role_of(line[heading.end() :]) is not None
    return bool(_bold_label(line, vocabulary))


def _bold_label(line: str, vocabulary: Vocabulary) -> re.Match[str] | None:
    bold = _BOLD.match(line)
    return bold if bold and vocabulary.role_of(bold["label"]) else None


def plain_blocks(source: Source, vocabulary: Vocabulary) -> Iterator[Block]:
    """Plain text: each line that is not blank is a block, lines that a mail program broke are one."""
    above: Block | None = None
    for block in _line_blocks(source):
        if above and _broken(above, block, source) and not vocabulary.match(block.text):
            above = replace(above, text=f"{above.text} {block.text}")
            continue
        if above:
            yield above
        above = block
    if above:
        yield above


def _broken(above: Block, block: Block, source: Source) -> bool:
    """Whether one sentence runs over both: a full line, then one that begins in lower case."""
    line_above = source.lines[block.at.line - 2]
    return (
        above.kind != "heading"
        and not image_in(above.text)
        and block.kind == "text"
        and len(line_above) >= _WRAPPED_AT
        and line_above.rstrip()[-1:] not in ".!?:;…"
        and block.text[0].islower()
        and ":" not in block.text[:40]
    )


def _line_blocks(source: Source) -> Iterator[Block]:
    for number, line in enumerate(source.lines[source.body :], source.body + 1):
        if not (text := tidy(line)):
            continue
        at = Position(number, len(line) - len(line.lstrip()) + 1)
        if heading := _HEADING.match(text):
            if text := text[heading.end() :]:
                yield Block("heading", text, at, len(heading[1]))
        elif (item := _ITEM.match(text)) and not _RULE.match(text):
            if text := text[item.end() :]:
                yield Block("item", text, at)
        elif text.startswith(">") or image_in(text):
            if not _EMPTY_QUOTE.match(text):
                yield Block("apart", text, at)
        elif not _RULE.match(text):
            yield Block("text", text, at)


def markdown_blocks(source: Source, vocabulary: Vocabulary) -> Iterator[Block]:
    """Markdown: paragraphs may run over lines; headings, items, quotes, images and bold labels begin
    a block, and every line of a quote may bear its mark."""
    pending: list[tuple[str, Position]] = []
    shape = Block("text", "", Position())

    def flush() -> Iterator[Block]:
        if text := tidy(" ".join(line for line, _ in pending)):
            lines = tuple(pending) if len(pending) > 1 else ()
            yield Block(shape.kind, text, shape.at, label=shape.label, lines=lines)
        elif shape.label and shape.kind == "text":
            yield shape
        pending.clear()

    for number, raw in enumerate(source.lines[source.body :], source.body + 1):
        line = clean(raw)
        at = Position(number, len(line) - len(line.lstrip()) + 1)
        if not tidy(line) or _RULE.match(line) or _EMPTY_QUOTE.match(line):
            yield from flush()
            shape = Block("text", "", at)
        elif image_in(tidy(line)):
            yield from flush()
            shape = Block("text", "", at)
            yield Block("apart", tidy(line), at)
        elif quoted := _QUOTED.match(line):
            if shape.kind == "apart":
                line = line[quoted.end() :]
            else:
                yield from flush()
                shape = Block("apart", "", at)
            pending.append((line, at))
        elif heading := _HEADING.match(line):
            yield from flush()
            shape = Block("text", "", at)
            if text := tidy(line[heading.end() :]):
                yield Block("heading", text, at, len(heading[1]))
        elif bold := _bold_label(line, vocabulary):
            yield from flush()
            shape = Block("text", "", at, label=bare(bold["label"]))
            pending.append((line[bold.end() :], at))
        elif (item := _ITEM.match(line)) or _NUMBERED.match(line):
            yield from flush()
            shape = Block("item" if item else "text", "", at)
            pending.append((line[item.end() :] if item else line, at))
        else:
            if not pending and not shape.label:
                shape = Block("text", "", at)
                line = _unescape(line)
            pending.append((line, at))
    yield from flush()


def _unescape(line: str) -> str:
    """One backslash off a paragraph that would otherwise begin with structure."""
    text = line.lstrip()
    return text[1:] if text.startswith("\\") and STRUCTURE.match(text) else line
