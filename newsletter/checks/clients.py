"""What a mail uses that Outlook, Gmail or Apple Mail don't show: facts from clients.json, judgement here.

The facts are those of caniemail.com; docs/clients.py fetches and reduces them. A mail that is well
made uses much that some client drops, and is whole without it: `HARMLESS` says which loss does no
harm, when, and why. What stands under a condition (a media query, dark mode, a hook for one client)
adds to a mail that must be whole without it, and is not asked. Knows nothing of findings.

Hot path: 4 ms for a mail of 45 kB whose style sheets were seen before (`make bench` checks sixteen of them).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from importlib import resources
from typing import Any, NamedTuple

import lxml.etree

from newsletter.checks.places import line_of, opening
from newsletter.checks.styles import (
    AtRule,
    Declaration,
    Rule,
    declarations,
    matching,
    sheet,
    style_sheets,
)

OUTLOOK = "outlook-windows"
_GMAIL = frozenset({"gmail-web", "gmail-ios", "gmail-android", "gmail-basic"})
_APPLE = frozenset({"apple-macos", "apple-ios"})
GMAIL_STYLE_BYTES = 16_384  #: of one <style>; Gmail drops what is larger


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A feature that a mail uses and clients lose, with the first place where it stands."""

    feature: str  #: slug of caniemail.com, whose page is at /features/<slug>/ there
    title: str
    where: str  #: what stands there: "display: flex in <div class=…>"
    clients: tuple[str, ...]  #: those that drop it, as keys of `clients()`
    partial: tuple[str, ...]  #: those that show a part of it, or show it otherwise
    notes: tuple[str, ...]  #: what the tests of these clients found, in English
    line: int | None  #: in the HTML, from 1
    times: int  #: places where it stands
    harmless: str = ""  #: why the loss does no harm; empty when it does


class Use(NamedTuple):
    """One use of a feature, as the table below judges it."""

    name: str  #: of the property, attribute or element
    value: str  #: lower-case
    tag: str
    element: lxml.etree._Element | None
    block: Mapping[str, str]  #: all declarations beside it: name → value
    fallback: bool  #: the same property stands before it in the same place
    inline: bool  #: in a style attribute


Test = Callable[[Use], bool]


# ---- What does no harm when it is missing --------------------------------------------------------


def _has(use: Use, *names: str) -> bool:
    return use.element is not None and any(use.element.get(name) for name in names)


def _number(value: str) -> float:
    found = re.search(r"-?\d*\.?\d+", value)
    return float(found[0]) if found else 0.0


def _cell(use: Use) -> bool:
    return use.tag in ("td", "th")


def _ghost(use: Use) -> bool:
    """A table that only Outlook sees stands around it: `<!--[if mso]><table …><![endif]-->`."""
    before = use.element.getprevious() if use.element is not None else None
    return isinstance(before, lxml.etree._Comment) and "[if mso" in (before.text or "")


def _hidden(use: Use) -> bool:
    """Hidden in more ways than one, as a preheader is: where display is not heeded, by its size."""
    said = use.block
    if said.get("display") != "none" or use.element is None:
        return False
    small = any(_number(said.get(name, "1")) == 0 for name in ("max-height", "height", "font-size"))
    # Outlook heeds display, but not for pictures, and not for tables inside.
    outlook = use.tag != "img" and next(use.element.iter("table", "img"), None) is None
    return small and (outlook or said.get("mso-hide") == "all")


def _own_background(use: Use) -> bool:
    return any(name.startswith("background") for name in use.block) or _has(use, "bgcolor")


def _plain_colours(use: Use) -> bool:
    return not re.search(r"url\(|gradient\(|image-set\(", use.value)


def _coloured(use: Use) -> bool:
    """A colour, or a gradient over one; a picture is more than its colour."""
    if _plain_colours(use):
        return True
    colour = use.fallback or "background-color" in use.block or _has(use, "bgcolor")
    return colour and "url(" not in use.value and "image-set(" not in use.value


def _vml(use: Use) -> bool:
    """The document has Outlook's own drawing of a background (VML)."""
    if use.element is None:
        return False
    return _draws(use.element.getroottree())


def _draws(document: lxml.etree._ElementTree) -> bool:
    return any("<v:fill" in (one.text or "") for one in document.iter(lxml.etree.Comment))


def _value(*values: str) -> Test:
    return lambda use: use.value in values


def _not(test: Test) -> Test:
    return lambda use: not test(use)


def _any(*tests: Test) -> Test:
    return lambda use: any(test(use) for test in tests)


def _visible(use: Use) -> bool:
    return use.block.get("visibility") != "hidden" and use.block.get("opacity") not in ("0", "0.0")


def _sized_by_parent(use: Use) -> bool:
    """Width of a block that is as wide as what it stands in, or said again as an attribute."""
    return (
        use.value in ("100%", "auto")
        or use.tag not in ("body", "span", "div", "p", "img")
        or _has(use, "width")
        or _ghost(use)
    )


