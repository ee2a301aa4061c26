"""Whether the words of a mail stand out from what is behind them, light and dark, without a browser.

Ratios are those of WCAG 2.2 (1.4.3). What is painted is worked out as CSS says: cascade, inheritance,
layers that let through. Text on pictures and gradients is not judged: nobody knows what is behind
it. Checked against Chromium's own colours by tests/browser/test_colour.py.

Hot path: 4 ms a scheme for a mail of 45 kB (`make bench` checks sixteen of them).
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

import lxml.etree
from cssselect import SelectorError
from cssselect import parse as parse_selector
from PIL.ImageColor import colormap

from newsletter.checks.places import line_of, opening
from newsletter.checks.styles import declarations, matching, sheet, split, style_sheets

Scheme = Literal["light", "dark"]
NORMAL, LARGE = 4.5, 3.0  #: ratios that WCAG 2.2 AA asks of text, and of large text
LARGE_SIZE, LARGE_BOLD_SIZE = 24.0, 14 * 4 / 3  #: pixels: 18 points, and 14 points when bold
WIDTH = 600  #: pixels of the screen that media queries are asked for


class Colour(NamedTuple):
    """Red, green and blue from 0 to 255, and how much of it covers, from 0 to 1."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    def over(self, behind: Colour) -> Colour:
        """This colour painted over an opaque one."""
        share = self.alpha
        if share == 1:
            return self
        return Colour(
            *(
                mine * share + theirs * (1 - share)
                for mine, theirs in zip(self[:3], behind[:3], strict=True)
            )
        )

    def __str__(self) -> str:
        return "#" + "".join(f"{min(255, max(0, round(part))):02x}" for part in self[:3])


@dataclass(frozen=True, slots=True)
class Contrast:
    """A colour of text on what is behind it, at the first place where they meet."""

    ratio: float  #: from 1 to 21
    needed: float  #: 4.5, or 3 for large text
    foreground: str  #: as #rrggbb, as it is seen
    background: str
    text: str  #: the beginning of what stands there
    where: str  #: the element
    line: int  #: in the HTML, from 1
    times: int  #: places where the two meet


@dataclass(frozen=True, slots=True)
class Painted:
    """A piece of text as it is seen."""

    element: lxml.etree._Element
    text: str
    foreground: Colour
    background: Colour
    size: float  #: in pixels
    bold: bool

    @property
    def needed(self) -> float:
        large = self.size >= LARGE_SIZE or (self.bold and self.size >= LARGE_BOLD_SIZE - 0.01)
        return LARGE if large else NORMAL


def contrasts(
    document: lxml.etree._ElementTree, scheme: Scheme, *, everything: bool = False
) -> list[Contrast]:
    """Pairs of colours that are too close, in document order; with `everything` the others, too.

    `scheme` is what the reader prefers: with "dark" the rules under `prefers-color-scheme: dark`
    hold. Each pair is listed once for normal and once for large text.
    """
    found: dict[tuple[str, str, float], Contrast] = {}
    for one in painted(document, scheme):
        fore, back, value = _met(one.foreground, one.background)
        key = (fore, back, one.needed)
        if known := found.get(key):
            found[key] = replace(known, times=known.times + 1)
            continue
        if everything or value < one.needed:
            place = opening(one.element)
            found[key] = Contrast(
                *(round(value, 2), one.needed, fore, back, one.text[:60], place),
                line=line_of(one.element),
                times=1,
            )
    return list(found.values())


@lru_cache(maxsize=1024)  # few pairs, many words
def _met(fore: Colour, back: Colour) -> tuple[str, str, float]:
    return str(fore), str(back), ratio(fore, back)


def ratio(one: Colour, other: Colour) -> float:
    """The contrast of two opaque colours, from 1 to 21 (WCAG 2.2, "contrast ratio")."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: Colour) -> float:
    """Relative luminance of an opaque colour, from 0 to 1 (WCAG 2.2)."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (min(255.0, max(0.0, one)) / 255 for one in colour[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# ---- Painting ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _State:
    """What an element hands down. None for a colour: nobody here can know it."""

    colour: Colour | None
    behind: Colour | None
    size: float
    weight: int
    visible: bool
    through: tuple[tuple[float, Colour | None], ...]  #: opacities around, outermost first


