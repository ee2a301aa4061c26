"""Style sheets and style attributes as values: rules, declarations, and under which conditions.

Blocks are formed as CSS Syntax Level 3 §5 says, from the tokens of cssutils. Its parser would drop
what CSS 2 did not know (ranges in media queries, nested rules, colours with a slash), and just that
is what checks want to see. Knows nothing of clients and colours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, cast

import lxml.etree
from cssselect import SelectorError
from cssutils.tokenize2 import Tokenizer
from lxml.cssselect import CSSSelector

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_GROUPS = frozenset({"media", "supports", "layer", "container", "scope", "document"})
_DECLARING = frozenset({"font-face", "page", "viewport", "property", "counter-style"})
_IMPORTANT = re.compile(r"\s*!\s*important\s*$", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
MOST_DEPTH = 20  #: of blocks in blocks; what is nested deeper is not read
MOST_CHARACTERS = 200_000  #: of a style sheet; what comes after is not read


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Declaration:
    """One `name: value`. The name is lower-case, but for custom properties (`--x`)."""

    name: str
    value: str  #: one blank between words, without `!important`
    important: bool
    line: int  #: in its style sheet, from 1


@dataclass(frozen=True, slots=True)
class Rule:
    """Declarations that selectors apply, in a style sheet."""

    selectors: tuple[str, ...]
    declarations: tuple[Declaration, ...]
    conditions: tuple[str, ...]  #: the at-rules around it, outermost first, as "media screen"
    nested: bool  #: stands in another rule; its selectors are then relative to that one's
    line: int


@dataclass(frozen=True, slots=True)
class AtRule:
    """An at-rule, whatever stands in it. Its name is lower-case and without the @."""

    name: str
    prelude: str
    declarations: tuple[Declaration, ...]  #: of those that have some themselves, as @font-face
    line: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """A style sheet that was read; what can't be is left out, as a browser does."""

    rules: tuple[Rule, ...]
    at_rules: tuple[AtRule, ...]


@lru_cache(maxsize=64)  # all editions of an issue have the same ones
def sheet(text: str) -> Sheet:
    """Read a style sheet. Never raises; milliseconds for some kilobytes, the first time."""
    reader = _Reader(_tokens(text[:MOST_CHARACTERS]))
    reader.rules((), top=True)
    return Sheet(tuple(reader.found), tuple(reader.at_rules))


@lru_cache(maxsize=4096)  # few styles, many elements
def declarations(style: str) -> tuple[Declaration, ...]:
    """The declarations of a style attribute, in their order. Never raises."""
    reader = _Reader(_tokens(style[:MOST_CHARACTERS]))
    return tuple(reader.block((), (), until=""))


def style_sheets(document: lxml.etree._ElementTree) -> Iterator[tuple[lxml.etree._Element, str]]:
    """Every <style> that holds CSS, with its text."""
    for element in document.iter("style"):
        if (element.get("type") or "text/css").strip().lower() == "text/css":
            yield element, element.text or ""


@lru_cache(maxsize=2048)
def selected(selector: str) -> CSSSelector | None:
    """The selector, ready to be called with a document; None for what nobody here can translate.

    States (`:hover`) never hold, but `:link` does.
    """
    try:
        return CSSSelector(selector, translator="html")
    except (SelectorError, lxml.etree.XPathError, ValueError, RecursionError):
        return None


def matching(document: lxml.etree._ElementTree, selector: str) -> list[lxml.etree._Element]:
    """The elements that a selector is about, in document order; none when it can't be translated."""
    compiled = selected(selector)
    return [] if compiled is None else cast("list[lxml.etree._Element]", compiled(document))


def _tokens(text: str) -> Sequence[_Token]:
    # A null byte ends a C string somewhere below; the specification replaces it, too.
    clean = text.replace("\0", "\ufffd")
    return [
        _Token("END" if kind == "EOF" else kind, value, line)
        for kind, value, line, _ in Tokenizer().tokenize(clean)
        if kind not in ("COMMENT", "CDO", "CDC", "BOM")
    ]