def _bounded(use: Use) -> bool:
    return (
        use.tag == "table"
        or use.value in ("none", "100%")
        or _has(use, "width")
        or use.block.get("width", "").endswith("px")
        or _ghost(use)
    )


def _height_elsewhere(use: Use) -> bool:
    return (
        use.tag not in ("body", "span", "div", "p")
        or use.value in ("auto", "0", "0px", "100%")
        or "line-height" in use.block
        or _has(use, "height")
    )


def _padding_elsewhere(use: Use) -> bool:
    """Nothing is asked for, or Outlook's own property says it, here or in the cell around."""
    parent = use.element.getparent() if use.element is not None else None
    around = "" if parent is None else parent.get("style") or ""
    return (
        not re.search("[1-9]", use.value)
        or "mso-padding-alt" in use.block
        or "mso-padding-alt" in around
    )


def _next_font(use: Use) -> bool:
    return use.name.startswith("font") and bool(
        set(re.split(r"\s*,\s*", re.sub(r"[\"']", "", use.value)))
        - {"system-ui", "ui-serif", "ui-sans-serif", "ui-rounded", "ui-monospace", "-apple-system"}
    )


def _fallback(use: Use) -> bool:
    return use.fallback


def _thin(use: Use) -> bool:
    return max([0.0, *map(float, re.findall(r"([\d.]+)px", use.value))]) <= 8


def _commas(use: Use) -> bool:
    """Colours as CSS 2 and 3 write them: `rgb(0, 0, 0)`."""
    found = re.findall(r"\brgba?\(([^)]*)\)", use.value)
    return all("/" not in one and one.count(",") >= 2 for one in found)


def _words_stay(use: Use) -> bool:
    return use.tag not in ("details", "summary") and not _has(use, "style")


def _empty_offsets(use: Use) -> bool:
    return use.value in ("static", "relative") and not (
        {"left", "right", "top", "bottom", "inset"} & set(use.block)
    )


_EXTRA = "it is an addition: the mail is read the same without it"
_SAID_BY_IMAGE = "the background image is reported itself"
_SAID_BY_POSITION = "the position is reported itself"
_FALLBACK = "the same property stands before it with a value that every client knows"