_UNSEEN = frozenset(
    {
        *(
            "head",
            "style",
            "script",
            "title",
            "template",
            "noscript",
            "textarea",
            "select",
            "option",
        ),
        *("svg", "video", "audio", "object", "iframe", "canvas", "math"),
    }
)
_SIZES = {
    "h1": 2.0,
    "h2": 1.5,
    "h3": 1.17,
    "h4": 1.0,
    "h5": 0.83,
    "h6": 0.67,
    "small": 5 / 6,
    "sub": 5 / 6,
    "sup": 5 / 6,
    "big": 1.2,
}
_BOLD = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "b", "strong", "th"})
_KEYWORD_SIZES = {
    "xx-small": 9,
    "x-small": 10,
    "small": 13,
    "medium": 16,
    "large": 18,
    "x-large": 24,
    "xx-large": 32,
    "xxx-large": 48,
}
_UNITS = {
    "px": 1.0,
    "pt": 4 / 3,
    "pc": 16.0,
    "in": 96.0,
    "cm": 96 / 2.54,
    "mm": 9.6 / 2.54,
    "q": 96 / 101.6,
}
_LIGHT = (Colour(255, 255, 255), Colour(0, 0, 0), Colour(0, 0, 238))
_DARK = (Colour(18, 18, 18), Colour(255, 255, 255), Colour(158, 158, 255))  # as Chromium has them


def painted(document: lxml.etree._ElementTree, scheme: Scheme) -> Iterator[Painted]:
    """Every piece of text that is seen, with its colours, in document order.

    Text whose colour or ground can't be known is left out, as is what has neither letter nor digit.
    """
    styles = _Styles(document, scheme)
    canvas, ink, link = _DARK if styles.dark else _LIGHT
    states: list[_State | None] = [
        _State(ink, canvas, size=16.0, weight=400, visible=True, through=())
    ]
    # Pieces of text come at the events: an element's own at its start, its tail at its end.
    for event, node in lxml.etree.iterwalk(document, events=("start", "end", "comment", "pi")):
        if not isinstance(node.tag, str):
            yield from _piece(node.getparent(), node.tail, states[-1])
        elif event == "start":
            parent = states[-1]
            states.append(None if parent is None else styles.state(node, parent, link))
            yield from _piece(node, node.text, states[-1])
        else:
            states.pop()
            yield from _piece(node.getparent(), node.tail, states[-1])


def _piece(
    element: lxml.etree._Element | None, text: str | None, state: _State | None
) -> Iterator[Painted]:
    """A piece of text as it is seen in this state; nothing when it is not seen, or unknown."""
    if element is None or not text or state is None or not state.visible or state.size < 1:
        return
    if state.colour is None or state.behind is None or not any(map(str.isalnum, text)):
        return
    fore, back = state.colour.over(state.behind), state.behind
    for share, around in reversed(state.through):
        if around is None:
            return
        fore = Colour(*fore[:3], share).over(around)
        back = Colour(*back[:3], share).over(around)
    yield Painted(element, " ".join(text.split()), fore, back, state.size, state.weight >= 700)


# ---- Cascade -------------------------------------------------------------------------------------

_ASKED = frozenset(
    {
        *("color", "background", "background-color", "background-image", "display", "visibility"),
        *("opacity", "font-size", "font-weight", "font", "max-height", "overflow"),
    }
)
_INHERITED = ("inherit", "unset")
#: Importance, in a style attribute, specificity, order: the greatest wins (CSS Cascade 4 §6).
_Rank = tuple[bool, bool, tuple[int, int, int], int]
_Values = dict[str, list[tuple[_Rank, str]]]


