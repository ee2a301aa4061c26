"""From Word and the web: a document's paragraphs as the text of a brief.

mammoth turns DOCX into HTML, and one walk over HTML of any origin (Word, Google Docs, Outlook, Gmail)
gives lines: headings, items and paragraphs. What is bold and is a label becomes a label, whatever else
is decoration goes. Nothing outside the document is ever fetched. Knows labels, and not what they mean.
"""

from __future__ import annotations

import codecs
import html
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from newsletter.briefs.blocks import split_source
from newsletter.briefs.vocabulary import Vocabulary, bare
from newsletter.errors import InputError
from newsletter.files import refuse_zip_bomb
from newsletter.text import tidy

LARGEST_DOCUMENT = 10_000_000  #: bytes of a file; pictures in it count, though they are not taken
_LARGEST_TEXT = 1_000_000  # characters that are left of it
_MOST_LINES = 5_000
_MOST_XML = 24 << 20  # bytes of one part; a book of 1,000 pages has about 10 MB
_MOST_UNPACKED = 256 << 20  # bytes, pictures too
_MOST_ELEMENTS = 100_000  # a hundred pages have a tenth; mammoth takes ten seconds for so many
_DEEPEST = 150  # elements within each other; it reads them by recursion
_MOST_NOTES = 20