#: slug → (why the loss does no harm, when that holds; None: always). Every line was looked at.
HARMLESS: dict[str, tuple[str, Test | None]] = {
    # conditions and states
    "css-at-media": ("it says how a mail is on some screens; it is whole without", None),
    "css-at-media-device-pixel-ratio": ("a condition: the mail is whole without", None),
    "css-at-media-hover": ("a condition: the mail is whole without", None),
    "css-at-media-orientation": ("a condition: the mail is whole without", None),
    "css-at-media-prefers-color-scheme": ("without it the mail is light, and whole", None),
    "css-at-media-prefers-reduced-motion": ("a condition: the mail is whole without", None),
    "css-at-supports": ("a condition: the mail is whole without", None),
    "css-at-keyframes": ("what would move stands still", None),
    "css-animation": ("what would move stands still", _visible),
    "css-transition": ("what would move stands still", None),
    "css-color-scheme": ("without it the mail is light, and whole", None),
    "html-meta-color-scheme": ("without it the mail is light, and whole", None),
    "css-comments": ("a comment says nothing to readers", None),
    # decoration
    "css-border-radius": ("corners are square", None),
    "css-border-radius-logical": ("corners are square", None),
    "css-box-shadow": ("a shadow is decoration", None),
    "css-text-shadow": ("a shadow is decoration", None),
    "css-border": ("a hairline may be missing; no words are", _thin),
    "css-border-spacing": ("cells stand closer", None),
    "css-outline": ("a line around what has the focus", None),
    "css-outline-offset": ("a line around what has the focus", None),
    "css-cursor": ("the pointer keeps its shape", None),
    "css-accent-color": ("a control keeps its colour", None),
    "css-backdrop-filter": (_EXTRA, None),
    "css-filter": ("the picture is shown as it is", None),
    "css-text-decoration": ("a link looks as the client's own", _not(_value("overline"))),
    "css-text-decoration-color": ("the line takes the text's colour", None),
    "css-text-decoration-line": (_EXTRA, None),
    "css-text-decoration-skip-ink": (_EXTRA, None),
    "css-text-decoration-style": (_EXTRA, None),
    "css-text-decoration-thickness": (_EXTRA, None),
    "css-text-underline-offset": (_EXTRA, None),
    "css-text-underline-position": (_EXTRA, None),
    "css-text-emphasis": (_EXTRA, None),
    "css-text-emphasis-position": (_EXTRA, None),
    "css-user-select": (_EXTRA, None),
    "css-resize": (_EXTRA, None),
    "css-tab-size": (_EXTRA, None),
    "css-scroll-snap": (_EXTRA, None),
    # setting of text
    "css-font-weight": ("numbers become normal or bold", None),
    "css-font-size": ("the unit rem is reported itself", None),
    "css-font-kerning": ("letters stand a little otherwise", None),
    "css-font-size-adjust": ("the font keeps its size", None),
    "css-font-stretch": ("the font keeps its width", None),
    "css-letter-spacing": (
        "letters stand a little otherwise",
        _not(lambda u: "-" in u.value and _number(u.value.lstrip("-")) > 1),
    ),
    "css-word-spacing": ("words stand a little otherwise", None),
    "css-line-height": ("lines stand a little otherwise", None),
    "css-hyphens": ("words are not divided", None),
    "css-hyphenate-character": ("words are not divided", None),
    "css-hyphenate-limit-chars": ("words are divided otherwise", None),
    "css-orphans": (_EXTRA, None),
    "css-widows": (_EXTRA, None),
    "css-overflow-wrap": ("a word longer than a line may stand out", None),
    "css-word-wrap": ("a word longer than a line may stand out", None),
    "css-word-break": ("lines break at other places", None),
    "css-text-wrap": ("lines break at other places", None),
    "css-text-overflow": ("what would be cut is shown", None),
    "css-text-justify": ("lines are set otherwise", None),
    "css-text-align-last": ("lines are set otherwise", None),
    "css-text-transform": ("letters stay as they are written", None),
    "css-text-indent": ("the first line stands otherwise", _not(lambda u: "-" in u.value)),
    "css-text-align": ("lines are set otherwise", _not(_value("start", "end", "match-parent"))),
    "css-direction": ("direction comes from the text where the client decides", None),
    "css-white-space": ("lines break where they can", _value("nowrap", "normal")),
    "css-white-space-collapse": (_EXTRA, None),
    "css-list-style": ("an own bullet becomes the usual one", _plain_colours),
    "css-list-style-image": ("an own bullet becomes the usual one", None),
    "css-list-style-position": ("bullets stand otherwise", None),
    "css-sytem-ui": ("the next font of the list is taken", _next_font),
    # boxes
    "css-box-sizing": ("a box is as wide as its padding more", None),
    "css-display": (
        "boxes stand one below the other, as on a phone; flex, grid and none are reported themselves",
        _value(
            *("block", "inline", "inline-block", "none", "flex", "grid", "inline-flex"),
            *("inline-grid", "table", "inline-table", "table-cell", "table-row", "list-item"),
        ),
    ),
    "css-display-none": ("it is hidden by its size and by mso-hide as well", _hidden),
    "css-overflow": (
        "what would be cut is shown; no text is lost",
        _any(_hidden, _value("hidden", "visible", "clip")),
    ),
    "css-margin": (
        "a block stands a little otherwise",
        _not(lambda u: bool(re.search(r"(?<![\w])-\.?\d", u.value))),
    ),
    "css-padding": (
        "Outlook sets lines closer where the padding is no cell's; words and colours stay",
        lambda u: _cell(u) or not _own_background(u) or _padding_elsewhere(u),
    ),
    "css-width": ("a block is as wide as what it stands in", _sized_by_parent),
    "css-height": ("a block is as high as what stands in it", _height_elsewhere),
    "css-max-width": ("the width is said in another way too", _any(_bounded, _hidden)),
    "css-max-height": ("what would be cut is shown", _any(_hidden, _value("none"))),
    "css-min-width": ("a box is as wide as what stands in it", None),
    "css-min-height": ("a box is as high as what stands in it", None),
    "css-opacity": ("it is hidden in other ways too", _hidden),
    "css-visibility": ("it is hidden in other ways too", _hidden),
    "css-table-layout": ("columns are as wide as what stands in them", None),
    "css-empty-cells": (_EXTRA, None),
    "css-caption-side": ("the caption stands on the other side", None),
    "css-clear": ("float is reported itself", None),
    "css-float": ("the align attribute says the same", lambda u: _has(u, "align")),
    "css-position": ("it moves nothing", _empty_offsets),
    "css-left-right-top-bottom": (_SAID_BY_POSITION, None),
    "css-inset": (_SAID_BY_POSITION, None),
    "css-z-index": (_SAID_BY_POSITION, None),
    # backgrounds
    "css-background": ("its colour is shown everywhere", _any(_coloured, _vml)),
    "css-background-image": (
        "its colour is shown, or Outlook has its own drawing (VML)",
        _any(_value("none"), _coloured, _vml),
    ),
    "html-background": ("Outlook has its own drawing (VML)", _vml),
    "css-background-blend-mode": (_SAID_BY_IMAGE, None),
    "css-background-clip": (_SAID_BY_IMAGE, None),
    "css-background-origin": (_SAID_BY_IMAGE, None),
    "css-background-position": (_SAID_BY_IMAGE, None),
    "css-background-repeat": (_SAID_BY_IMAGE, None),
    "css-background-size": (_SAID_BY_IMAGE, None),
    # values
    "css-rgb": ("every client knows this form", _commas),
    "css-rgba": (_FALLBACK, lambda u: u.fallback and _commas(u)),
    "css-modern-color": (_FALLBACK, lambda u: u.fallback and not u.inline),
    "css-conic-gradient": (_FALLBACK, _fallback),
    "css-linear-gradient": (_FALLBACK, _any(_fallback, _vml)),
    "css-radial-gradient": (_FALLBACK, _any(_fallback, _vml)),
    "css-function-clamp": (_FALLBACK, _fallback),
    "css-function-light-dark": (_FALLBACK, _fallback),
    "css-function-max": (_FALLBACK, _fallback),
    "css-function-min": (_FALLBACK, _fallback),
    "css-intrinsic-size": (_FALLBACK, _fallback),
    "css-unit-calc": (_FALLBACK, _fallback),
    "css-unit-ch": (_FALLBACK, _fallback),
    "css-unit-initial": (_FALLBACK, _fallback),
    "css-unit-rem": (_FALLBACK, _fallback),
    "css-unit-vh": (_FALLBACK, _fallback),
    "css-unit-vmax": (_FALLBACK, _fallback),
    "css-unit-vmin": (_FALLBACK, _fallback),
    "css-unit-vw": (_FALLBACK, _fallback),
    "css-variables": (_FALLBACK, lambda u: u.fallback and "var(" in u.value),
    "css-important": ("style sheets may say it in small letters", _not(lambda u: u.inline)),
    # elements and attributes
    "html-abbr": ("the words stay", None),
    "html-acronym": ("the words stay", None),
    "html-dfn": ("the words stay", None),
    "html-bdi": ("the words stay", None),
    "html-wbr": ("lines break at other places", None),
    "html-strike": ("the words stay", None),
    "html-body": ("its place is taken by a block", None),
    "html-dir": ("direction comes from the text where the client decides", None),
    "html-height": (
        "sizes don't grow with the screen's resolution",
        _not(lambda u: "%" in u.value),
    ),
    "html-width": (
        "sizes don't grow with the screen's resolution",
        lambda u: u.tag != "img" or "%" not in u.value,
    ),
    "html-lists": (
        "a list is a list; only counting backwards is lost",
        _not(lambda u: _has(u, "reversed")),
    ),
    "html-loading-attribute": ("the picture is loaded at once", None),
    "html-picture": (
        "the picture in it is shown",
        lambda u: u.element is not None and u.element.find(".//img") is not None,
    ),
    "html-srcset": (
        "the picture named by src is shown",
        lambda u: _has(u, "src") or u.tag == "source",
    ),
    "html-target": ("links open in a window of their own anyway", None),
    "html-semantics": ("the words stay, only what kind of part it is gets lost", _words_stay),
    "html-aria-live": ("a mail does not change", None),
    "html-aria-describedby": (_EXTRA, None),
    "html-required": ("the form is reported itself", None),
    "html-rp": ("ruby is reported itself", None),
    "html-rt": ("ruby is reported itself", None),
    "image-gif": ("a picture that moves may stand still at its first frame", None),
    "image-webp": (
        "Outlook takes the picture of another kind beside it",
        lambda u: u.tag == "source",
    ),
    "image-avif": (
        "a client takes the picture of another kind beside it",
        lambda u: u.tag == "source",
    ),
}
#: Notes of partial support that are about something else than what is looked for here.
_BESIDE_THE_POINT: dict[str, frozenset[str]] = {
    "css-overflow": frozenset({"1", "4"}),  # overflow-block and -inline; scrolling
    "css-float": frozenset({"2"}),  # inline-start
    "css-rgba": frozenset({"1", "2"}),  # without commas; css-rgb has it
    "html-svg": frozenset({"1"}),  # needs a background on the body
    "html-base": frozenset(),
}
_STATES = frozenset(
    {
        *(":hover", ":focus", ":focus-visible", ":focus-within", ":active", ":visited", ":link"),
        *(":target", ":checked", ":default"),
    }
)
#: What a rule for a state does when it shows words that are hidden otherwise.
_REVEALING = frozenset(
    {"display", "visibility", "opacity", "height", "max-height", "font-size", "width", "content"}
)
#: Declarations that nobody misses when a client drops <style>.
_DISPENSABLE = re.compile(
    r"-(?:webkit|ms|moz)-|mso-|\*|(?:(?:supported-)?color-scheme|user-select|cursor|border-radius"
    r"|box-shadow|text-shadow|transition|outline|hyphens|overflow-wrap|word-break)$"
)
#: Values that ask for what is there anyway, where a client does not know the property.
_INITIAL = frozenset({"none", "normal", "auto", "visible", "static", "inherit", "unset", "revert"})
_MEANT = frozenset(
    {"css-display", "css-display-none", "css-margin", "css-width", "css-height", "css-overflow"}
)
_STRING = re.compile(r"\"[^\"]*\"|'[^']*'")
_URL = re.compile(r"url\(\s*([\"']?)(.*?)\1\s*\)", re.IGNORECASE)
_UNIT = re.compile(r"(?<![\w#.-])[+-]?(?:\d+\.?\d*|\.\d+)(%|[a-z]+)")
_FUNCTION = re.compile(r"([a-z][a-z-]*)\(")
_WORD = re.compile(r"[a-z!-][a-z-]*")
_PSEUDO = re.compile(r"::?[a-zA-Z-]+")
_OLD_PSEUDO_ELEMENT = re.compile(r"(?<!:):(before|after|first-letter|first-line)\b")
_STATIC = re.compile(r"::?[a-zA-Z-]+(?:\([^()]*\))?")
_EXTENSION = re.compile(r"\.([a-z0-9]{2,5})$")
_SCREENS = frozenset({"", "all", "screen"})