class _Styles:
    """The style sheets of a document that hold for a reader, and what they say of each element."""

    def __init__(self, document: lxml.etree._ElementTree, scheme: Scheme) -> None:
        self.scheme = scheme
        self.said: dict[lxml.etree._Element, _Values] = {}
        self.dark = False
        schemes = [
            (one.get("content") or "").lower()
            for one in document.iter("meta")
            if (one.get("name") or "").lower() == "color-scheme"
        ]
        order = 0
        for style, text in style_sheets(document):
            if not holds((style.get("media") or "").strip(), scheme):
                continue
            for rule in sheet(text).rules:
                asked = [one for one in rule.declarations if one.name in _ASKED]
                of_root = [one for one in rule.declarations if one.name == "color-scheme"]
                if rule.nested or not (asked or of_root):
                    continue
                if not all(_condition(one, scheme) for one in rule.conditions):
                    continue
                for selector in rule.selectors:
                    weight = _specificity(selector)
                    if weight is None:
                        continue
                    for element in matching(document, selector):
                        if of_root and element.tag == "html":
                            schemes = [of_root[-1].value.lower()]
                        values = self.said.setdefault(element, {})
                        for one in asked:
                            order += 1
                            rank = (one.important, False, weight, order)
                            values.setdefault(one.name, []).append((rank, one.value))
        if scheme == "dark" and schemes:
            self.dark = "dark" in schemes[-1].split()

    def state(self, element: lxml.etree._Element, parent: _State, link: Colour) -> _State | None:
        """What an element is painted with; None when nothing of it is seen."""
        tag = element.tag
        if tag in _UNSEEN or element.get("hidden") is not None:
            return None
        style, rules = element.get("style"), self.said.get(element)
        if style is None and rules is None and len(element.attrib) == 0 and tag in _INLINE:
            return parent
        values = _ordered(style or "", rules)
        if "none" in values.get("display", ())[:1]:
            return None
        cut = values.get("overflow", ("visible",))[0] == "hidden"
        if cut and values.get("max-height", ("none",))[0] in ("0", "0px"):
            return None
        colour = self._colour(element, values, parent, link)
        visible = parent.visible
        for value in values.get("visibility", ())[:1]:
            visible = value == "visible" or (value in _INHERITED and parent.visible)
        through = parent.through
        for value in values.get("opacity", ())[:1]:
            share = _share(value)
            if share == 0:
                return None
            if share is not None and share < 1:
                through = (*through, (share, parent.behind))
        return _State(
            colour,
            self._behind(element, values, parent, colour),
            _size(str(tag), values, parent.size),
            _weight(str(tag), values, parent.weight),
            visible,
            through,
        )

    def _colour(
        self,
        element: lxml.etree._Element,
        values: Mapping[str, tuple[str, ...]],
        parent: _State,
        link: Colour,
    ) -> Colour | None:
        for value in values.get("color", ()):
            if value in (*_INHERITED, "currentcolor"):
                return parent.colour
            known, colour = parse_colour(value, self.scheme)
            if known:
                return colour
        named = {"font": "color", "body": "text"}.get(str(element.tag))
        if named and (said := element.get(named)):
            known, colour = parse_colour(_old(said), self.scheme)
            if known:
                return colour
        if element.tag == "a" and element.get("href") is not None:
            body = next(element.iterancestors("body"), None)
            said = None if body is None else body.get("link")
            known, colour = parse_colour(_old(said or ""), self.scheme)
            return colour if known else link
        return parent.colour

    def _behind(
        self,
        element: lxml.etree._Element,
        values: Mapping[str, tuple[str, ...]],
        parent: _State,
        own: Colour | None,
    ) -> Colour | None:
        """What is behind an element's text; None with a picture or a gradient there."""
        behind = parent.behind
        colour: Colour | None = None
        known = False
        for value in values.get("background-color", ()):
            if value in ("inherit", "currentcolor"):
                known, colour = value == "currentcolor", own
            else:
                known, colour = parse_colour(value, self.scheme)
            if known:
                break
        if not known and (said := element.get("bgcolor")):
            known, colour = parse_colour(_old(said), self.scheme)
        picture = values.get("background-image", ("none",))[0]
        if (element.get("background") and "background-image" not in values) or (
            picture not in ("none", "initial", "unset", "inherit")
        ):
            return None
        if not known:
            return behind
        if colour is None or (behind is None and colour.alpha < 1):
            return None
        return colour if behind is None else colour.over(behind)


#: Elements that change nothing of themselves when nothing is said about them.
_INLINE = frozenset(
    {"div", "p", "span", "td", "tr", "table", "tbody", "br", "li", "ul", "ol", "i", "em"}
)


def _ordered(style: str, rules: _Values | None) -> dict[str, tuple[str, ...]]:
    """Values of each property, the winning one first; shorthands are taken apart."""
    if rules is None:
        return _inline(style)
    values = {name: list(found) for name, found in rules.items()}
    for name, rank, value in _inline_ranked(style):
        values.setdefault(name, []).append((rank, value))
    return _expanded(values)


@lru_cache(maxsize=4096)  # few styles, many elements
def _inline(style: str) -> dict[str, tuple[str, ...]]:
    values: _Values = {}
    for name, rank, value in _inline_ranked(style):
        values.setdefault(name, []).append((rank, value))
    return _expanded(values)


@lru_cache(maxsize=4096)
def _inline_ranked(style: str) -> tuple[tuple[str, _Rank, str], ...]:
    return tuple(
        (one.name, (one.important, True, (0, 0, 0), position), one.value)
        for position, one in enumerate(declarations(style))
        if one.name in _ASKED
    )


