"""Inline Markdown as it stands in a brief's sentences: its tokens, its links, the sources named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from newsletter.briefs.model import Source
from newsletter.text import fold, tidy

#: Characters of a paragraph that is read as Markdown; 20,000 opening brackets take 0.2 s. Nobody reads,
#: or wrote, a longer one: its marks stay text.
LONGEST = 20_000
# "(per Bloomberg)", "(via [Harbor Ledger](https://…))", "(per Harbor Ledger, Counting House)"
# (every part is bounded: a page of opening brackets must not cost more than any other page)
_CREDIT = re.compile(
    r"\((?:per|via)\s+((?:\[[^\[\]\n]{0,300}\]\([^()\s]{0,2000}\)|[^()\[\]]){1,400})\)",
    re.IGNORECASE,
)
_LINK = re.compile(r"\[([^\[\]\n]{1,300})\]\((https?://[^()\s]{1,2000})\)")
_BARE_URL = re.compile(r"(?<![\w(\"'=/])https?://[^\s<>\[\]()\"']+[^\s<>\[\]()\"'.,;:!?]")
# A paragraph that is an image and nothing else: ![what it shows](images/x.png "caption")
_IMAGE = re.compile(
    r"!\[(?P<alt>[^\[\]]{0,1000})\]\(\s?(?:<(?P<angled>[^<>]{1,500})>|(?P<path>[^\s()<>]{1,500}))"
    r"(?:\s[\"'“„”](?P<caption>[^\"“”]{0,1000})[\"'“”])?\s?\)"
)
_SAFE_SCHEME = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that a brief names: the words that stand for it, and those below it (inline)."""

    path: str  #: as it was written; only `images/…` of the workspace is shown
    alt: str
    caption: str


def image_in(text: str) -> Image | None:
    """The image that a paragraph (one tidy line) consists of, or None."""
    if not text.startswith("!["):
        return None
    found = _IMAGE.fullmatch(text)
    if found is None:
        return None
    path = found["angled"] or found["path"]
    return Image(path, tidy(found["alt"]), tidy(found["caption"] or ""))


def quote_in(text: str) -> str | None:
    """What a paragraph (one tidy line) quotes, without its marks; None when it is no quote."""
    return text.lstrip("> ") or None if text.startswith(">") else None


@cache
def inline_markdown() -> MarkdownIt:
    """The dialect of a brief's sentences: CommonMark's inline rules, no HTML, no images.

    Addresses stay exactly as the editor wrote them; anything but http, https and mailto is text.
    """
    markdown = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True})
    markdown.disable(["html_inline", "image", "newline"])
    markdown.normalizeLink = lambda url: url  # type: ignore[method-assign]
    markdown.validateLink = lambda url: bool(_SAFE_SCHEME.match(url))  # type: ignore[method-assign]
    return markdown


def inline_tokens(text: str) -> list[Token]:
    """CommonMark's inline tokens of one line; bare addresses are links too."""
    if len(text) > LONGEST:
        return [Token("text", "", 0, content=text)]
    tokens = inline_markdown().parseInline(text)[0].children or []
    if "://" not in text:
        return tokens
    linked: list[Token] = []
    depth = 0
    for token in tokens:
        depth += token.nesting if token.type.startswith("link_") else 0
        linked += _linkified(token) if token.type == "text" and not depth else [token]
    return linked


def _linkified(token: Token) -> Iterator[Token]:
    end = 0
    for match in _BARE_URL.finditer(token.content):
        yield Token("text", "", 0, content=token.content[end : match.start()])
        yield Token("link_open", "a", 1, attrs={"href": match[0]})
        yield Token("text", "", 0, content=match[0])
        yield Token("link_close", "a", -1)
        end = match.end()
    yield Token("text", "", 0, content=token.content[end:])


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
    mentions += [
        (link.start() + 1, Source(tidy(link[1]), link[2]))
        for link in _LINK.finditer(text)
        if tidy(link[1])
    ]
    for bare in _BARE_URL.finditer(_LINK.sub(lambda link: " " * len(link[0]), text)):
        host = urlsplit(bare[0]).hostname if "[" not in bare[0] else None
        if host:
            mentions.append((bare.start(), Source(host.removeprefix("www."), bare[0])))
    for _, source in sorted(mentions, key=lambda mention: mention[0]):
        yield source