_SAVE_AS = "save it as .docx, .html, .txt or .md"
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_LOOKS_LIKE_HTML = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|/?(?:html|head|meta|body|p|div|span|h[1-6]|ul|ol|"
    r"table|b|strong|br|font|article|section|blockquote|style)[\s/>])",
    re.IGNORECASE | re.DOTALL,
)
_CLIPBOARD = re.compile(r"Version:\d.*?(?=<)", re.DOTALL)  # Windows' header of copied HTML
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE)
_ENCODINGS = re.compile(
    r"utf-?8|iso-?8859-\d+|latin-?\d|us-ascii|windows-125\d|cp\d+|koi8-[ru]|macintosh|"
    r"shift_jis|euc-(?:jp|kr)|iso-2022-jp|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)

_GONE = frozenset((
    "script", "style", "iframe", "object", "embed", "applet", "template", "head", "title", "meta",
    "link", "svg", "math", "canvas", "noscript", "audio", "video", "input", "button", "select",
    "textarea", "colgroup", "del",
))  # fmt: skip
_BLOCKS = frozenset((
    "html", "body", "p", "div", "section", "article", "main", "header", "footer", "aside", "nav",
    "figure", "figcaption", "address", "dl", "dt", "dd", "blockquote", "center", "details", "summary",
    "form", "fieldset", "legend", "caption", "ul", "ol", "li", "table", "tr", "td", "th",
))  # fmt: skip
_BOLD = frozenset(("b", "strong"))
_ITALIC = frozenset(("i", "em", "cite", "dfn"))
_CODE = frozenset(("code", "kbd", "samp", "tt"))
_STRUCK = frozenset(("s", "strike"))
# What a mail program writes around a quoted mail, and below one.
_MAIL = re.compile(r"\b(?:gmail_attr|gmail_signature|moz-cite-prefix|moz-signature)\b")
_MAIL_HEAD = re.compile(
    r"(?:From|Von|De)\s*:.{1,400}?(?:Sent|Date|Gesendet|Datum|Envoyé)\s*:.{1,600}?"
    r"(?:Subject|Betreff|Objet)\s*:|-{3,}\s*(?:Original Message|Ursprüngliche Nachricht)",
    re.IGNORECASE | re.DOTALL,
)
_MAIL_IDS = frozenset(("divRplyFwdMsg", "appendonsend", "Signature"))
_LEVEL = re.compile(r"mso-list:\s*\w+\s+level(\d)")
_RULE = re.compile(r"\.([\w-]{1,80})\s*\{([^{}]{0,2000})\}")
_AT_RULE = re.compile(r"@[^{}]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_NOTE = re.compile(
    r"#_?(?:foot|end)?note-ref-|#footnote-ref-|#endnote-ref-|#_(?:ftn|edn)ref|#ftnt_ref"
)
_NOTE_ID = re.compile(r"(?:footnote|endnote)-\d")
_COMMENT = re.compile(r"#_?(?:cmnt|msocom)")
_SPACES = re.compile(r"[ \t\r\n\f]+")
_SPACING = re.compile(r"[ \t\r\n\f\u00a0]{2,}")  # a single no-break space is meant, more are layout
_UNSEEN = str.maketrans("", "", "\u200b\ufeff\u0000")
_FENCE = re.compile(r"---|—|–-|-–|\.\.\.")  # Word makes a dash of three hyphens
_SAFE = re.compile(r"(?:https?://|mailto:)\S", re.IGNORECASE)
_COLON = re.compile(r"^\s*(?:[:：]|[–—-](?=\s))?\s*")
_WORDS_OF_HEADING, _LENGTH_OF_HEADING = 18, 120  # as in plain text

Kind = Literal["docx", "html", "text"]


@dataclass(frozen=True, slots=True)
class Pasted:
    """The text of a document, and what an editor should know of what became of it."""

    text: str
    notes: tuple[str, ...] = ()


def kind_of(raw: bytes, suffix: str, file: str) -> Kind:
    """What a file is, by its content first. `suffix` is lower case, with its dot or empty.

    Raises InputError, with what to do, for documents of other programs.
    """
    if raw.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in raw:
            raise InputError("is locked with a password; save it without one", file=file)
        raise InputError(f"is of a Word before 2007; open it and {_SAVE_AS}", file=file)
    others = {b"{\\rtf": "is RTF", b"%PDF": "is a PDF", b"\x89PNG": "is a picture"}
    for start, says in others.items():
        if raw.startswith(start) and suffix not in _PLAIN:
            raise InputError(f"{says}; open it in its program and {_SAVE_AS}", file=file)
    if raw.startswith(b"PK\x03\x04") and suffix not in _PLAIN:
        return "docx"
    if suffix == ".docx":
        what = "is empty" if not raw else "is no Word document, whatever its name says"
        raise InputError(f"{what}; {_SAVE_AS}", file=file)
    if suffix in (".html", ".htm"):
        return "html"
    if suffix in _PLAIN:
        return "text"
    if suffix in ("", ".doc", ".xhtml") and _is_html(raw):
        return "html"
    if suffix in (".doc", ".rtf", ".pdf", ".odt", ".pages", ".zip"):
        raise InputError(f"is not read; open it in its program and {_SAVE_AS}", file=file)
    return "text"


_PLAIN = (".md", ".markdown", ".txt")


def _is_html(raw: bytes) -> bool:
    head = raw[:20_000]
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = head.decode("utf-16" if wide else "utf-8", "replace").lstrip("\ufeff")
    return bool(_LOOKS_LIKE_HTML.match(_CLIPBOARD.sub("", text, count=1)))


def from_docx(raw: bytes, file: str, vocabulary: Vocabulary) -> Pasted:
    """The text of a Word document; tracked changes as if accepted, comments and hidden text left out.

    Raises InputError for what is no Word document, holds no text, or would fill the memory.
    """
    import mammoth  # type: ignore[import-untyped]

    safe, hidden = _safe_docx(raw, file)
    try:
        made = mammoth.convert_to_html(
            io.BytesIO(safe),
            style_map="p[style-name='Title'] => h1:fresh",
            include_embedded_style_map=False,
            convert_image=mammoth.images.img_element(lambda _image: {}),
        )
    except Exception as error:  # noqa: BLE001  (mammoth raises whatever it stumbles over)
        why = "nested too deeply" if isinstance(error, RecursionError) else tidy(str(error))[:120]
        raise InputError(
            f"can't be read as a Word document ({why}); {_SAVE_AS}", file=file
        ) from None
    return _from_markup(made.value, file, vocabulary, literal=True, hidden=hidden)


def from_html(raw: bytes, file: str, vocabulary: Vocabulary) -> Pasted:
    """The text of a web page, a mail, or what was copied out of Word. Raises InputError."""
    text = _CLIPBOARD.sub("", _decoded(raw, file), count=1)
    return _from_markup(text, file, vocabulary)


# -- what comes before the walk ------------------------------------------------------------------------


def _safe_docx(raw: bytes, file: str) -> tuple[bytes, bool]:
    """The parts of the document that are XML, looked at one by one, without hidden text; and whether
    there was any."""
    import zipfile

    remedy = f"Open it in Word and {_SAVE_AS}"
    refuse_zip_bomb(
        io.BytesIO(raw),
        file,
        kind="Word document",
        most=lambda part: _MOST_XML if _is_xml(part) else _MOST_UNPACKED,
        in_all=_MOST_UNPACKED,
        remedy=remedy,
    )
    hidden, elements = False, 0
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as archive, zipfile.ZipFile(made, "w") as safe:
        names = set(archive.namelist())
        _refuse_others(names, file)
        try:
            for name in sorted(filter(_is_xml, names)):
                part = archive.read(name)
                elements += _count(part, file)
                if elements > _MOST_ELEMENTS:
                    raise InputError(f"is larger than any brief; {_SAVE_AS}", file=file)
                if b"vanish" in part:
                    part, some = _without_hidden(part)
                    hidden = hidden or some
                safe.writestr(name, part)
        except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError) as error:
            why = tidy(str(error))[:120]
            raise InputError(f"is a damaged Word document ({why}); {_SAVE_AS}", file=file) from None
    return made.getvalue(), hidden


