"""What is wrong with the markup of a finished mail, and with the text beside it.

Each function looks at one thing and returns flaws, in document order; it knows neither their
severity nor how they are told. A mail comes as it is stored, with its slots open, or filled.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

import lxml.etree
from babel import Locale

from newsletter.checks.places import line_of, opening, text_of
from newsletter.checks.styles import Declaration, declarations, sheet, style_sheets

Kind = Literal[
    # headings
    "heading-none", "heading-first", "heading-skip", "heading-empty",
    # tables
    "table-role", "table-presented-data", "table-no-header",
    # language
    "lang-missing", "lang-invalid", "dir-missing", "dir-wrong", "title-missing",
    # images
    "image-no-source", "image-no-alt", "image-alt-file", "image-no-width", "image-insecure",
    "image-wide",
    # links
    "link-malformed", "link-scheme", "link-dangerous", "link-insecure", "link-empty", "link-vague",
    "link-same-text",
    # forbidden
    "element", "meta-refresh", "handler", "style-sheet", "comment", "css", "address",
    # unfilled
    "template", "marker", "nothing", "placeholder",
]  # fmt: skip
MOST_WIDE = 600  #: pixels that an image may have; the width of a mail
MOST_COLUMNS = 78  #: of a line of text (RFC 5322 §2.1.1)


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong, and where."""

    kind: Kind
    where: (
        str  #: the tag with what tells it apart and the beginning of its text, or the text itself
    )
    detail: str  #: what about it: a level, an address, a word; may be empty
    line: int  #: in the HTML, from 1


def _flaw(kind: Kind, element: lxml.etree._Element, detail: str = "") -> Flaw:
    return Flaw(kind, opening(element), detail, line_of(element))


def _elements(document: lxml.etree._ElementTree) -> Iterator[lxml.etree._Element]:
    for element in document.iter(lxml.etree.Element):
        if isinstance(element.tag, str):
            yield element


# ---- Structure -----------------------------------------------------------------------------------

_HEADING = re.compile(r"h([1-6])")


def headings(document: lxml.etree._ElementTree) -> list[Flaw]:
    """Headings begin with an h1, skip no level on the way down, and say something."""
    found, before = [], 0
    for element in _elements(document):
        level = _level(element)
        if not level or _is_hidden(element):
            continue
        if before == 0 and level != 1:
            found.append(_flaw("heading-first", element, f"h{level}"))
        elif before and level > before + 1:
            found.append(_flaw("heading-skip", element, f"h{before} to h{level}"))
        if not _name(element):
            found.append(_flaw("heading-empty", element, f"h{level}"))
        before = level
    if before == 0:
        return [Flaw("heading-none", "", "", 1)]
    return found


def _level(element: lxml.etree._Element) -> int:
    role = element.get("role")
    if role == "heading":
        said = element.get("aria-level") or "2"
        return int(said) if said.isdecimal() else 2
    match = _HEADING.fullmatch(str(element.tag))
    return int(match[1]) if match and role in (None, "") else 0


def tables(document: lxml.etree._ElementTree) -> list[Flaw]:
    """Tables that only place things say so by their role; tables of data have header cells."""
    found = []
    for table in document.iter("table"):
        role = (table.get("role") or "").strip().lower()
        headers = any(_own(table, one) for one in table.iter("th"))
        captioned = any(_own(table, one) for one in table.iter("caption", "thead"))
        if role in ("presentation", "none"):
            if headers or captioned:
                found.append(_flaw("table-presented-data", table))
        elif role in ("table", "grid") or headers or captioned:
            if not headers:
                found.append(_flaw("table-no-header", table))
        else:
            found.append(_flaw("table-role", table))
    return found


def _own(table: lxml.etree._Element, part: lxml.etree._Element) -> bool:
    """Whether a part is this table's, not that of one inside it."""
    return next(part.iterancestors("table"), None) is table


_TAG = re.compile(
    r"(?i)[a-z]{2,3}(?:-[a-z]{4})?(?:-(?:[a-z]{2}|\d{3}))?(?:-(?:[a-z\d]{5,8}|\d[a-z\d]{3}))*"
    r"(?:-[a-wyz](?:-[a-z\d]{2,8})+)*(?:-x(?:-[a-z\d]{1,8})+)?"
)


