"""What MJML may say, and what is wrong with a piece of it. Knows no templates and renders nothing.

The compiler takes unknown tags and attributes in silence, prints what stands in the wrong place, and tells
of an open tag only that the text ended. So there is a table here of what it really renders: the tags and
attributes of MJML 4 (its documentation, https://documentation.mjml.io), less those that mrml 5 leaves
without effect. A test asks the compiler itself whether each attribute changes anything.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Literal

from PIL.ImageColor import colormap

from newsletter.text import did_you_mean, listed, tidy

Kind = Literal["syntax", "tag", "place", "attribute", "value", "alt", "ignored", "style"]


@dataclass(frozen=True, slots=True)
class MjmlProblem:
    """Something wrong at a place of the MJML."""

    line: int  #: from 1
    column: int  #: from 1
    message: str
    kind: Kind
    offset: int  #: characters from the beginning


@dataclass(frozen=True, slots=True)
class Tag:
    """What MJML says of one tag."""

    within: tuple[str, ...]  #: tags that it may stand in
    attributes: tuple[str, ...] = ()
    ending: bool = False  #: holds HTML or text, no MJML
    needs: tuple[str, ...] = ()  #: attributes without which it is of no use


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_PADDING = _words("padding padding-bottom padding-left padding-right padding-top")
_CELL = (*_PADDING, "container-background-color", "css-class", "vertical-align")
_BORDER = _words("border border-bottom border-left border-radius border-right border-top")
_FONT = _words("color font-family font-size line-height")
_TYPE = (*_FONT, *_words("font-style font-weight letter-spacing text-decoration text-transform"))
_ICONS = _words(
    "icon-align icon-height icon-position icon-unwrapped-alt icon-unwrapped-url icon-width"
    " icon-wrapped-alt icon-wrapped-url"
)
_SECTION = (
    *_PADDING, *_BORDER, "css-class", "direction", "full-width", "text-align", "background-color",
    "background-position", "background-position-x", "background-position-y", "background-repeat",
    "background-size", "background-url",
)  # fmt: skip
_IN_COLUMN = ("mj-column", "mj-hero")
_ROWS = ("mj-body", "mj-wrapper")

TAGS: dict[str, Tag] = {
    "mjml": Tag(("",), ("dir", "lang")),
    "mj-head": Tag(("mjml",)),
    "mj-body": Tag(("mjml",), ("background-color", "css-class", "width")),
    "mj-attributes": Tag(("mj-head",)),
    "mj-all": Tag(("mj-attributes",)),
    "mj-class": Tag(("mj-attributes",), ("name",), needs=("name",)),
    "mj-breakpoint": Tag(("mj-head",), ("width",), needs=("width",)),
    "mj-font": Tag(("mj-head",), ("href", "name"), needs=("href", "name")),
    "mj-preview": Tag(("mj-head",), ending=True),
    "mj-style": Tag(("mj-head",), ("inline",), ending=True),
    "mj-title": Tag(("mj-head",), ending=True),
    "mj-raw": Tag(
        ("mj-head", "mj-section", "mj-group", "mj-navbar", "mj-social", *_ROWS, *_IN_COLUMN),
        ending=True,
    ),
    "mj-section": Tag(_ROWS, _SECTION),
    "mj-wrapper": Tag(("mj-body",), _SECTION),
    "mj-hero": Tag(
        _ROWS,
        (
            *_PADDING, "align", "background-color", "background-height", "background-position",
            "background-url", "background-width", "css-class", "height", "inner-background-color",
            "inner-padding", "vertical-align", "width",
        ),
    ),
    "mj-group": Tag(
        ("mj-section",),
        ("background-color", "css-class", "direction", "vertical-align", "width"),
    ),
    "mj-column": Tag(
        ("mj-section", "mj-group"),
        (
            *_PADDING, *_BORDER, *(f"inner-{name}" for name in ("background-color", *_BORDER)),
            "background-color", "css-class", "direction", "vertical-align", "width",
        ),
    ),
    "mj-text": Tag(_IN_COLUMN, (*_CELL, *_TYPE, "align", "height"), ending=True),
    "mj-button": Tag(
        _IN_COLUMN,
        (
            *_CELL, *_BORDER, *_TYPE, "align", "background-color", "height", "href", "inner-padding",
            "name", "rel", "target", "text-align", "width",
        ),
        ending=True,
    ),
    "mj-image": Tag(
        _IN_COLUMN,
        (
            *_CELL, "align", "alt", "border", "border-left", "border-radius", "border-right",
            "fluid-on-mobile", "font-size", "full-width", "height", "href", "max-height", "name",
            "rel", "src", "srcset", "target", "title", "usemap", "width",
        ),
        needs=("src", "alt"),
    ),
    "mj-divider": Tag(
        _IN_COLUMN, (*_CELL, "align", "border-color", "border-style", "border-width", "width")
    ),
    "mj-spacer": Tag(_IN_COLUMN, (*_CELL, "height")),
    "mj-table": Tag(
        _IN_COLUMN,
        (*_CELL, *_FONT, "align", "border", "cellpadding", "cellspacing", "table-layout", "width"),
        ending=True,
    ),
    "mj-navbar": Tag(
        _IN_COLUMN,
        (
            *_CELL, "align", "base-url", "hamburger", "ico-align", "ico-close", "ico-color",
            "ico-font-family", "ico-font-size", "ico-line-height", "ico-open",
            *(f"ico-{name}" for name in _PADDING), "ico-text-decoration", "ico-text-transform",
        ),
    ),
    "mj-navbar-link": Tag(
        ("mj-navbar",),
        (*_PADDING, *_TYPE, "css-class", "href", "name", "rel", "target"),
        ending=True,
        needs=("href",),
    ),
    "mj-social": Tag(
        _IN_COLUMN,
        (
            *_CELL, *_FONT, "align", "border-radius", "font-style", "font-weight", "icon-height",
            "icon-padding", "icon-size", "inner-padding", "mode", "text-decoration", "text-padding",
        ),
    ),
    "mj-social-element": Tag(
        ("mj-social",),
        (
            *_PADDING, *_FONT, "align", "alt", "background-color", "border-radius", "css-class",
            "font-style", "font-weight", "href", "icon-height", "icon-padding", "icon-size", "name",
            "rel", "src", "target", "text-decoration", "text-padding", "title", "vertical-align",
        ),
        ending=True,
    ),
    "mj-accordion": Tag(
        _IN_COLUMN, (*_CELL, *_ICONS, "border", "font-family")
    ),
    "mj-accordion-element": Tag(
        ("mj-accordion",), (*_ICONS, "background-color", "border", "css-class", "font-family")
    ),
    "mj-accordion-title": Tag(
        ("mj-accordion-element",),
        (*_PADDING, "background-color", "color", "css-class", "font-family", "font-size"),
        ending=True,
    ),
    "mj-accordion-text": Tag(
        ("mj-accordion-element",),
        (*_PADDING, *_FONT, "background-color", "css-class", "font-weight", "letter-spacing"),
        ending=True,
    ),
    "mj-carousel": Tag(
        _IN_COLUMN,
        (
            *_CELL, "align", "border-radius", "icon-width", "left-icon", "right-icon", "tb-border",
            "tb-border-radius", "tb-hover-border-color", "tb-selected-border-color", "tb-width",
            "thumbnails",
        ),
    ),
    "mj-carousel-image": Tag(
        ("mj-carousel",),
        (
            "alt", "border-radius", "css-class", "href", "rel", "src", "target", "tb-border",
            "tb-border-radius", "thumbnails-src", "title",
        ),
        needs=("src", "alt"),
    ),
}  # fmt: skip

#: Why a tag of MJML is not to be used here.
_REFUSED = {
    "mj-include": "mj-include is refused: templates are put together by Jinja2's include and import",
    "mj-html-attributes": "mj-html-attributes is not supported here; write the HTML in mj-raw or mj-text",
}
_ALL_ATTRIBUTES = frozenset(name for tag in TAGS.values() for name in tag.attributes)
_VOID = frozenset(
    _words("area base br col embed hr img input link meta param source track wbr")
)  # HTML that has no end tag

# -- values ------------------------------------------------------------------------------------------

_LENGTH = r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:px|%)|0"
_UNITS = re.compile(rf"(?:{_LENGTH})(?:\s+(?:{_LENGTH})){{0,3}}")
_ONE_UNIT = re.compile(rf"(?:{_LENGTH})")
_SIZE = re.compile(r"(?:\d+(?:\.\d+)?|\.\d+)(?:px|em|rem|%|pt)")
_SPACING = re.compile(r"normal|none|0|-?(?:\d+(?:\.\d+)?|\.\d+)(?:px|em)")
_LINE = re.compile(r"normal|(?:\d+(?:\.\d+)?|\.\d+)(?:px|em|%)?")
_PIXELS = re.compile(r"\d+(?:\.\d+)?px")
_WEIGHT = re.compile(r"normal|bold|bolder|lighter|[1-9]00")
_COLOUR = re.compile(
    r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})|(?:rgb|hsl)a?\([\d\s.,%/deg-]+\)"
    r"|transparent|inherit|currentcolor|none",
    re.IGNORECASE,
)
_FOUR = (_UNITS, "one to four lengths such as 20px or 5%")
_ONE = (_ONE_UNIT, "a length such as 20px or 5%")
_SHAPES: dict[str, tuple[re.Pattern[str], str]] = {
    **dict.fromkeys(("padding", "border-radius", "inner-padding", "inner-border-radius"), _FOUR),
    **dict.fromkeys(_PADDING[1:], _ONE),
    "font-size": (_SIZE, "a size such as 16px"),
    "line-height": (_LINE, "a height such as 1.5 or 24px"),
    "letter-spacing": (_SPACING, "a length such as 1px or 0.1em"),
    "font-weight": (_WEIGHT, "bold, normal, or 100 to 900"),
    "width": (re.compile(r"\d+(?:\.\d+)?(?:px|%)|auto"), "a width such as 300px or 50%"),
    "height": (re.compile(r"\d+(?:\.\d+)?(?:px|%)|auto"), "a height such as 40px"),
    "border-width": (_PIXELS, "a width such as 1px"),
    "background-width": (_ONE_UNIT, "a width such as 600px"),
    "background-height": (_ONE_UNIT, "a height such as 300px"),
    "icon-size": (_ONE_UNIT, "a size such as 20px"),
    "tb-width": (_PIXELS, "a width such as 110px"),
    "cellpadding": (re.compile(r"\d+"), "a whole number"),
    "cellspacing": (re.compile(r"\d+"), "a whole number"),
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "align": ("left", "center", "right", "justify"),
    "background-repeat": ("repeat", "no-repeat"),
    "dir": ("ltr", "rtl", "auto"),
    "direction": ("ltr", "rtl"),
    "fluid-on-mobile": ("true", "false"),
    "font-style": ("normal", "italic", "oblique"),
    "full-width": ("full-width", "false"),
    "hamburger": ("hamburger",),
    "ico-align": ("left", "center", "right"),
    "icon-align": ("top", "middle", "bottom"),
    "icon-position": ("left", "right"),
    "mode": ("horizontal", "vertical"),
    "table-layout": ("auto", "fixed", "initial", "inherit"),
    "text-align": ("left", "center", "right"),
    "text-transform": ("none", "capitalize", "uppercase", "lowercase"),
    "thumbnails": ("visible", "hidden"),
    "vertical-align": ("top", "middle", "bottom"),
}


def _value_problem(name: str, value: str) -> str:
    """What is wrong with an attribute's value; empty when nothing is."""
    text = value.strip()
    choices = _CHOICES.get(name)
    if choices:
        if text in choices:
            return ""
        hint = did_you_mean(text, choices)
        return f'{name}="{tidy(value)[:40]}" is none of {listed(choices)}.{hint}'
    if name.endswith("color"):
        if _COLOUR.fullmatch(text) or text.lower() in colormap:
            return ""
        hint = did_you_mean(text, colormap) if text.isalpha() else ""
        return (
            f'{name}="{tidy(value)[:40]}" is no colour; write it as #1a2b3c, rgb(26, 43, 60) or by'
            f" its name.{hint}"
        )
    shape = _SHAPES.get(name)
    if shape is None or shape[0].fullmatch(text):
        return ""
    number = re.fullmatch(r"\d+(?:\.\d+)?", text)
    hint = f" Did you mean {text}px?" if number else ""
    return f'{name}="{tidy(value)[:40]}" is not {shape[1]}.{hint}'