def _is_xml(name: str) -> bool:
    return name.lower().endswith((".xml", ".rels"))


def _refuse_others(names: set[str], file: str) -> None:
    folders = {name.partition("/")[0] for name in names}
    if "word" in folders or ("[Content_Types].xml" in names and not folders & {"xl", "ppt"}):
        return
    kinds = {"xl": "a workbook", "ppt": "a presentation", "Index": "of Apple's programs"}
    what = next((says for folder, says in kinds.items() if folder in folders), "a zip")
    if "content.xml" in names:
        what = "an OpenDocument file"
    if any(name.endswith(".iwa") for name in names):
        what = kinds["Index"]
    raise InputError(f"is {what}, not Word's; open it in its program and {_SAVE_AS}", file=file)


def _count(part: bytes, file: str) -> int:
    """The elements of a part. Raises InputError for entities, or a nesting that nobody made by writing."""
    from xml.sax import SAXException
    from xml.sax.handler import ContentHandler

    import defusedxml.sax
    from defusedxml.common import DefusedXmlException

    class Counter(ContentHandler):
        elements = deep = 0

        def startElement(self, name: str, attrs: object) -> None:  # noqa: ARG002, N802  (SAX's name)
            self.elements += 1
            self.deep += 1
            if self.deep > _DEEPEST or self.elements > _MOST_ELEMENTS:
                raise InputError(f"is larger or deeper than any brief; {_SAVE_AS}", file=file)

        def endElement(self, name: str) -> None:  # noqa: ARG002, N802
            self.deep -= 1

    counter = Counter()
    try:
        defusedxml.sax.parse(io.BytesIO(part), counter, forbid_dtd=True)
    except DefusedXmlException:
        raise InputError(
            "is a Word document that defines entities, as no office program makes them; it was not "
            "opened",
            file=file,
        ) from None
    except SAXException as error:
        why = tidy(error.getMessage())[:120]
        raise InputError(f"is a damaged Word document ({why}); {_SAVE_AS}", file=file) from None
    return counter.elements


def _without_hidden(part: bytes) -> tuple[bytes, bool]:
    """The part without the runs whose font is hidden, which mammoth takes for any others."""
    from lxml import etree

    root = etree.fromstring(part, etree.XMLParser(resolve_entities=False, no_network=True))
    runs: Any = root.xpath(
        "//*[local-name()='r'][*[local-name()='rPr']/*[local-name()='vanish']"
        "[not(@*[local-name()='val'][.='0' or .='false' or .='off'])]]"
    )
    for run in runs:
        run.getparent().remove(run)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True), bool(runs)


