"""Inline Markdown in its two dresses: safe HTML, and plain text wrapped by hand's rules."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from markdown_it.token import Token
from markupsafe import Markup

from newsletter.briefs import LONGEST, inline_tokens

_TAGS = {"strong": "strong", "em": "em"}


def inline_html(text: str) -> Markup:
    """XHTML with a, strong, em and code, nothing else; everything else of the text is escaped."""
    return _inline_html(text) if len(text) <= LONGEST else _inline_html.__wrapped__(text)


@lru_cache(maxsize=4096)  # every edition renders the same sentences; what is long is not kept
def _inline_html(text: str) -> Markup:
    return Markup("").join(Markup(_tag(token)) for token in _bulleted(text))  # noqa: S704


def _tag(token: Token) -> str:
    if token.type == "link_open":
        return f'<a href="{html.escape(str(token.attrGet("href")))}">'
    if token.type == "link_close":
        return "</a>"
    if token.type == "code_inline":
        return f"<code>{html.escape(token.content)}</code>"
    if token.tag in _TAGS:
        return f"<{'/' if token.nesting < 0 else ''}{token.tag}>"
    return html.escape(token.content, quote=False)


def _bulleted(text: str) -> Iterable[Token]:
    if text.startswith("- "):
        yield Token("text", "", 0, content="• ")
        text = text[2:]
    yield from inline_tokens(text)


def plain(text: str) -> str:
    """One line of plain text: the words without marks and addresses."""
    return "".join(token.content for token in inline_tokens(text))


def paragraph(
    text: str,
    width: int = 72,
    indent: int = 0,
    first: str | None = None,
    *,
    track: Callable[[str], str] = str,
) -> str:
    """Plain text wrapped at `width` columns; the addresses of its links stand below, one a line.

    `first` opens the first line, and the lines below hang under the text behind it.
    """
    wrapped = _wrapped if len(text) <= LONGEST else _wrapped.__wrapped__
    lines, links = wrapped(text, width, " " * indent + (first or ""))
    hanging = " " * (indent + len(first or "") + 2)
    return "\n".join((lines, *(f"{hanging}{track(url)}" for url in links)))


@lru_cache(maxsize=4096)
def _wrapped(text: str, width: int, opening: str) -> tuple[str, tuple[str, ...]]:
    """The wrapped lines, and the addresses of the links in them, each once."""
    words: list[str] = []
    links: dict[str, None] = {}
    for token in inline_tokens(text):
        if token.type == "link_open":
            links[str(token.attrGet("href"))] = None
        elif token.content in links:  # a bare address: its host here, the whole below
            words.append(urlsplit(token.content).hostname or token.content)
        else:
            words.append(token.content)
    lines = textwrap.wrap(
        "".join(words),
        width,
        initial_indent=opening,
        subsequent_indent=" " * len(opening),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines) or opening.rstrip(), tuple(links)