def language(document: lxml.etree._ElementTree) -> list[Flaw]:
    """The root says its language (BCP 47) and direction, and they agree; the mail has a title."""
    root = document.getroot()
    found = []
    code = (root.get("lang") or "").strip()
    if not code:
        found.append(_flaw("lang-missing", root))
    for element in _elements(document):
        said = element.get("lang")
        if said and not valid_language(said):
            found.append(_flaw("lang-invalid", element, said))
    direction = (root.get("dir") or "").strip().lower()
    if direction not in ("ltr", "rtl"):
        found.append(_flaw("dir-missing", root, direction))
    elif code and valid_language(code) and direction != _direction(code):
        found.append(_flaw("dir-wrong", root, f"{code} {direction}"))
    title = document.find(".//head/title")
    if title is None or not (title.text or "").strip():
        found.append(_flaw("title-missing", root))
    return found


@lru_cache(maxsize=256)
def valid_language(code: str) -> bool:
    """Whether a tag is well-formed by RFC 5646 and its language is one that CLDR knows."""
    base = code.split("-", maxsplit=1)[0].lower()
    return bool(_TAG.fullmatch(code)) and base != "und" and base in _known_languages()


@cache
def _known_languages() -> frozenset[str]:
    return frozenset(Locale("en").languages)


@lru_cache(maxsize=256)
def _direction(code: str) -> str:
    parts = code.split("-")
    rtl = {"Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm"}
    script = next((one.title() for one in parts[1:] if len(one) == 4 and one.isalpha()), None)
    if script:
        return "rtl" if script in rtl else "ltr"
    try:
        return str(Locale.parse(parts[0].lower()).text_direction)
    except (LookupError, ValueError):  # CLDR has its name, and nothing else of it
        return "ltr"


# ---- Images --------------------------------------------------------------------------------------

_PICTURE_FILE = re.compile(r"(?i).*\.(?:png|jpe?g|gif|webp|svg|bmp|avif|tiff?|heic|ico)")
_CAMERA = re.compile(
    r"(?i)(?:img|dsc[nf]?|image|picture|photo|screenshot|untitled|pasted)[-_ ]*\d*"
)


def images(document: lxml.etree._ElementTree, *, loopback: bool = False) -> list[Flaw]:
    """Images have words for who does not see them, a width, and an address that mail clients load.

    `loopback` lets images come by http from this machine, as in previews and tests.
    """
    found = []
    for image in document.iter("img"):
        source = (image.get("src") or "").strip()
        alt = image.get("alt")
        if not source:
            found.append(_flaw("image-no-source", image))
        elif not _secure(source, loopback=loopback):
            found.append(_flaw("image-insecure", image, source[:80]))
        if alt is None:
            found.append(_flaw("image-no-alt", image))
        elif _is_file_name(alt.strip(), source):
            found.append(_flaw("image-alt-file", image, alt.strip()))
        width = _width(image)
        if width is None:
            found.append(_flaw("image-no-width", image))
        elif width > MOST_WIDE:
            found.append(_flaw("image-wide", image, f"{width:g}"))
    return found


def _is_file_name(alt: str, source: str) -> bool:
    if not alt:
        return False
    file = re.split(r"[?#]", source, maxsplit=1)[0].rpartition("/")[2]
    stem = file.rpartition(".")[0] or file
    return bool(
        _PICTURE_FILE.fullmatch(alt)
        or _CAMERA.fullmatch(alt)
        or (alt in (file, stem) and re.search(r"[-_\d]", alt))
    )


def _width(image: lxml.etree._Element) -> float | None:
    """The width in pixels, as the attribute says it, or else the style; None when neither does."""
    said = (image.get("width") or "").strip().lower().removesuffix("px")
    if re.fullmatch(r"\d+(\.\d+)?", said):
        return float(said)
    for one in reversed(declarations(image.get("style") or "")):
        if one.name == "width" and re.fullmatch(r"\d+(\.\d+)?px", one.value.lower()):
            return float(one.value[:-2])
    return None


# ---- Links ---------------------------------------------------------------------------------------