def _expanded(values: _Values) -> dict[str, tuple[str, ...]]:
    ranked = {name: list(found) for name, found in values.items()}
    for rank, value in ranked.pop("background", []):
        colour, picture = _background(value)
        ranked.setdefault("background-color", []).append((rank, colour))
        ranked.setdefault("background-image", []).append((rank, picture))
    for rank, value in ranked.pop("font", []):
        for name, part in _font(value):
            ranked.setdefault(name, []).append((rank, part))
    return {
        name: tuple(
            value.lower() for _, value in sorted(found, key=lambda one: one[0], reverse=True)
        )
        for name, found in ranked.items()
    }


@lru_cache(maxsize=1024)
def _background(value: str) -> tuple[str, str]:
    """(colour, picture) of a `background`."""
    if re.search(r"url\(|gradient\(|image-set\(|image\(", value, re.IGNORECASE):
        return "transparent", "picture"
    words = split(value, " ")
    for word in words:
        if parse_colour(word, "light")[0] or word.lower() in ("inherit", "currentcolor"):
            return word, "none"
    valid = len(words) == 1 and words[0].lower() in ("none", "initial", "unset")
    return ("transparent" if valid else ""), "none"


_FONT_SIZE = re.compile(
    r"(?<![\w.])(\d*\.?\d+(?:px|pt|em|rem|%)|(?:xx?-)?(?:small|large)|medium|smaller|larger)\b",
    re.IGNORECASE,
)


def _font(value: str) -> Iterator[tuple[str, str]]:
    """The size and the weight of a `font`."""
    size = _FONT_SIZE.search(value)
    if size:
        weight = re.search(r"\b(bold|bolder|lighter|[1-9]00)\b", value[: size.start()].lower())
        yield "font-size", size[1]
        yield "font-weight", weight[1] if weight else "normal"


def _size(tag: str, values: Mapping[str, tuple[str, ...]], around: float) -> float:
    """The size of text in pixels."""
    for value in values.get("font-size", ()):
        lowered = value.strip()
        if lowered in _INHERITED:
            return around
        if lowered in _KEYWORD_SIZES:
            return float(_KEYWORD_SIZES[lowered])
        if lowered in ("smaller", "larger"):
            return around * (5 / 6 if lowered == "smaller" else 1.2)
        found = re.fullmatch(r"(\d*\.?\d+)(%|[a-z]*)", lowered)
        if not found:
            continue
        number, unit = float(found[1]), found[2]
        if unit in ("em", "%"):
            return around * (number if unit == "em" else number / 100)
        if unit == "rem":
            return number * 16
        if unit in _UNITS or number == 0:
            return number * _UNITS.get(unit, 0.0)
    return around * _SIZES.get(tag, 1.0)


def _weight(tag: str, values: Mapping[str, tuple[str, ...]], around: int) -> int:
    for value in values.get("font-weight", ()):
        lowered = value.strip()
        if lowered in _INHERITED:
            return around
        known = {"normal": 400, "bold": 700, "lighter": 400 if around > 500 else 100}
        if lowered == "bolder":
            return 700 if around < 600 else 900
        if lowered in known:
            return known[lowered]
        if lowered.isdecimal():
            return int(lowered)
    return max(700, around) if tag in _BOLD else around


def _share(value: str) -> float | None:
    found = re.fullmatch(r"(\d*\.?\d+)(%?)", value.strip())
    if not found:
        return None
    return min(1.0, float(found[1]) / (100 if found[2] else 1))


@lru_cache(maxsize=1024)
def _specificity(selector: str) -> tuple[int, int, int] | None:
    """How much a selector weighs; None for pseudo-elements, and for what can't be read."""
    try:
        (one,) = parse_selector(selector)
    except (SelectorError, ValueError, RecursionError):
        return None
    return None if one.pseudo_element else one.specificity()


# ---- Conditions ----------------------------------------------------------------------------------


def _condition(condition: str, scheme: Scheme) -> bool:
    name, _, prelude = condition.partition(" ")
    if name == "media":
        return holds(prelude, scheme)
    if name == "supports":
        return not prelude.lower().startswith("not")
    return name == "layer"


@lru_cache(maxsize=256)
def holds(query: str, scheme: Scheme, width: int = WIDTH) -> bool:
    """Whether a media query list holds for a screen of that width in pixels. Of what is asked there,
    width and colour scheme are known; nothing else holds."""
    return not query or any(_query(one, scheme, width) for one in split(query.lower(), ","))