# ---- The facts -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Feature:
    slug: str
    title: str
    support: Mapping[str, str]  #: client → "n" or "a", and numbers of notes
    notes: Mapping[str, str]

    def losers(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """(client, "n" or "a", numbers of notes) of those that lose it."""
        beside = _BESIDE_THE_POINT.get(self.slug, frozenset())
        for client, value in self.support.items():
            letter, *numbers = value.split()
            if letter == "n" or (letter == "a" and not (numbers and set(numbers) <= beside)):
                yield client, letter, tuple(numbers)


@dataclass(frozen=True, slots=True)
class _Facts:
    date: str
    clients: Mapping[str, str]
    by_slug: Mapping[str, _Feature]
    find: Mapping[str, Mapping[str, tuple[_Feature, ...]]] = field(repr=False)

    def of(self, kind: str, name: str) -> tuple[_Feature, ...]:
        return self.find[kind].get(name, ())


@cache
def _facts() -> _Facts:
    text = resources.files("newsletter.checks").joinpath("clients.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    find: dict[str, dict[str, tuple[_Feature, ...]]] = {
        kind: {}
        for kind in (
            *("property", "declaration", "word", "function", "unit", "at-rule", "media", "pseudo"),
            *("selector", "element", "attribute", "typed", "link", "meta", "image"),
        )
    }
    by_slug = {}
    for one in data["features"]:
        feature = _Feature(one["slug"], one["title"], one["support"], one["notes"])
        by_slug[feature.slug] = feature
        if not any(True for _ in feature.losers()):
            continue
        for kind, names in one["find"].items():
            for name in names:
                find[kind][name] = (*find[kind].get(name, ()), feature)
    return _Facts(data["date"], data["clients"], by_slug, find)


def clients() -> Mapping[str, str]:
    """Keys of the clients that are asked about, with what people call them."""
    return _facts().clients


def tested() -> str:
    """The date of the newest facts, as 2026-05-13."""
    return _facts().date


def client_names(keys: Iterable[str]) -> list[str]:
    """What people call these clients, in a fixed order; all of Gmail is "Gmail"."""
    wanted = set(keys)
    names = []
    for family, whole in ((_GMAIL, "Gmail"), (_APPLE, "Apple Mail")):
        if family <= wanted:
            names.append(whole)
            wanted -= family
    known = clients()
    return [*(known[key] for key in known if key in wanted), *names]


# ---- Looking -------------------------------------------------------------------------------------


def unsupported(document: lxml.etree._ElementTree, *, harmless: bool = False) -> list[Unsupported]:
    """What the mail uses and at least one client loses, in the order of first use.

    `document` is the finished mail: styles in attributes, <style> for what stands under conditions.
    What Outlook alone does not see (`<!--[if !mso]><!-->`) is not counted against Outlook. With
    `harmless` what does no harm is listed too, with its reason.
    """
    found = _Found(harmless=harmless)
    for element, to_outlook in _elements(document):
        _look_at(element, found, to_outlook=to_outlook)
    for style, text in style_sheets(document):
        _look_at_sheet(document, style, text, found)
    return found.result()


class _Found:
    """Collects uses by feature."""

    def __init__(self, *, harmless: bool) -> None:
        self.harmless = harmless
        self.first: dict[tuple[str, str], tuple[_Feature, str, int | None]] = {}
        self.losses: dict[tuple[str, str], dict[str, tuple[str, tuple[str, ...]]]] = {}
        self.times: dict[tuple[str, str], int] = {}

    def add(
        self,
        feature: _Feature,
        use: Use,
        where: Callable[[], str] | str,
        line: int | None,
        *,
        but: frozenset[str] = frozenset(),
    ) -> None:
        """Note a use. `but`: clients that don't lose this one, or never see it."""
        reason = _reason(feature.slug, use)
        if reason and not self.harmless:
            return
        spared = but | _spared(feature.slug, use)
        lost = {
            client: (letter, numbers)
            for client, letter, numbers in feature.losers()
            if client not in spared
        }
        if not lost:
            return
        key = (feature.slug, reason)
        if key not in self.first:
            self.first[key] = (feature, where if isinstance(where, str) else where(), line)
        self.losses.setdefault(key, {}).update(lost)
        self.times[key] = self.times.get(key, 0) + 1

    def add_rule(
        self,
        kind: str,
        mark: str,
        rule: Rule,
        element: lxml.etree._Element | None,
        line: int,
        *,
        but: frozenset[str] = frozenset(),
    ) -> None:
        """Note what the selectors of a rule use, or that it stands in a style sheet alone."""
        words = "; ".join(f"{one.name}: {one.value}" for one in rule.declarations)
        where = f"only a style sheet says {', '.join(rule.selectors)} {{ {words[:60]} }}"
        tag = "" if element is None else str(element.tag)
        use = Use("style", "", tag, element, {}, fallback=False, inline=False)
        for feature in _facts().of(kind, mark):
            self.add(feature, use, where, line, but=but)

    def result(self) -> list[Unsupported]:
        made = []
        for key, (feature, where, line) in self.first.items():
            lost = self.losses[key]
            order = [client for client in clients() if client in lost]
            numbers = dict.fromkeys(n for client in order for n in lost[client][1])
            made.append(
                Unsupported(
                    feature=feature.slug,
                    title=feature.title,
                    where=where,
                    clients=tuple(client for client in order if lost[client][0] == "n"),
                    partial=tuple(client for client in order if lost[client][0] == "a"),
                    notes=tuple(feature.notes[n] for n in numbers if n in feature.notes),
                    line=line,
                    times=self.times[key],
                    harmless=key[1],
                )
            )
        return made


def _reason(slug: str, use: Use) -> str:
    """Why the loss of this use does no harm; empty when it does."""
    reason, test = HARMLESS.get(slug, ("", None))
    if reason and (test is None or test(use)):
        return reason
    if use.block and use.value in _INITIAL and slug.startswith("css-") and slug not in _MEANT:
        return "it asks for what is there anyway"
    return ""


def _spared(slug: str, use: Use) -> frozenset[str]:
    """Clients whose partial support covers this use."""
    if slug == "css-important":
        return _GMAIL  # it knows it, in small letters
    if slug == "css-position":
        if use.value == "sticky":
            return frozenset({"outlook-com"})
        if use.value in ("absolute", "relative"):
            return _APPLE
    if slug == "html-semantics":
        if use.tag == "time":
            return frozenset({"outlook-com"})
        if use.tag not in ("details", "main", "nav", "summary"):
            return _GMAIL
    if slug == "css-gap" and use.name == "column-gap":
        return (_GMAIL | {"outlook-com"}) - {"gmail-basic"}
    return frozenset()


def _elements(
    document: lxml.etree._ElementTree,
) -> Iterator[tuple[lxml.etree._Element, bool]]:
    """(element, whether Outlook for Windows sees it), in document order, without what only it sees."""
    to_outlook = True
    for node in document.iter(lxml.etree.Element, lxml.etree.Comment):
        if isinstance(node, lxml.etree._Comment):
            text = (node.text or "").strip()
            if text.startswith("[if !mso"):
                to_outlook = False
            elif text.startswith("<![endif]"):
                to_outlook = True
        elif isinstance(node.tag, str):
            yield node, to_outlook


_NOT_OUTLOOK = frozenset({OUTLOOK})


def _look_at(element: lxml.etree._Element, found: _Found, *, to_outlook: bool) -> None:
    tag = str(element.tag)
    but = frozenset[str]() if to_outlook else _NOT_OUTLOOK
    where = partial(opening, element)
    for feature, name, value in _markup(element, tag):
        use = Use(name, value.strip().lower(), tag, element, {}, fallback=False, inline=False)
        found.add(feature, use, where, line_of(element), but=but)
    style = element.get("style")
    if style:
        for hit in _hits(style):
            use = hit.use(element, inline=True)
            found.add(
                hit.feature, use, partial(_said, hit.text, element), line_of(element), but=but
            )


def _markup(element: lxml.etree._Element, tag: str) -> Iterator[tuple[_Feature, str, str]]:
    """(feature, name, value) of the element and of its attributes, but for their styles."""
    facts = _facts()
    for name, value in element.attrib.items():
        for feature in facts.of("attribute", str(name)):
            yield feature, str(name), str(value)
    if tag != "style":
        for feature in facts.of("element", tag):
            yield feature, tag, ""
    for kind, name, value in _particular(element, tag):
        for feature in facts.of(kind, name):
            yield feature, tag, value


def _particular(element: lxml.etree._Element, tag: str) -> Iterator[tuple[str, str, str]]:
    """(kind of mark, mark, value) that are asked of a few elements only."""
    if tag in ("input", "button"):
        kind = (element.get("type") or ("text" if tag == "input" else "submit")).lower()
        yield "typed", f'{tag} type="{kind}"', kind
    elif tag == "a" and (element.get("href") or "").startswith("#"):
        yield "link", "#", element.get("href") or ""
    elif tag == "meta":
        yield "meta", (element.get("name") or "").lower(), ""
    elif tag in ("img", "source"):
        for kind in _image_kinds(element.get("src") or element.get("srcset") or ""):
            yield "image", kind, kind


def _said(text: str, element: lxml.etree._Element) -> str:
    return f"{text} in {opening(element)}"


def _image_kinds(source: str) -> Iterator[str]:
    """The kinds of picture that a src, a srcset or a CSS address names."""
    for one in source.split(",") if not source.startswith("data:") else [source]:
        address = one.strip().partition(" ")[0].lower()
        if address.startswith("data:"):
            yield "data:"
            subtype = re.match(r"data:image/([a-z]+)", address)
            if subtype:
                yield subtype[1]
        elif ending := _EXTENSION.search(re.split(r"[?#]", address, maxsplit=1)[0]):
            yield ending[1]


# ---- Declarations --------------------------------------------------------------------------------


class _Hit(NamedTuple):
    feature: _Feature
    name: str
    value: str
    text: str
    block: Mapping[str, str]
    fallback: bool

    def use(self, element: lxml.etree._Element, *, inline: bool) -> Use:
        tag = str(element.tag)
        return Use(
            self.name, self.value, tag, element, self.block, fallback=self.fallback, inline=inline
        )


@lru_cache(maxsize=4096)  # few styles, many elements
def _hits(style: str) -> tuple[_Hit, ...]:
    return tuple(_hits_of(declarations(style)))


def _hits_of(said: Sequence[Declaration]) -> Iterator[_Hit]:
    """Every use of a feature in a block of declarations that some client loses."""
    block = {one.name: one.value.lower() for one in said}
    before: set[str] = set()
    for one in said:
        value = one.value.lower()
        text = f"{one.name}: {one.value[:60]}{' !important' if one.important else ''}"
        fallback = _family(one.name) in before
        before.add(_family(one.name))
        for feature in _features_of(one.name, value, important=one.important):
            yield _Hit(feature, one.name, value, text, block, fallback)


def _family(name: str) -> str:
    return "background" if name in ("background-color", "background-image") else name


def _features_of(name: str, value: str, *, important: bool) -> Iterator[_Feature]:
    facts = _facts()
    yield from facts.of("property", "--" if name.startswith("--") else name)
    yield from facts.of("declaration", f"{name}:{value.removeprefix('inline-')}")
    if important:
        yield from facts.of("word", "!important")
    bare = _STRING.sub(" ", _URL.sub(" ", value))
    for kind, pattern in (("function", _FUNCTION), ("unit", _UNIT), ("word", _WORD)):
        for mark in dict.fromkeys(pattern.findall(bare)):
            yield from facts.of(kind, mark)
    for _, address in _URL.findall(value):
        for mark in _image_kinds(address):
            yield from facts.of("image", mark)


# ---- Style sheets --------------------------------------------------------------------------------


def _look_at_sheet(
    document: lxml.etree._ElementTree, style: lxml.etree._Element, text: str, found: _Found
) -> None:
    read, begin, own = sheet(text), line_of(style), _facts().by_slug["html-style"]
    everybody, size = frozenset(clients()), len(text.encode())
    use = Use("style", "", "style", style, {}, fallback=False, inline=False)
    if any(one.tag == "body" for one in style.iterancestors()):
        where = "<style> stands in the body, not in the head"
        found.add(own, use, where, begin, but=everybody - _GMAIL)
    if size > GMAIL_STYLE_BYTES:
        where = f"one <style> of {size:,} bytes; Gmail reads {GMAIL_STYLE_BYTES:,}"
        found.add(own, use, where, begin, but=everybody - {"gmail-web"})
    for at_rule in read.at_rules:
        words = f"@{at_rule.name} {at_rule.prelude}".strip()
        use = Use(at_rule.name, at_rule.prelude, "", None, {}, fallback=False, inline=False)
        for feature in _at_rule_features(at_rule):
            found.add(feature, use, words[:80], begin + at_rule.line - 1)
    conditional = (style.get("media") or "").strip().lower() not in _SCREENS
    for rule in read.rules:
        missed = tuple(one for one in rule.declarations if not _DISPENSABLE.match(one.name))
        rest, line = replace(rule, declarations=missed), begin + rule.line - 1
        if missed and rule.nested:
            found.add_rule("selector", "nesting", rest, None, line)
        elif missed:
            for selector in rule.selectors:
                if _STATES & set(_pseudos(selector)):
                    _look_at_state(document, rest, selector, found, line)
                elif not conditional and not rule.conditions:
                    _look_at_rule(document, rest, selector, found, line)


def _at_rule_features(at_rule: AtRule) -> Iterator[_Feature]:
    facts = _facts()
    yield from facts.of("at-rule", at_rule.name.removeprefix("-webkit-"))
    if at_rule.name == "media":
        for name in dict.fromkeys(_WORD.findall(at_rule.prelude.lower())):
            yield from facts.of("media", re.sub(r"^-webkit-|^(?:min|max)-", "", name))


def _look_at_state(
    document: lxml.etree._ElementTree,
    rule: Rule,
    selector: str,
    found: _Found,
    line: int,
) -> None:
    """A rule for a state (`:hover`) is decoration, unless it shows what is hidden otherwise."""
    shows = any(
        one.name in _REVEALING and one.value.lower() not in ("none", "hidden", "0")
        for one in rule.declarations
    )
    if shows and _matching(document, selector):
        for state in dict.fromkeys(one for one in _pseudos(selector) if one in _STATES):
            found.add_rule("pseudo", state, rule, None, line)


def _look_at_rule(
    document: lxml.etree._ElementTree,
    rule: Rule,
    selector: str,
    found: _Found,
    line: int,
) -> None:
    """What stands in a style sheet alone; what stands in style attributes too was looked at there."""
    pseudos = _pseudos(selector)
    generated = any(one.startswith("::") for one in pseudos)
    # premailer writes few of these into attributes: the property that stands there is another's.
    exact = bool(pseudos)
    for element in _matching(document, selector):
        if generated or not all(_stands_in(element, one, exact) for one in rule.declarations):
            break
    else:
        return
    for pseudo in dict.fromkeys(pseudos):
        found.add_rule("pseudo", pseudo, rule, element, line)
    if generated:
        return
    # The other clients' notes on <style> are about where it stands, and how long it is.
    but = frozenset(clients()) - {"gmail-basic"}
    found.add_rule("element", "style", rule, element, line, but=but)
    for mark in _marks(selector, len(rule.selectors)):
        found.add_rule("selector", mark, rule, element, line, but=frozenset({"gmail-basic"}))
    for hit in _hits_of(rule.declarations):
        if hit.name not in _names(element.get("style") or ""):
            use = hit.use(element, inline=False)
            found.add(hit.feature, use, f"{hit.text} in the rule {selector}", line)


@lru_cache(maxsize=1024)
def _pseudos(selector: str) -> tuple[str, ...]:
    bare = _STRING.sub("", re.sub(r"\[[^\]]*\]", "", selector)).lower()
    return tuple(_PSEUDO.findall(_OLD_PSEUDO_ELEMENT.sub(r"::\1", bare)))


@lru_cache(maxsize=1024)
def _marks(selector: str, selectors: int) -> tuple[str, ...]:
    """The kinds of selector in one, as the facts name them."""
    bare = re.sub(r"\[[^\]]*\]", "[", _STRING.sub("", _STATIC.sub("", selector)))
    tight = re.sub(r"\s*([>+~])\s*", r"\1", bare.strip())
    marks = [mark for mark in (">", "+", "~", "[", "#", ".", " ", "*") if mark in tight]
    if re.search(r"\.[\w-]+\.", tight):
        marks.append("..")
    if re.search(r"(?:^|[\s>+~])[a-zA-Z]", tight):
        marks.append("type")
    return (*marks, *([","] if selectors > 1 else []))


def _matching(document: lxml.etree._ElementTree, selector: str) -> list[lxml.etree._Element]:
    """Elements that a selector is about, whatever their state."""
    return [
        one
        for one in matching(document, _stateless(selector))
        if one.tag not in ("head", "style", "title", "meta")
    ]


@lru_cache(maxsize=1024)
def _stateless(selector: str) -> str:
    """The selector without states and pseudo-elements."""
    plain = _STATIC.sub(
        lambda m: "" if m[0].lower() in _STATES or m[0].startswith("::") else m[0],
        _OLD_PSEUDO_ELEMENT.sub("", selector),
    )
    return plain.strip() or "*"


@lru_cache(maxsize=4096)
def _names(style: str) -> frozenset[str]:
    names = {one.name for one in declarations(style)}
    return frozenset(names | {name.partition("-")[0] for name in names if "-" in name[1:]})


def _stands_in(element: lxml.etree._Element, one: Declaration, exact: bool) -> bool:
    """Whether the element's own style says this property (or its shorthand), or exactly this."""
    style = element.get("style") or ""
    if exact:
        return any((own.name, own.value) == (one.name, one.value) for own in declarations(style))
    return one.name in _names(style) or one.name.partition("-")[0] in _names(style)