#: Words that say nothing about where a link leads, as they stand there alone.
VAGUE = frozenset(
    {
        *(
            "click",
            "click here",
            "click this link",
            "here",
            "read more",
            "more",
            "learn more",
            "link",
        ),
        *("this link", "this", "this page", "see more", "find out more", "continue", "go"),
        *(
            "hier",
            "hier klicken",
            "klicken sie hier",
            "klick hier",
            "klicke hier",
            "mehr",
            "weiter",
        ),
        *("mehr lesen", "weiterlesen", "mehr erfahren", "mehr dazu", "dieser link", "zum link"),
        *("ici", "cliquez ici", "cliquer ici", "clique ici", "plus", "lire plus", "lire la suite"),
        *("en savoir plus", "la suite", "suite", "lien", "ce lien", "voir plus", "par ici"),
    }
)
_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_DANGEROUS = frozenset({"javascript", "data", "vbscript"})
_SCHEME = re.compile(r"\s*([a-zA-Z][a-zA-Z\d+.-]*):")
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_CONTEXTS = ("data-action", "data-brief")


def links(document: lxml.etree._ElementTree, *, loopback: bool = False) -> list[Flaw]:
    """Links lead somewhere safe, and say where.

    Two links may say the same and lead to different places when they belong to different briefs or
    actions (`data-brief`, `data-action`), which is what tells them apart for a reader. `loopback`
    lets links lead by http to this machine.
    """
    found = []
    said: dict[tuple[str, ...], str] = {}
    for link in document.iter("a", "area"):
        address = link.get("href")
        if address is None:
            continue
        text = address.strip()
        if text.startswith("#") and len(text) > 1:
            known = any(text[1:] in (one.get("id"), one.get("name")) for one in _elements(document))
            flaw: Kind | None = None if known else "link-malformed"
        else:
            flaw = address_flaw(address, loopback=loopback)
        if flaw:
            found.append(_flaw(flaw, link, address.strip()[:80]))
        name = _name(link)
        words = _words(name)
        if not words and not re.search(r"\S", name):
            found.append(_flaw("link-empty", link, address.strip()[:80]))
        elif " ".join(words) in VAGUE:
            found.append(_flaw("link-vague", link, name))
        if words and not _is_hidden(link):
            key = (*_context(link), " ".join(words))
            if said.setdefault(key, address) != address:
                found.append(_flaw("link-same-text", link, name))
    return found


def _context(link: lxml.etree._Element) -> tuple[str, str]:
    for element in link.iterancestors():
        for name in _CONTEXTS:
            if value := element.get(name):
                return name, value
    return "", ""


def address_flaw(address: str, *, loopback: bool = False) -> Kind | None:
    """What is wrong with where a link leads. In a mail whose links are tracked, ask this of the
    addresses that they stand for (`Edition.links`), too."""
    scheme, text = _scheme(address), address.strip()
    if scheme in _DANGEROUS:
        return "link-dangerous"
    if scheme and scheme not in _SCHEMES and not re.match(r"[\w.-]+:\d+(?:/|$)", text):
        return "link-scheme"
    if not well_formed(text):
        return "link-malformed"
    if scheme == "http" and not _secure(text, loopback=loopback):
        return "link-insecure"
    return None


def _scheme(address: str) -> str:
    # Browsers drop tabs and line breaks inside a scheme: "java\nscript:" runs.
    found = _SCHEME.match(re.sub(r"[\x00-\x1f]", "", address))
    return found[1].lower() if found else ""


def well_formed(address: str) -> bool:
    """Whether an absolute address can be followed: by its scheme, a host or a mailbox or a number."""
    if not address or re.search(r"[\s<>\"\x00-\x1f\x7f]", address):
        return False
    scheme, _, rest = address.partition(":")
    if scheme.lower() == "mailto":
        boxes = [one for one in rest.partition("?")[0].split(",") if one]
        return bool(boxes) and all(re.fullmatch(r"[^@]+@[^@.][^@]*", one) for one in boxes)
    if scheme.lower() == "tel":
        return bool(re.fullmatch(r"\+?[\d().-]{3,}(?:;.*)?", rest))
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme.lower() not in ("http", "https") or not host or "@@" in parts.netloc:
        return False
    if host in ("http", "https"):  # https://https://…
        return False
    return bool(_HOST.fullmatch(host)) or _is_ip(host)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _secure(address: str, *, loopback: bool) -> bool:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme.lower() == "https":
        return True
    local = host == "localhost" or (_is_ip(host) and ip_address(host).is_loopback)
    return loopback and parts.scheme.lower() == "http" and local