def _decoded(raw: bytes, file: str) -> str:
    """By a byte order mark, what the page says of itself, UTF-8, or the best guess."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if raw.startswith(mark):
            return raw.decode(encoding, "replace")
    said = _CHARSET.search(raw[:8_192])
    name = said[1].decode("ascii") if said else "utf-8"
    if re.fullmatch(r"iso-?8859-1|latin-?1|us-ascii", name, re.IGNORECASE):
        name = "cp1252"  # which is what they are in truth (WHATWG, Encoding)
    for encoding in (name if _ENCODINGS.fullmatch(name) else "utf-8", "utf-8"):
        try:
            return raw.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    from charset_normalizer import from_bytes

    best = from_bytes(raw[:200_000]).best()
    if best is None or best.encoding not in (
        "cp1252",
        "cp1250",
        "cp1251",
        "iso8859_15",
        "mac_roman",
    ):
        return raw.decode("cp1252", "replace") if b"\0" not in raw else _refuse_binary(file)
    return raw.decode(best.encoding, "replace")


def _refuse_binary(file: str) -> str:
    raise InputError(f"is a binary file, not a page; {_SAVE_AS}", file=file)


# -- the walk --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Look:
    bold: bool = False
    italic: bool = False
    code: bool = False
    href: str = ""


_PLAIN_LOOK = _Look()


@dataclass(slots=True)
class _Line:
    kind: Literal["text", "heading", "item", "rule"]
    runs: list[tuple[str, _Look]]
    level: int = 0  #: of a heading; how deep an item lies, from 0
    mark: str = ""  #: of an item, "-" or "2."

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.runs)


@dataclass(slots=True)
class _Walk:
    """What has been read so far, and where we are."""

    vocabulary: Vocabulary
    literal: bool  #: spaces at a paragraph's start are the writer's own
    classes: dict[str, dict[str, str]] = field(default_factory=dict)
    lines: list[_Line] = field(default_factory=list)
    footnotes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _runs: list[tuple[str, _Look]] = field(default_factory=list)
    _next: _Line = field(default_factory=lambda: _Line("text", []))  #: what the open line will be
    _joined: int = 0  #: within a heading or item, where a break is a space
    _characters: int = 0
    _elements: int = 0
    _numbers: dict[Any, int] = field(default_factory=dict)  #: the next one of each numbered list

    def say(self, note: str) -> None:
        if note not in self.notes and len(self.notes) < _MOST_NOTES:
            self.notes.append(note)

    # -- lines ---------------------------------------------------------------------------------------

    def add(self, text: str, look: _Look, *, keep: bool = False) -> None:
        text = text.translate(_UNSEEN)
        self._characters += len(text)
        if self._characters > _LARGEST_TEXT:
            raise _TooMuch
        if text:
            keep = keep or (self.literal and not self._runs)
            self._runs.append((text if keep else _SPACES.sub(" ", text), look))

    def end(self, *, inner: bool = False) -> None:
        """The open line ends; an `inner` end within a heading or an item is only a space."""
        if inner and self._joined:
            if self._runs:
                self._runs.append((" ", _PLAIN_LOOK))
            return
        runs, self._runs = _joined(self._runs), []
        if runs:
            shape, self._next = self._next, _Line("text", [])
            indent = runs[0][0] if not runs[0][0].strip() else ""
            if shape.kind == "text":
                self.lines.append(_Line("text", runs))
            else:
                if indent:
                    runs = runs[1:]
                self.lines.append(replace(shape, runs=runs))
            if len(self.lines) > _MOST_LINES:
                raise _TooMuch

    def begin(self, shape: _Line) -> None:
        self.end()
        self._next = shape

    # -- elements ------------------------------------------------------------------------------------

    def inside(self, element: Any, look: _Look, *, pre: bool = False, depth: int = -1) -> None:
        """Everything in an element; `depth` counts the lists around it, from 0."""
        self._text(element.text, look, pre)
        self._elements += len(element)
        if self._elements > _MOST_ELEMENTS:
            raise _TooMuch
        for child in element:
            if isinstance(child.tag, str):
                self.element(child, look, pre, depth)
            self._text(child.tail, look, pre)

    def _text(self, text: str | None, look: _Look, pre: bool) -> None:
        if not text:
            return
        if not pre:
            self.add(text, look)
            return
        for n, line in enumerate(text.replace("\r\n", "\n").split("\n")):
            if n:
                self.end()
            self.add(line, look, keep=True)

    def element(self, element: Any, look: _Look, pre: bool, depth: int) -> None:
        tag = element.tag.rpartition("}")[2].lower()
        style = self._style(element)
        if tag in _GONE or self._left_out(element, tag, style) or self._is_note(element, tag):
            return
        if tag == "img":
            alt = tidy(element.get("alt") or "")[:100]
            self.say(f"a picture was left out: “{alt}”" if alt else "a picture was left out")
        elif tag == "br":
            self.end(inner=True)
        elif tag == "hr":
            self.end()
            self.lines.append(_Line("rule", [("---", _PLAIN_LOOK)]))
        elif tag == "table":
            self.end()
            self._table(element, look, depth)
        elif re.fullmatch(r"h[1-6]", tag) or element.get("class") == "MsoTitle":
            level = int(tag[1]) if tag != "p" and tag[1:].isdigit() else 1
            self._joining(_Line("heading", [], level), element, _PLAIN_LOOK, depth)
        elif tag == "li":
            self._item(element, self._look(tag, element, style, look), depth)
        elif level_of := _LEVEL.search(element.get("style") or ""):
            self._word_item(element, self._look(tag, element, style, look), int(level_of[1]) - 1)
        elif tag in _BLOCKS or tag == "pre":
            self.end(inner=True)
            inner = self._look(tag, element, style, look)
            self.inside(
                element, inner, pre=pre or tag == "pre", depth=depth + (tag in ("ul", "ol"))
            )
            self.end(inner=True)
        else:
            opening, closing = "“”" if tag == "q" else ("", "")
            self.add(opening, look)
            self.inside(element, self._look(tag, element, style, look), pre=pre, depth=depth)
            self.add(closing, look)

    def _style(self, element: Any) -> dict[str, str]:
        style: dict[str, str] = {}
        for name in (element.get("class") or "").split()[:20]:
            style |= self.classes.get(name, {})
        return style | _declared(element.get("style") or "")

    def _look(self, tag: str, element: Any, style: dict[str, str], look: _Look) -> _Look:
        bold, italic, href = look.bold or tag in _BOLD, look.italic or tag in _ITALIC, look.href
        weight = style.get("font-weight", "")
        if weight:
            bold = weight in ("bold", "bolder") or bool(re.fullmatch(r"[6-9]\d\d|1000", weight))
        if slant := style.get("font-style", ""):
            italic = slant.startswith(("italic", "oblique"))
        if tag == "a":
            href = _address(element.get("href") or "")
        return _Look(bold, italic, look.code or tag in _CODE, href)

    def _left_out(self, element: Any, tag: str, style: dict[str, str]) -> bool:
        """Whether an element is not seen, or is not the writer's."""
        css = element.get("style") or ""
        if (
            element.get("hidden") is not None
            or style.get("display") == "none"
            or style.get("visibility") == "hidden"
            or style.get("mso-hide") == "all"
            or "mso-element:comment" in css.replace(" ", "")
            or (tag == "a" and _COMMENT.match(element.get("href") or ""))
            or (tag in ("div", "p") and _links(element, _COMMENT))
        ):
            return True
        if tag in _STRUCK or "line-through" in style.get("text-decoration", ""):
            if struck := tidy(" ".join(element.itertext()))[:60]:
                self.say(f"struck-out text was left out: “{struck}”")
            return True
        if (
            _MAIL.search(element.get("class") or "")
            or element.get("id") in _MAIL_IDS
            or (tag == "p" and _MAIL_HEAD.match("".join(element.itertext())[:2_000].lstrip()))
        ):
            if words := tidy(" ".join(element.itertext()))[:60]:
                self.say(f"a line of the mail program was left out: “{words}”")
            return True
        return False

    def _is_note(self, element: Any, tag: str) -> bool:
        """Whether it is a footnote's text, which is then kept for the end."""
        named = tag == "li" and _NOTE_ID.match(element.get("id") or "")
        if not named and not (tag in ("p", "div") and _links(element, _NOTE)):
            return False
        if not named and tag == "div" and len(element) > 1:
            return False  # all of them, or more than them: each has its own within
        words = _Walk(self.vocabulary, literal=False, classes=self.classes)
        for link in element.iter("a"):
            if _NOTE.match(link.get("href") or ""):
                link.text = ""
                del link.attrib["href"]  # its paragraph is read below, and is no note of its own
                for child in list(link):
                    link.remove(child)
        words.inside(element, _PLAIN_LOOK)
        words.end()
        text = tidy(" ".join(_markdown(line.runs) for line in words.lines))
        if text:
            self.footnotes.append(text)
        return True

    def _joining(self, shape: _Line, element: Any, look: _Look, depth: int) -> None:
        self.begin(shape)
        self._joined += 1
        self.inside(element, look, depth=depth)
        self._joined -= 1
        self.end()
        self._next = _Line("text", [])

    def _item(self, element: Any, look: _Look, depth: int) -> None:
        parent = element.getparent()
        mark = "-"
        if parent is not None and parent.tag == "ol":
            start = parent.get("start") or "1"
            first = int(start) if re.fullmatch(r"[0-9]{1,3}", start) else 1
            number = self._numbers.get(parent, first)
            self._numbers[parent] = number + 1
            mark = f"{number}."
        self._joining(_Line("item", [], max(0, depth), mark), element, look, depth)

    def _word_item(self, element: Any, look: _Look, depth: int) -> None:
        """A paragraph that Word calls a list's: its bullet or number is text of its own."""
        mark = "-"
        for child in element.iter():
            if "mso-list:ignore" in (child.get("style") or "").replace(" ", "").lower():
                shown = tidy("".join(child.itertext()).replace("\u00a0", " "))
                mark = shown if re.fullmatch(r"\d{1,3}\.", shown) else "-"
                for inner in list(child):
                    child.remove(inner)
                child.text = ""
                break
        self._joining(_Line("item", [], depth, mark), element, look, depth)

    def _table(self, table: Any, look: _Look, depth: int) -> None:
        """A table of layout is what is in it; rows of data become items, a label's row its label."""
        rows = [row for row in table.iter("tr") if next(row.iterancestors("table")) is table]
        cells = [[cell for cell in row if cell.tag in ("td", "th")] for row in rows]
        layout = any(next(cell.iter("table"), None) is not None for row in cells for cell in row)
        if layout or all(len(row) < 2 for row in cells) or table.get("role") == "presentation":
            for row in cells:
                for cell in row:
                    self.end(inner=True)
                    self.inside(cell, self._look("td", cell, self._style(cell), look), depth=depth)
                    self.end(inner=True)
            return
        taken = 0
        for row in cells:
            texts = [runs for cell in row if (runs := self._cell(cell, look))]
            if not texts:
                continue
            first = "".join(text for text, _ in texts[0]).strip()
            if len(row) == 2 and self.vocabulary.role_of(first):
                self.lines.append(_Line("text", [(first, _Look(bold=True))]))
                self.inside(row[1], look, depth=depth)
                self.end()
                continue
            taken += 1
            between = (
                ": "
                if len(row) == 2 and not first.endswith(":")
                else " "
                if len(row) == 2
                else " | "
            )
            runs = list(texts[0])
            for other in texts[1:]:
                runs += [(between, _PLAIN_LOOK), *other]
            self.lines.append(_Line("item", runs, 0, "-"))
        if taken:
            rows_ = "1 row" if taken == 1 else f"{taken} rows"
            self.say(f"a table of {rows_} became list items; see whether they read well")

    def _cell(self, cell: Any, look: _Look) -> list[tuple[str, _Look]]:
        before, runs, shape = self.lines, self._runs, self._next
        self.lines, self._runs, self._next = [], [], _Line("text", [])
        self._joined += 1
        self.inside(cell, self._look("td", cell, self._style(cell), look))
        self._joined -= 1
        self.end()
        made = self.lines
        self.lines, self._runs, self._next = before, runs, shape
        joined: list[tuple[str, _Look]] = []
        for line in made:
            joined += [(" ", _PLAIN_LOOK)] * bool(joined) + line.runs
        return joined


