"""The documentation's pages, taken apart: fenced blocks, inline code, tables, headings, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
_MARKDOWN = MarkdownIt("commonmark").enable("table")
Rows = list[list[str]]


@dataclass(frozen=True)
class Fence:
    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @cached_property
    def tokens(self) -> list[Token]:
        return _MARKDOWN.parse(self.text)

    @property
    def fences(self) -> list[Fence]:
        return [Fence(one.info, one.content) for one in self.tokens if one.type == "fence"]

    @property
    def code(self) -> list[str]:
        """Contents of inline code."""
        return [one.content for one in self._inline() if one.type == "code_inline"]

    @property
    def links(self) -> list[str]:
        """Addresses of links and pictures."""
        named = [("link_open", "href"), ("image", "src")]
        return [
            str(one.attrGet(attribute))
            for one in self._inline()
            for kind, attribute in named
            if one.type == kind
        ]

    @cached_property
    def anchors(self) -> set[str]:
        """The ids that GitHub gives to headings."""
        titles = [
            "".join(child.content for child in after.children or [])
            for one, after in zip(self.tokens, self.tokens[1:], strict=False)
            if one.type == "heading_open"
        ]
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    def tables(self, heading: str) -> list[Rows]:
        """Tables below a heading, up to the next one; cells as written, the head row left out."""
        found: list[Rows] = []
        here = False
        for one, after in zip(self.tokens, [*self.tokens[1:], None], strict=True):
            if one.type == "heading_open" and after:
                here = after.content == heading
            elif here and one.type == "table_open":
                found.append([])
            elif here and one.type == "tr_open":
                found[-1].append([])
            elif here and one.type in ("td_open", "th_open") and after:
                found[-1][-1].append(after.content)
        assert found, f"{self.name} has no table below “{heading}”"
        return [rows[1:] for rows in found]

    def first_column(self, heading: str, table: int = 0) -> list[str]:
        """What stands in code in the first column of a table."""
        return [name for row in self.tables(heading)[table] for name in names(row[0])]

    def _inline(self) -> Iterator[Token]:
        for block in self.tokens:
            yield from block.children or []


def names(cell: str) -> list[str]:
    """The inline code of a cell."""
    return re.findall(r"`([^`]+)`", cell)


def page(name: str) -> Page:
    return Page(ROOT / name)


def all_pages() -> list[Page]:
    """Every page that is not empty."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    docs = sorted((ROOT / "docs").rglob("*.md"))
    # a page of each check is made from its class, and held by that
    paths = [*top, *(path for path in docs if path.parent.name != "checks")]
    return [Page(path) for path in paths if path.exists() and path.read_text("utf-8").strip()]
