"""Inline Markdown as it stands in a brief's sentences: its links, and the sources they name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from newsletter.briefs.model import Source
from newsletter.text import fold, tidy

# "(per Bloomberg)", "(via [Harbor Ledger](https://…))", "(per Harbor Ledger, Counting House)"
_CREDIT = re.compile(r"\((?:per|via)\s+((?:\[[^\]\n]*\]\([^()\s]*\)|[^()])+)\)", re.IGNORECASE)
_LINK = re.compile(r"\[([^\]\n]+)\]\((https?://[^()\s]+)\)")
_BARE_URL = re.compile(r"(?<![\w(\"'=/])https?://[^\s<>\[\]()\"']+[^\s<>\[\]()\"'.,;:!?]")


@cache
def inline_markdown() -> MarkdownIt:
    """The dialect of a brief's sentences: CommonMark's inline rules, no HTML, no images."""
    markdown = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True})
    return markdown.disable(["html_inline", "image", "newline"])


def inline_tokens(text: str) -> list[Token]:
    """CommonMark's inline tokens of one line of text."""
    return inline_markdown().parseInline(text)[0].children or []


def sources_in(texts: Iterable[str]) -> list[Source]:
    """Sources named in texts, in order of first mention, each once: credits, links, bare URLs."""
    found: dict[str, Source] = {}
    for text in texts:
        if "(" not in text and "://" not in text:  # most paragraphs: nothing to look for
            continue
        for source in _named(text):
            known = found.setdefault(fold(source.name), source)
            if known.url is None and source.url:
                found[fold(source.name)] = Source(known.name, source.url)
    return list(found.values())


def _named(text: str) -> Iterator[Source]:
    mentions: list[tuple[int, Source]] = []
    for credit in _CREDIT.finditer(text):
        inner = credit[1]
        linked = _LINK.search(inner)
        name = tidy(linked[1] if linked else inner).rstrip(".,;: ")
        if name and not _BARE_URL.fullmatch(name):
            mentions.append((credit.start(), Source(name, linked[2] if linked else None)))
    for link in _LINK.finditer(text):
        if name := tidy(link[1]):
            mentions.append((link.start() + 1, Source(name, link[2])))
    for bare in _BARE_URL.finditer(_LINK.sub(lambda link: " " * len(link[0]), text)):
        host = urlsplit(bare[0]).hostname if "[" not in bare[0] else None
        if host:
            mentions.append((bare.start(), Source(host.removeprefix("www."), bare[0])))
    for _, source in sorted(mentions, key=lambda mention: mention[0]):
        yield source