class _TooMuch(Exception):  # noqa: N818  (a signal within this module, not an error that is shown)
    pass


def _declared(css: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in css[:2_000].split(";"))
    return {name.strip().lower(): value.strip().lower() for name, _, value in pairs if value}


def _links(element: Any, target: re.Pattern[str]) -> bool:
    """Whether the first link in an element leads back to where a note or comment is named."""
    first = next(element.iter("a"), None)
    return (
        first is not None
        and bool(target.match(first.get("href") or ""))
        and bool(re.search(r"ref", first.get("href")))
    )


def _address(href: str) -> str:
    """An address that a brief may hold, taken out of the detours of Google and Outlook; else empty."""
    href = re.sub(r"[\x00-\x20\u00a0]+", "", href)
    try:
        parts = urlsplit(href)
        host, query = parts.hostname or "", parse_qs(parts.query)
    except ValueError:
        return ""
    inner: list[str] = []
    if host in ("www.google.com", "google.com") and parts.path == "/url":
        inner = query.get("q") or query.get("url") or []
    elif host.endswith(".safelinks.protection.outlook.com"):
        inner = query.get("url") or []
    if inner and _SAFE.match(inner[0]):
        href = re.sub(r"[\x00-\x20]+", "", inner[0])
    if not _SAFE.match(href) or len(href) > 2_000:
        return ""
    return re.sub(r"[()<>\[\]\"\\`*_]", lambda found: _QUOTED.get(found[0], found[0]), href)