def _name(element: lxml.etree._Element) -> str:
    """What a screen reader says of a link or a heading: its text with that of its images."""
    for name in ("aria-label", "title"):
        if name == "title" and (inside := _visible(element)):
            return inside
        if said := (element.get(name) or "").strip():
            return said
    return ""


def _visible(element: lxml.etree._Element) -> str:
    pieces = [text_of(element)]
    pieces += [(image.get("alt") or "").strip() for image in element.iter("img")]
    if element.tag in ("img", "area"):
        pieces.append((element.get("alt") or "").strip())
    return " ".join(dict.fromkeys(one for one in pieces if one))


# ---- Forbidden -----------------------------------------------------------------------------------

_FORBIDDEN = (
    *(
        "script",
        "iframe",
        "object",
        "embed",
        "applet",
        "frame",
        "frameset",
        "base",
        "form",
        "input",
    ),
    *("button", "select", "textarea", "dialog", "portal"),
)
_IN_COMMENT = re.compile(
    rf"<\s*(?:{'|'.join(_FORBIDDEN)})\b|<[^>]*\son[a-z]+\s*=|javascript\s*:", re.IGNORECASE
)
_FOR_OUTLOOK = re.compile(r"\s*(?:\[if\s[^\]]*\]>|<!\[endif\]\s*$|\[endif\]\s*$)", re.IGNORECASE)
_RUNNING_CSS = re.compile(
    r"expression\s*\(|url\(\s*[\"']?\s*(?:javascript|vbscript)\s*:|progid\s*:", re.IGNORECASE
)
_RUNNING_PROPERTIES = frozenset({"behavior", "behaviour", "-moz-binding"})
_ADDRESSED = ("src", "background", "action", "formaction", "poster", "srcdoc", "xlink:href", "cite")


def forbidden(document: lxml.etree._ElementTree) -> list[Flaw]:
    """What no mail may carry: what runs, what loads, what asks, and comments for nobody.

    Comments that Outlook reads (`<!--[if mso]>`) are kept, and looked into.
    """
    found: list[Flaw] = []
    for node in document.iter():
        if isinstance(node, lxml.etree._Comment):
            found += _comment_flaws(node)
        elif isinstance(node.tag, str):
            found += _element_flaws(node)
    for style, text in style_sheets(document):
        read = sheet(text)
        if any(one.name == "import" for one in read.at_rules):
            found.append(_flaw("style-sheet", style, "@import"))
        said = [one for rule in read.rules for one in rule.declarations]
        said += [one for at_rule in read.at_rules for one in at_rule.declarations]
        found += [_flaw("css", style, runs) for runs in _running(said)]
    return found


def _comment_flaws(node: lxml.etree._Comment) -> Iterator[Flaw]:
    text = node.text or ""
    if not _FOR_OUTLOOK.match(text):
        yield Flaw("comment", f"<!--{' '.join(text.split())[:60]}", "", line_of(node))
    elif inside := _IN_COMMENT.search(text):
        yield Flaw("element", f"<!--{text[:40]}", inside[0][:40], line_of(node))


def _element_flaws(element: lxml.etree._Element) -> Iterator[Flaw]:
    tag = str(element.tag).lower()
    if tag in _FORBIDDEN:
        yield _flaw("element", element, tag)
    elif tag == "meta" and (element.get("http-equiv") or "").strip().lower() == "refresh":
        yield _flaw("meta-refresh", element, (element.get("content") or "")[:80])
    elif tag == "link" and "stylesheet" in (element.get("rel") or "").lower().split():
        yield _flaw("style-sheet", element, (element.get("href") or "")[:80])
    for name, value in element.attrib.items():
        lowered = str(name).lower()
        if lowered.startswith("on") and lowered[2:].isalpha():
            yield _flaw("handler", element, lowered)
        elif lowered == "srcdoc" or (
            lowered in _ADDRESSED and _scheme(str(value)) in ("javascript", "vbscript")
        ):
            yield _flaw("address", element, lowered)
    for runs in _running(declarations(element.get("style") or "")):
        yield _flaw("css", element, runs)