class _Reader:
    """Goes through tokens once and collects rules."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.found: list[Rule] = []
        self.at_rules: list[AtRule] = []

    def rules(self, conditions: tuple[str, ...], *, top: bool = False) -> None:
        """Rules until the block's end, which is consumed; a stray } at the top is passed over."""
        while (token := self._next()) is not None:
            if token.text == "}":
                if top:
                    continue
                return
            if token.kind == "S" or token.text == ";":
                continue
            self.at -= 1
            if _is_at(token):
                self._at_rule(conditions, ())
            else:
                self._rule(conditions, nested=False)

    def block(
        self,
        conditions: tuple[str, ...],
        selectors: tuple[str, ...],
        *,
        until: str = "}",
    ) -> list[Declaration]:
        """Declarations until the block's end, which is consumed. Rules in it are collected."""
        found: list[Declaration] = []
        while (token := self._next()) is not None:
            if token.text == "}" and until:
                break
            if token.kind == "S" or token.text in (";", "}"):
                continue
            self.at -= 1
            if _is_at(token):
                self._at_rule(conditions, selectors)
            elif selectors and self._comes_first("{") and not token.text.startswith("--"):
                self._rule(conditions, nested=True)
            else:
                found += self._declaration()
        return found

    def _at_rule(self, conditions: tuple[str, ...], selectors: tuple[str, ...]) -> None:
        start = self._next()
        assert start
        name = start.text.lstrip("@").strip().lower()
        prelude = self._until("{;}")
        end = self._next()
        inside: tuple[Declaration, ...] = ()
        place = len(self.at_rules)
        if end is not None and end.text == "}":
            self.at -= 1
        elif end is not None and end.text == "{":
            if name in _DECLARING:
                inside = tuple(self.block(conditions, ()))
            elif name in _GROUPS and self.depth < MOST_DEPTH:
                self.depth += 1
                inner = (*conditions, f"{name} {prelude}".strip())
                if selectors:  # nested in a rule: its declarations belong to that rule's selectors
                    own = self.block(inner, selectors)
                    if own:
                        self.found.append(Rule(selectors, tuple(own), inner, True, start.line))
                else:
                    self.rules(inner)
                self.depth -= 1
            else:
                self._skip_block()
        self.at_rules.insert(place, AtRule(name, prelude, inside, start.line))

    def _rule(self, conditions: tuple[str, ...], *, nested: bool) -> None:
        line = self.tokens[self.at].line
        prelude = self._until("{}" if not nested else "{;}")
        opening = self._next()
        if opening is None or opening.text != "{":
            if opening is not None and opening.text == "}":
                self.at -= 1 if nested or conditions else 0
            return
        selectors = tuple(part for part in split(prelude, ",") if part)
        if self.depth >= MOST_DEPTH:
            self._skip_block()
            return
        self.depth += 1
        place = len(self.found)
        own = self.block(conditions, selectors or ("",))
        self.depth -= 1
        if selectors:
            self.found.insert(place, Rule(selectors, tuple(own), conditions, nested, line))

    def _declaration(self) -> list[Declaration]:
        line = self.tokens[self.at].line
        text = self._until(";}")
        name, colon, value = text.partition(":")
        name = name.strip()
        if not colon or not name or " " in name:
            return []
        plain = _IMPORTANT.sub("", value).strip()
        lowered = name if name.startswith("--") else name.lower()
        return [Declaration(lowered, plain, bool(_IMPORTANT.search(value)), line)]

    def _comes_first(self, wanted: str) -> bool:
        """Whether this comes before the declaration's end, outside brackets."""
        depth = braces = 0
        for position in range(self.at, len(self.tokens)):
            token = self.tokens[position]
            if depth == 0 and token.text in (wanted, ";"):
                return token.text == wanted
            braces += {"{": 1, "}": -1}.get(token.text, 0)
            if braces < 0:  # what was not closed ends with its block
                return False
            depth += _step(token)
        return False

    def _until(self, ends: str) -> str:
        """The text up to one of these outside brackets, which stays."""
        parts: list[str] = []
        open_: list[str] = []
        while (token := self._next()) is not None:
            text = token.text
            if not open_ and text in ends and len(text) == 1:
                self.at -= 1
                break
            if text == "}" and "{" not in open_:  # what was not closed ends with its block
                self.at -= 1
                break
            if _step(token) > 0:
                open_.append(text[-1])
            elif _step(token) < 0 and open_ and _CLOSING[open_[-1]] == text:
                open_.pop()
            parts.append(" " if token.kind == "S" else text)
        return _SPACE.sub(" ", "".join(parts)).strip()

    def _skip_block(self) -> None:
        depth = 1
        while depth and (token := self._next()) is not None:
            depth += {"{": 1, "}": -1}.get(token.text, 0)

    def _next(self) -> _Token | None:
        if self.at >= len(self.tokens) or self.tokens[self.at].kind == "END":
            return None
        self.at += 1
        return self.tokens[self.at - 1]


def _is_at(token: _Token) -> bool:
    return token.text.startswith("@") and len(token.text) > 1


def _step(token: _Token) -> int:
    if token.text in _CLOSING or (token.kind == "FUNCTION" and token.text.endswith("(")):
        return 1
    return -1 if token.text in (")", "]", "}") else 0


def split(text: str, separator: str) -> list[str]:
    """Parts of a selector list or a value, cut outside brackets and quotes, without blanks around."""
    parts, start, depth, quote = [], 0, 0, ""
    for position, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth = max(0, depth - 1)
        elif letter == separator and not depth:
            parts.append(text[start:position].strip())
            start = position + 1
    parts.append(text[start:].strip())
    return parts