_QUOTED = {
    "(": "%28",
    ")": "%29",
    "<": "%3C",
    ">": "%3E",
    "[": "%5B",
    "]": "%5D",
    '"': "%22",
    "\\": "%5C",
}


def _joined(runs: Sequence[tuple[str, _Look]]) -> list[tuple[str, _Look]]:
    """Runs of the same look as one, without spacing at the ends but for an indent of its own."""
    whole = "".join(text for text, _ in runs)
    if not whole.strip():
        return []
    lead = len(whole) - len(whole.lstrip())
    made: list[tuple[str, _Look]] = []
    for text, look in runs:
        if not text.strip() and made:
            look = made[-1][1]  # a space has no look of its own  # noqa: PLW2901
        if made and made[-1][1] == look:
            made[-1] = (made[-1][0] + text, look)
        else:
            made.append((text, look))
    made = [(_SPACING.sub(" ", text), look) for text, look in made]
    while made and not made[0][0].strip():
        made.pop(0)
    made[0] = (made[0][0].lstrip(), made[0][1])
    while not made[-1][0].strip():
        made.pop()
    made[-1] = (made[-1][0].rstrip(), made[-1][1])
    if lead > 1:  # a single one is an accident
        made.insert(0, (" " * min(lead, 8), _PLAIN_LOOK))
    return made


