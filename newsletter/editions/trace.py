"""Which line of which template a place of its output comes from. Knows Jinja2's tokens, no mail.

For this a template is rendered once more, with one character from Unicode's private planes before each
line of its own text. The characters travel through macros, includes, filters and attributes; then they
are taken out, and what stood behind each is known. One that is lost on the way (cut off by a slice, say)
costs precision, no more: the nearest before counts.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jinja2 import Environment
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

_FIRST, _LAST = 0xF0000, 0x10FFFD  # the two planes for private use
_MARK = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")


@dataclass(frozen=True)
class SourceMap:
    """Where the parts of a text come from, in order."""

    starts: Sequence[int]  #: characters of the text
    places: Sequence[tuple[str, int]]  #: template and line of what begins there

    def at(self, offset: int) -> tuple[str, int] | None:
        """Template and line of what stands at this character; None before the first known place."""
        found = bisect_right(self.starts, offset)
        return self.places[found - 1] if found else None


class Marks(Extension):
    """Puts the marks into what a template prints."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.places: list[tuple[str, int]] = []
        self._known: dict[tuple[str, int], str] = {}

    def _mark(self, name: str, line: int) -> str:
        place = (name, line)
        if place not in self._known:
            if len(self.places) > _LAST - _FIRST:
                return ""
            self._known[place] = chr(_FIRST + len(self.places))
            self.places.append(place)
        return self._known[place]

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Marks before each line of text. None in what is looked up for a translation."""
        name, translated, opened = stream.name or "", False, False
        for token in stream:
            if token.type == "name" and opened and token.value in ("trans", "endtrans"):
                translated = token.value == "trans"
            opened = token.type == "block_begin"
            if token.type == "data" and not translated:
                lines = token.value.splitlines(keepends=True)
                marked = "".join(
                    self._mark(name, number) + line
                    for number, line in enumerate(lines, token.lineno)
                )
                if token.value.endswith("\n"):  # what an expression prints there
                    marked += self._mark(name, token.lineno + len(lines))
                token = Token(token.lineno, "data", marked)  # noqa: PLW2901
            yield token

    def stripped(self, text: str) -> tuple[str, SourceMap]:
        """The text without marks, and the map."""
        pieces: list[str] = []
        starts: list[int] = []
        places: list[tuple[str, int]] = []
        at = end = 0
        for mark in _MARK.finditer(text):
            pieces.append(text[end : mark.start()])
            at += mark.start() - end
            end = mark.end()
            serial = ord(mark[0]) - _FIRST
            if serial < len(self.places):  # else a character of somebody's own
                starts.append(at)
                places.append(self.places[serial])
        pieces.append(text[end:])
        return "".join(pieces), SourceMap(starts, places)