def _running(said: Collection[Declaration]) -> Iterator[str]:
    for one in said:
        value = re.sub(r"/\*.*?\*/", "", one.value)
        if one.name in _RUNNING_PROPERTIES or _RUNNING_CSS.search(value):
            yield f"{one.name}: {one.value[:60]}"


# ---- Unfilled ------------------------------------------------------------------------------------

_How = Literal["words", "attribute", "css"]
#: Marks of Jinja. Braces that close, and those before an id, stand together in good CSS, too.
_MARKS = {
    "words": re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}"),
    "attribute": re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}"),
    "css": re.compile(r"\{\{|\{%"),
}
_FILLING = re.compile(r"\blorem\s+ipsum\b", re.IGNORECASE)
_MARKER = re.compile(r"@@(?:([a-z0-9]+)\.([a-z_]+)\.([a-z]+)@@)?")
_NOTHING = frozenset({"None", "undefined", "null", "NaN", "[object Object]", "Undefined"})
#: Attributes where None is somebody's mistake; elsewhere it is a value.
_SPOKEN = frozenset({"href", "src", "alt", "title", "aria-label", "content", "lang"})
_CODE = ("code", "pre", "kbd", "samp", "tt")


def unfilled(
    document: lxml.etree._ElementTree, nonce: str, slots: Collection[str] | None = None
) -> list[Flaw]:
    """What a template or its author left open in the HTML: marks of Jinja outside code, markers
    that are no slot of this edition, None, and filling text.

    `nonce` is the edition's; `slots` are the names of slots that get filled, None for any name.
    """
    found: list[Flaw] = []

    def look(text: str | None, node: lxml.etree._Element, how: _How, *, whole: bool = True) -> None:
        if not text:
            return
        if whole and len(text) < 60 and text.strip() in _NOTHING:
            found.append(Flaw("nothing", opening(node), text.strip(), line_of(node)))
        if "{" in text or "}" in text or "@@" in text or "orem" in text or "OREM" in text:
            marks = None if how == "words" and _is_code(node) else _MARKS[how]
            for kind, detail in _open_in(text, nonce, slots, "html", marks):
                found.append(Flaw(kind, _around(text, detail), detail, line_of(node)))

    for node in document.iter():
        parent = node.getparent()
        if isinstance(node, lxml.etree._Comment):
            look(node.text, node, "css", whole=False)
        elif isinstance(node.tag, str):
            look(node.text, node, "css" if node.tag == "style" else "words")
            for name, value in node.attrib.items():
                look(str(value), node, "attribute", whole=name in _SPOKEN)
        if parent is not None:
            look(node.tail, parent, "words")
    return found


def _is_code(element: lxml.etree._Element) -> bool:
    return element.tag in _CODE or any(True for _ in element.iterancestors(*_CODE))