# -- from lines to text ------------------------------------------------------------------------------


def _from_markup(
    text: str, file: str, vocabulary: Vocabulary, *, literal: bool = False, hidden: bool = False
) -> Pasted:
    from lxml import etree
    from lxml import html as lxml_html

    parser = lxml_html.HTMLParser(encoding="utf-8", remove_pis=True, remove_comments=False)
    try:
        markup = text.replace("\0", "").encode("utf-8", "replace")
        root = lxml_html.document_fromstring(markup, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        raise _empty(file) from None
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise InputError(f"is nested too deeply to be read; {_SAVE_AS}", file=file)
    walk = _Walk(vocabulary, literal)
    for sheet in root.iter("style"):
        for name, declared in _RULE.findall(_AT_RULE.sub("", (sheet.text or "")[:200_000])):
            walk.classes[name] = walk.classes.get(name, {}) | _declared(declared)
    try:
        walk.inside(root, _PLAIN_LOOK)
        walk.end()
    except _TooMuch:
        raise InputError(
            f"is far larger than a brief: more than {_MOST_LINES:,} paragraphs, a million characters or "
            f"{_MOST_ELEMENTS:,} elements",
            file=file,
        ) from None
    if hidden:
        walk.say("hidden text was left out")
    front, lines = _front_matter(walk.lines)
    if not lines and not front:
        pictures = ", only pictures" if any("picture" in note for note in walk.notes) else ""
        raise _empty(file, pictures)
    if walk.footnotes:
        many = len(walk.footnotes)
        walk.say(
            "a footnote stands at the end" if many == 1 else f"{many} footnotes stand at the end"
        )
        lines.append(_Line("text", [(vocabulary.labels["note"][0], _Look(bold=True))]))
        lines += [
            _Line("item", [(f"[{n}] {words}", _PLAIN_LOOK)], 0, "-")
            for n, words in enumerate(walk.footnotes, 1)
        ]
    return Pasted(front + _written(lines, front, vocabulary), tuple(walk.notes))


def _empty(file: str, pictures: str = "") -> InputError:
    return InputError(f"holds no text{pictures}; paste the brief into it", file=file)


def _front_matter(lines: list[_Line]) -> tuple[str, list[_Line]]:
    """What stands between lines of three hyphens at the top, as it was typed; and the rest."""
    body = [line for line in lines if line.kind != "rule"]
    if not lines or not _FENCE.fullmatch(lines[0].text):
        return "", body
    for end, line in enumerate(lines[1:], 1):
        if line.text in ("---", "...", "—") or line.kind == "rule":
            typed = [f"{'- ' if one.kind == 'item' else ''}{one.text}" for one in lines[1:end]]
            rest = [one for one in lines[end + 1 :] if one.kind != "rule"]
            return "\n".join(["---", *typed, "---", "", ""]), rest
    return "", body


def _written(lines: Sequence[_Line], front: str, vocabulary: Vocabulary) -> str:
    """As plain text with labels; as Markdown where the document has headings of its own, or where its
    writer typed Markdown."""
    marked = any(line.kind == "heading" for line in lines)
    if not marked:
        plain = _assembled(lines, list(_plain_lines(lines, vocabulary)))
        if not split_source(front + plain, vocabulary).markdown:
            return plain
        if not any(_label(line, vocabulary) for line in lines):
            return plain
    return _assembled(lines, list(_markdown_lines(lines, vocabulary)))


def _assembled(lines: Sequence[_Line], written: Sequence[str]) -> str:
    parts: list[str] = []
    for n, text in enumerate(written):
        if n:
            parts.append("\n" if lines[n].kind == lines[n - 1].kind == "item" else "\n\n")
        parts.append(text)
    return "".join(parts) + "\n"


def _plain_lines(lines: Sequence[_Line], vocabulary: Vocabulary) -> Iterator[str]:
    for line in lines:
        if hit := _label(line, vocabulary):
            label, rest = hit
            yield f"{label}: {_markdown(rest)}" if rest else f"{label}:"
        elif _is_bold(line) and _is_short(line.text):
            yield line.text  # a heading by its shape, once it is no emphasis any more
        else:
            yield _item(line) if line.kind == "item" else _markdown(line.runs)


def _markdown_lines(lines: Sequence[_Line], vocabulary: Vocabulary) -> Iterator[str]:
    titled = any(
        line.kind == "heading" and line.level == 1 and not vocabulary.role_of(line.text)
        for line in lines
    )
    for n, line in enumerate(lines):
        following = lines[n + 1] if n + 1 < len(lines) else None
        if line.kind == "heading":
            level = line.level
            if not titled and not vocabulary.role_of(line.text):
                level, titled = 1, True
            plain = [(text, replace(look, bold=False)) for text, look in line.runs]
            yield f"{'#' * level} {_markdown(plain)}"
        elif hit := _label(line, vocabulary) or _unmarked_label(line, vocabulary):
            label, rest = hit
            yield f"**{label}:** {_markdown(rest)}".rstrip()
        elif (
            _is_bold(line)
            and line.kind == "text"
            and _is_short(line.text)
            and following is not None
            and following.kind != "heading"
        ):
            yield f"### {line.text.strip()}"
        else:
            yield _item(line) if line.kind == "item" else _markdown(line.runs)


def _item(line: _Line) -> str:
    return f"{'  ' * line.level}{line.mark} {_markdown(line.runs)}"


def _is_bold(line: _Line) -> bool:
    return all(look.bold for text, look in line.runs if text.strip())


def _is_short(text: str) -> bool:
    text = text.strip().rstrip("\"'”’»)")
    return (
        len(text) <= _LENGTH_OF_HEADING
        and len(text.split()) <= _WORDS_OF_HEADING
        and not text.endswith((".", ",", ";", "…", ":"))
    )


def _label(line: _Line, vocabulary: Vocabulary) -> tuple[str, list[tuple[str, _Look]]] | None:
    """A bold label that opens a paragraph, alone or with text in the same bold; and what follows."""
    if line.kind != "text":
        return None
    runs = line.runs[1:] if not line.runs[0][0].strip() else line.runs
    bold: list[tuple[str, _Look]] = []
    for text, look in runs:
        if not look.bold and text.strip():
            break
        bold.append((text, look))
    rest = runs[len(bold) :]
    head = "".join(text for text, _ in bold)
    if not head or len(head) > 20_000:
        return None
    if vocabulary.role_of(head):
        return bare(head), _from(rest, 0)
    hit = vocabulary.match(head)
    if hit is None:
        return None
    below = _from(bold, hit.offset)
    if not rest:  # all of it is bold for the label's sake
        below = [(text, replace(look, bold=False)) for text, look in below]
    return hit.label, _from([*below, *rest], 0)


def _unmarked_label(
    line: _Line, vocabulary: Vocabulary
) -> tuple[str, list[tuple[str, _Look]]] | None:
    """A label as plain text has it, in a document whose other labels are marked."""
    if line.kind != "text" or line.text.startswith((" ", "*", "_", "#")):
        return None
    hit = vocabulary.match(line.text)
    if hit is None or (hit.rest and vocabulary.is_remark(hit.label)):
        return None
    return hit.label, _from(line.runs, hit.offset)


def _from(runs: Sequence[tuple[str, _Look]], offset: int) -> list[tuple[str, _Look]]:
    """The runs from a character on, without a colon, dash or space at their start."""
    made: list[tuple[str, _Look]] = []
    for text, look in runs:
        cut = text[offset:] if offset < len(text) else ""
        offset = max(0, offset - len(text))
        if not made:
            cut = _COLON.sub("", cut)
        if cut:
            made.append((cut, look))
    return made


def _markdown(runs: Sequence[tuple[str, _Look]]) -> str:
    """One line of inline Markdown. What the writer typed as Markdown stays as it was typed."""
    if all(look == _PLAIN_LOOK for _, look in runs):
        return "".join(text for text, _ in runs)
    from markdownify import markdownify

    indent = runs[0][0] if not runs[0][0].strip() else ""
    made: str = markdownify(
        "".join(_tagged(text, look) for text, look in runs),
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
        autolinks=False,
    )
    return indent + _SPACES.sub(" ", made).strip()


def _tagged(text: str, look: _Look) -> str:
    made = html.escape(text, quote=False)
    wraps: list[tuple[bool, Callable[[str], str]]] = [
        (look.code, lambda inner: f"<code>{inner}</code>"),
        (look.italic, lambda inner: f"<em>{inner}</em>"),
        (look.bold, lambda inner: f"<strong>{inner}</strong>"),
        (
            bool(look.href) and text.strip() != look.href,
            lambda inner: f'<a href="{html.escape(look.href)}">{inner}</a>',
        ),
    ]
    for wanted, wrap in wraps:
        if wanted:
            made = wrap(made)
    return made