# -- reading -----------------------------------------------------------------------------------------

# No part of a tag runs past the next "<", so that reading stays linear whatever is open.
_TOKEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<\?[^<]*?\?>|<![^<>]*>"
    r"|<(?P<close>/?)(?P<name>[A-Za-z][\w:.-]*)"
    r"(?P<rest>(?:[^'\"<>]++|\"[^\"<]*+\"|'[^'<]*+')*+)>"
    r"|<",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([^\s=/\"']+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"']+))?")
_DEEP = 200  # open tags among which one that closes is looked for
_MOST = 200  # problems told of one mail
_STYLE_END = re.compile(r"</mj-style\s*>")


@dataclass(slots=True)
class _Open:
    name: str
    at: int
    outer: str = ""  #: of HTML, the ending tag that it stands in


@dataclass
class _Reading:
    """One pass over a text."""

    source: str
    found: list[MjmlProblem] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    @cached_property
    def breaks(self) -> list[int]:
        return [match.end() for match in re.finditer("\n", self.source)]

    def tell(self, at: int, kind: Kind, message: str) -> None:
        if len(self.found) >= _MOST:
            return
        line = bisect_right(self.breaks, at)
        begins = self.breaks[line - 1] if line else 0
        self.found.append(MjmlProblem(line + 1, at - begins + 1, message, kind, at))

    def read(self) -> list[MjmlProblem]:
        source, at = self.source, 0
        while token := _TOKEN.search(source, at):
            self.text(at, token.start())
            at = token.end()
            name = token["name"]
            if not name:
                self.odd(token)
            elif token["close"]:
                self.close(name, token.start())
            elif self.open(token) and name == "mj-style":
                end = _STYLE_END.search(source, at)
                stop = end.start() if end else len(source)
                self.style(at, stop)
                at = stop
        self.text(at, len(source))
        for one in self.stack[-_DEEP:]:
            self.tell(one.at, "syntax", f"<{one.name}> is never closed; </{one.name}> is missing")
        if "mjml" not in self.seen:
            self.tell(0, "tag", "there is no <mjml> around the mail")
        elif "mj-body" not in self.seen:
            self.tell(0, "tag", "there is no <mj-body>, so the mail is empty")
        return sorted(self.found, key=lambda problem: problem.offset)

    @property
    def within(self) -> str:
        return self.stack[-1].name if self.stack else ""

    def ending(self) -> bool:
        """Whether what comes now is HTML or text, not MJML."""
        if not self.stack:
            return False
        top = self.stack[-1]
        return bool(top.outer) or (top.name in TAGS and TAGS[top.name].ending)

    def text(self, start: int, end: int) -> None:
        if start == end or self.source[start:end].isspace() or self.ending():
            return
        said = self.source[start:end]
        at = start + len(said) - len(said.lstrip())
        where = f"in <{self.within}>" if self.within else "outside of <mjml>"
        self.tell(at, "place", f'the text "{tidy(said)[:30]}" stands {where}; put it into mj-text')

    def odd(self, token: re.Match[str]) -> None:
        if token[0] == "<":
            near = tidy(self.source[token.start() : token.start() + 30])
            self.tell(
                token.start(), "syntax", f'"{near}" opens no tag that closes; for a "<" write &lt;'
            )
        elif token[0].startswith("<!--") and not token[0].endswith("-->"):
            self.tell(token.start(), "syntax", "the comment is never closed; --> is missing")
        elif token[0].startswith("<![CDATA["):
            self.tell(token.start(), "syntax", "CDATA is not understood here; write &lt; and &amp;")
        elif not self.ending() and not re.match(r"<!--(?!\[if)", token[0]):
            near = tidy(token[0][:20])
            self.tell(
                token.start(), "syntax", f"{near} can't stand here; mj-raw and mj-text hold HTML"
            )

    def close(self, name: str, at: int) -> None:
        above = next(
            (n for n, one in enumerate(islice(reversed(self.stack), _DEEP)) if one.name == name),
            None,
        )
        if above is None:
            self.tell(at, "syntax", f"</{name}> closes nothing that is open here")
            return
        for one in reversed(self.stack[len(self.stack) - above :]):
            self.tell(
                one.at, "syntax", f"<{one.name}> is not closed before </{name}>; add </{one.name}>"
            )
        del self.stack[len(self.stack) - above - 1 :]

    def open(self, token: re.Match[str]) -> bool:
        """Check a tag that opens; whether it stays open."""
        name, at = token["name"], token.start()
        outer = (self.stack[-1].outer or self.stack[-1].name) if self.ending() else ""
        if outer:
            self.html(token, outer)
        else:
            self.mjml(token)
        void = outer and name.lower() in _VOID
        stays = not token["rest"].rstrip().endswith("/") and not void
        if stays:
            self.stack.append(_Open(name, at, outer))
        return stays and not outer

    def html(self, token: re.Match[str], outer: str) -> None:
        name, at = token["name"], token.start()
        if name.startswith("mj-"):
            self.tell(at, "place", f"<{name}> stands in <{outer}>, which holds HTML only")
        elif name.lower() == "img" and not re.search(r"\balt\s*=", token["rest"], re.IGNORECASE):
            self.tell(at, "alt", '<img> has no alt; a picture that says nothing has alt=""')

    def mjml(self, token: re.Match[str]) -> None:
        name, at = token["name"], token.start()
        if name in _REFUSED:
            self.tell(at, "tag", _REFUSED[name])
            return
        tag = TAGS.get(name)
        if tag is None:
            if name.startswith("mj") or not self.within:
                self.tell(at, "tag", f"<{name}> is no tag of MJML.{did_you_mean(name, TAGS)}")
            elif self.within in TAGS:
                self.tell(
                    at,
                    "place",
                    f"<{name}> stands in <{self.within}>; HTML goes into mj-text or mj-raw",
                )
            return
        if name in ("mjml", "mj-body", "mj-head") and name in self.seen:
            self.tell(at, "tag", f"there is a second <{name}>")
        self.seen.add(name)
        default = self.within == "mj-attributes"  # a default for all tags of this name
        if not default and self.within not in tag.within and self.within in ("", *TAGS):
            places = listed(f"<{one}>" for one in tag.within) if tag.within != ("",) else "the top"
            where = f"in <{self.within}>" if self.within else "outside of <mjml>"
            self.tell(at, "place", f"<{name}> stands {where}; its place is {places}")
        self.attributes(token, tag, default=default)

    def attributes(self, token: re.Match[str], tag: Tag, *, default: bool) -> None:
        name, begins = token["name"], token.start("rest")
        given: dict[str, str] = {}
        for match in _ATTRIBUTE.finditer(token["rest"]):
            key, raw = match[1], match[2]
            at = begins + match.start()
            if key in given:
                self.tell(at, "attribute", f"{key} is given twice")
            if raw is None:
                self.tell(at, "syntax", f'{key} has no value; write {key}="…"')
            elif raw[0] not in "\"'":
                self.tell(at, "syntax", f'the value of {key} needs quotes: {key}="{raw[:30]}"')
            value = given[key] = (raw or "").strip("\"'")
            for kind, problem in self.attribute(name, tag, key, value, default=default):
                self.tell(at, kind, problem)
        if default:
            return
        for key in tag.needs:
            if key not in given:
                why = ' (a picture that says nothing has alt="")' if key == "alt" else ""
                self.tell(
                    token.start(),
                    "alt" if key == "alt" else "attribute",
                    f"<{name}> has no {key}{why}",
                )
        if name == "mjml" and "lang" not in given:
            self.tell(token.start(), "attribute", '<mjml> has no lang; write lang="{{ language }}"')
        if name == "mj-font":
            self.tell(token.start(), "ignored", "mj-font has no effect: web fonts are not loaded")

    def attribute(
        self, name: str, tag: Tag, key: str, value: str, *, default: bool
    ) -> Iterator[tuple[Kind, str]]:
        if name == "mj-style" and key == "inline":
            why = "every mj-style goes into attributes, but what begins with @media or [data-ogs"
            yield "ignored", f"inline has no effect: {why}"
            return
        anything = name == "mj-all" or (name == "mj-class" and key != "name")
        if key not in (_ALL_ATTRIBUTES if anything else tag.attributes):
            if key == "mj-class" and not default and "mj-head" not in tag.within:
                return
            options = _ALL_ATTRIBUTES if anything else (*tag.attributes, "mj-class")
            what = "MJML" if anything else f"<{name}>"
            hint = did_you_mean(key, options)
            also = " (MJML knows it there; this compiler does nothing with it)"
            why = also if key in _ALL_ATTRIBUTES and not hint else ""
            yield "attribute", f"{what} has no attribute {key}{why}.{hint}"
        elif problem := _value_problem(key, value):
            yield "value", problem

    def style(self, start: int, end: int) -> None:
        css = self.source[start:end]
        if "<" in css:
            at = start + css.index("<")
            self.tell(at, "syntax", 'a "<" in mj-style ends the reading of the mail; leave it out')
        for offset, problem in style_problems(css):
            self.tell(start + offset, "style", problem)


def problems(source: str) -> list[MjmlProblem]:
    """What is wrong with a whole mail in MJML, in order. About 1 ms for the sample mail."""
    return _Reading(source).read()


# -- style sheets ------------------------------------------------------------------------------------

_CSS = re.compile(
    r"/\*.*?(?:\*/|\Z)|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?|[{};]", re.DOTALL
)
_DECLARATION = re.compile(r"\s*[\w*-]+\s*:\s*\S")
_SECOND = re.compile(r"\n\s*[\w-]+\s*:\s")


def style_problems(css: str) -> list[tuple[int, str]]:
    """Slips in a style sheet, which its parser mends in silence by leaving rules out: offset and message."""
    return sorted(_Sheet(css).read())


@dataclass
class _Sheet:
    css: str
    found: list[tuple[int, str]] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)

    def read(self) -> list[tuple[int, str]]:
        css, piece = self.css, 0  # where the selector or declaration begins
        for token in _CSS.finditer(css):
            mark, at = token[0], token.start()
            if mark.startswith("/*"):
                if not mark.endswith("*/") or len(mark) < 4:
                    self.found.append((at, "the comment is never closed; */ is missing"))
                if not css[piece:at].strip():
                    piece = token.end()
            elif mark[0] in "\"'":
                if len(mark) < 2 or mark[-1] != mark[0]:
                    self.found.append((at, f"the text that begins with {mark[0]} is never closed"))
            else:
                self.piece(piece, at, mark)
                piece = token.end()
        self.found += [(at, "the { is never closed; } is missing") for at in self.opened]
        self.found += [
            (match.start(), "a style sheet from elsewhere is refused; put its rules here")
            for match in re.finditer(r"@import\b[^;\n]*", css)
        ]
        rest = css[piece:]
        if rest.strip() and not self.opened:
            self.found.append((self.first(piece), "the style sheet ends in mid-rule"))
        return self.found

    def first(self, at: int) -> int:
        """The first character at or after `at` that is no blank."""
        return len(self.css) - len(self.css[at:].lstrip())

    def piece(self, start: int, end: int, mark: str) -> None:
        """What stands before a brace or semicolon, and what the mark does."""
        said = self.css[start:end].strip()
        if mark == "{":
            if not said:
                self.found.append((end, "a { without a selector before it"))
            elif "\n" in said and _DECLARATION.match(said) and self.opened:
                self.found.append((self.first(start), "a } or ; is missing before the next rule"))
            self.opened.append(end)
            return
        if said and self.opened:
            if not _DECLARATION.match(said):
                told = f'"{tidy(said)[:40]}" is no `property: value`'
                self.found.append((self.first(start), told))
            elif _SECOND.search(said):
                told = f'a ; is missing after "{tidy(said.splitlines()[0])[:40]}"'
                self.found.append((self.first(start), told))
        elif said and mark == "}":
            self.found.append(
                (self.first(start), f'"{tidy(said)[:40]}" stands outside of any rule')
            )
        if mark == "}":
            if self.opened:
                self.opened.pop()
            else:
                self.found.append((end, "a } that closes nothing"))