def _query(query: str, scheme: Scheme, width: int) -> bool:
    negated = query.startswith("not ")
    parts = re.split(r"\s+and\s+", re.sub(r"^(?:not|only)\s+", "", query))
    true = all(
        any(_feature(one, scheme, width) for one in re.split(r"\s+or\s+", part)) for part in parts
    )
    return true != negated


def _feature(part: str, scheme: Scheme, width: int) -> bool:
    if part in ("all", "screen"):
        return True
    inner = part.strip().strip("()").strip()
    name, _, value = (piece.strip() for piece in inner.partition(":"))
    if name == "prefers-color-scheme":
        return value in (scheme, "")
    bound = re.fullmatch(r"(min|max)-(?:device-)?width", name)
    if bound:
        return _pixels(value) <= width if bound[1] == "min" else width <= _pixels(value)
    ranged = re.fullmatch(r"(?:(\S+?)\s*(<=?)\s*)?width\s*(?:(<=?|>=?|=)\s*(\S+))?", inner)
    if not ranged or not (ranged[2] or ranged[3]):
        return inner == "width"
    low = not ranged[2] or _compare(_pixels(ranged[1]), ranged[2], width)
    return low and (not ranged[3] or _compare(width, ranged[3], _pixels(ranged[4])))


def _compare(left: float, sign: str, right: float) -> bool:
    equal = "=" in sign and left == right
    return equal or (left < right if "<" in sign else left > right if ">" in sign else False)


def _pixels(value: str) -> float:
    found = re.fullmatch(r"(\d*\.?\d+)(px|em|rem|pt|)", value)
    if not found:
        return float("nan")
    return float(found[1]) * {"em": 16.0, "rem": 16.0, "pt": 4 / 3}.get(found[2], 1.0)


# ---- Colours -------------------------------------------------------------------------------------

_CALL = re.compile(r"([a-z-]+)\((.*)\)", re.DOTALL)
#: Functions that make a colour which is not worked out here.
_OTHERS = frozenset(
    {"lab", "lch", "oklab", "oklch", "color", "color-mix", "hwb", "var", "device-cmyk"}
)


def _old(value: str) -> str:
    """A colour of an HTML attribute, which may stand without its #."""
    plain = value.strip()
    return f"#{plain}" if re.fullmatch(r"[0-9a-fA-F]{6}", plain) else plain


@lru_cache(maxsize=1024)
def parse_colour(value: str, scheme: Scheme) -> tuple[bool, Colour | None]:
    """(whether CSS takes it for a colour, the colour if it is one that can be worked out here)."""
    text = value.strip().lower()
    if text == "transparent":
        return True, Colour(0, 0, 0, 0.0)
    if text in colormap:
        named = colormap[text]
        return parse_colour(named, scheme) if isinstance(named, str) else (True, Colour(*named))
    if re.fullmatch(r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", text):
        digits = text[1:] if len(text) > 5 else "".join(one * 2 for one in text[1:])
        red, green, blue, *alpha = (int(digits[at : at + 2], 16) for at in range(0, len(digits), 2))
        return True, Colour(red, green, blue, alpha[0] / 255 if alpha else 1.0)
    call = _CALL.fullmatch(text)
    if not call:
        return False, None
    name, inside = call[1], call[2]
    if name == "light-dark":
        both = split(inside, ",")
        return parse_colour(both[scheme == "dark"], scheme) if len(both) == 2 else (False, None)
    if name in ("rgb", "rgba", "hsl", "hsla"):
        colour = _from_numbers(name, [one for one in re.split(r"[\s,/]+", inside.strip()) if one])
        return colour is not None, colour
    return name in _OTHERS, None


def _from_numbers(name: str, parts: list[str]) -> Colour | None:
    if len(parts) not in (3, 4):
        return None
    numbers = [re.fullmatch(r"([+-]?\d*\.?\d+)(%|deg|)", one) for one in parts]
    if not all(numbers):
        return None
    said = [(float(one[1]), one[2]) for one in numbers if one]
    alpha = 1.0
    if len(said) == 4:
        alpha = min(1.0, max(0.0, said[3][0] / (100 if said[3][1] == "%" else 1)))
    if name.startswith("rgb"):
        red, green, blue = (
            min(255.0, max(0.0, number * 255 / 100 if unit == "%" else number))
            for number, unit in said[:3]
        )
    else:
        (hue, _), (full, _), (light, _) = said[:3]
        bound = [min(1.0, max(0.0, one / 100)) for one in (full, light)]
        mixed = colorsys.hls_to_rgb(hue % 360 / 360, bound[1], bound[0])
        red, green, blue = (255 * one for one in mixed)
    return Colour(red, green, blue, alpha)