def unfilled_text(text: str, nonce: str, slots: Collection[str] | None = None) -> list[Flaw]:
    """The same of the text part; lines are its own. Marks of Jinja are not asked there, since code
    in a text looks like any other word."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        flaws = [*_open_in(line, nonce, slots, "text", None)]
        if line.strip() in _NOTHING:
            flaws.append(("nothing", line.strip()))
        found += [Flaw(kind, _around(line, detail), detail, number) for kind, detail in flaws]
    return found


def _open_in(
    text: str,
    nonce: str,
    slots: Collection[str] | None,
    context: str,
    marks: re.Pattern[str] | None,
) -> Iterator[tuple[Kind, str]]:
    if marks and (mark := marks.search(text)):
        yield "template", mark[0]
    for mark in _MARKER.finditer(text):
        known = mark[1] == nonce and mark[3] == context and (slots is None or mark[2] in slots)
        if not known:
            yield "marker", mark[0]
            break
    if filling := _FILLING.search(text):
        yield "placeholder", filling[0]


def _around(text: str, part: str) -> str:
    at = max(0, text.find(part))
    return " ".join(text[max(0, at - 30) : at + 50].split())


# ---- The text part -------------------------------------------------------------------------------

_BLOCKS = frozenset(
    {
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "br",
            "caption",
            "center",
            "dd",
            "div",
        ),
        *(
            "dl",
            "dt",
            "figcaption",
            "figure",
            "footer",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "header",
        ),
        *("hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tbody", "td", "tfoot"),
        *("th", "thead", "tr", "ul"),
    }
)
_UNSEEN = frozenset({"head", "style", "script", "title", "template"})
_ADDRESS = re.compile(r"(?:https?://|www\.|mailto:)\S+|\S*@@\S+@@\S*", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"(?<=[.!?…。！？])[\"'”’»)]*\s+|\s*[·•|]\s*|\s+[–—-]\s+")
#: "Read in the browser": of no use to who reads the text part.
_CHROME = re.compile(r"\b(?:browser|navigateur|webversion|online version|version en ligne)\b")
MOST_CHROME_WORDS = 8


def missing_from_text(document: lxml.etree._ElementTree, text: str) -> list[str]:
    """Sentences, headings and labels that the HTML shows and the text part does not say, each once.

    Compared are words alone, whatever their case, in their order within a sentence. Addresses and
    slots are left out on both sides, and the way to the browser's view may be missing.
    """
    said = f" {' '.join(_words(_ADDRESS.sub(' ', text)))} "
    missing: dict[str, None] = {}
    for block in visible_blocks(document):
        if _says(said, block):
            continue
        for sentence in _SENTENCE.split(block):
            if sentence and not _says(said, sentence) and not _is_chrome(sentence):
                missing[sentence.strip()] = None
    return list(missing)


def _says(said: str, part: str) -> bool:
    """Whether a text has these words one after the other. A bare address may stand there as its
    host, or not at all."""
    for replaced in (_host, lambda _: " "):
        words = " ".join(_words(_ADDRESS.sub(replaced, part)))
        if not words or f" {words} " in said:
            return True
    return False


def _host(match: re.Match[str]) -> str:
    try:
        return f" {urlsplit(match[0]).hostname or ''} "
    except ValueError:
        return " "


def _is_chrome(sentence: str) -> bool:
    return len(_words(sentence)) <= MOST_CHROME_WORDS and bool(_CHROME.search(sentence.casefold()))


def visible_blocks(document: lxml.etree._ElementTree) -> Iterator[str]:
    """The text of the mail as it is seen, block by block, one blank between words."""
    pieces: list[str] = []
    body = document.find(".//body")
    yield from _blocks(document.getroot() if body is None else body, pieces)
    yield from _close(pieces)


def _blocks(element: lxml.etree._Element, pieces: list[str]) -> Iterator[str]:
    if element.tag in _UNSEEN or _is_hidden(element):
        return
    block = element.tag in _BLOCKS
    if block:
        yield from _close(pieces)
    pieces.append(element.text or "")
    for child in element:
        if isinstance(child.tag, str):
            yield from _blocks(child, pieces)
        pieces.append(child.tail or "")
    if block:
        yield from _close(pieces)


def _close(pieces: list[str]) -> Iterator[str]:
    text = " ".join("".join(pieces).split())
    pieces.clear()
    if text:
        yield text


def wide_words(text: str, columns: int = MOST_COLUMNS) -> list[tuple[int, str]]:
    """(line, word) of words in the text part that are wider than this and are no address."""
    return [
        (number, word)
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > columns
        for word in line.split()
        if columns_of(word) > columns and not _ADDRESS.search(word) and "://" not in word
    ]


def columns_of(word: str) -> int:
    """How many columns a word takes: two for wide letters, none for marks on others."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in word
    )


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


@lru_cache(maxsize=4096)  # few styles, many elements
def _hides(style: str) -> bool:
    said = {one.name: one.value.lower() for one in declarations(style)}
    return (
        said.get("display") == "none"
        or said.get("visibility") == "hidden"
        or said.get("mso-hide") == "all"
    )


def _is_hidden(element: lxml.etree._Element) -> bool:
    style = element.get("style")
    return bool(style and _hides(style)) or element.get("hidden") is not None
