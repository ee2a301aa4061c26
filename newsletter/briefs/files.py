"""Reading a brief from a file: text as it is, documents through `paste`, refusals for all else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import IO

from newsletter.briefs.blocks import split_source
from newsletter.briefs.model import ParsedBrief
from newsletter.briefs.parse import parse_brief
from newsletter.briefs.paste import LARGEST_DOCUMENT, Pasted, from_docx, from_html, kind_of
from newsletter.briefs.vocabulary import Audiences, Vocabulary
from newsletter.errors import InputError
from newsletter.text import LINE_BREAKS, slugify

LARGEST = 250_000  #: bytes; a brief is a page of text, anything this big is another kind of file


STANDARD_INPUT = Path("-")


@dataclass(frozen=True, slots=True)
class TakenBrief:
    """A brief as it was handed in."""

    text: str
    parsed: ParsedBrief
    ending: str  #: of the file's name, lower case with its dot; empty for none
    suffix: str  #: that its text should have, ".md" or ".txt"
    document: bool = False  #: whether the text was taken out of a document
    notes: tuple[str, ...] = ()  #: what an editor should know of how it was


def read_text(path: Path) -> str:
    """The file as text. Raises InputError for what is missing, empty, too big, binary or not UTF-8."""
    raw = _raw(path, LARGEST)
    return decode(raw, str(path))


def _raw(path: Path, largest: int) -> bytes:
    try:
        if path.is_dir():
            raise InputError("is a folder; name the brief's file", file=str(path))
        if path.stat().st_size > largest:
            raise _too_large(str(path), largest)
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError("there is no such file", file=str(path)) from None
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file=str(path)) from error


def _too_large(file: str, largest: int) -> InputError:
    return InputError(f"is larger than {largest // 1000} kB, which no brief is", file=file)


def decode(raw: bytes, file: str) -> str:
    """UTF-8 with or without BOM; UTF-16 only with one. Raises InputError, also for an empty text."""
    text = _decoded(raw, file)
    if not text.strip("\ufeff \t\r\n"):
        raise InputError("is empty; paste the brief into it", file=file, line=1)
    return text


def _decoded(raw: bytes, file: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16")
        except UnicodeDecodeError:
            raise InputError("begins like UTF-16 and is not; save it as UTF-8", file=file) from None
    if b"\0" in raw:
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise InputError(
            "is a binary file, not text; save the brief as .txt or .md", file=file, line=line
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(
            f"is not UTF-8 (byte 0x{raw[error.start]:02x}); save it with the encoding UTF-8",
            file=file,
            line=line,
        ) from None


def read_brief(
    path: Path,
    *,
    vocabulary: Vocabulary,
    audiences: Audiences | None = None,
    shown_as: str | None = None,
    day: date | None = None,
) -> ParsedBrief:
    """Read and parse one file. `shown_as` is the name that findings bear (the path if None); `day` that
    on which it is sent, see `parse_brief`."""
    taken = take_brief(path, vocabulary=vocabulary, audiences=audiences, shown_as=shown_as, day=day)
    return taken.parsed


def take_brief(
    path: Path,
    *,
    vocabulary: Vocabulary,
    audiences: Audiences | None = None,
    shown_as: str | None = None,
    stdin: IO[bytes] | None = None,
    day: date | None = None,
) -> TakenBrief:
    """A brief in a file, or on `stdin` for the path `-`: text, DOCX or HTML, told apart by content
    where the name does not say. Raises InputError, with the remedy, for what is none of them."""
    if stdin is not None and path == STANDARD_INPUT:
        file, raw, suffix, name = "standard input", stdin.read(LARGEST_DOCUMENT + 1), "", ""
        if len(raw) > LARGEST_DOCUMENT:
            raise _too_large(file, LARGEST_DOCUMENT)
    else:
        raw = _raw(path, LARGEST_DOCUMENT)
        file, suffix, name = shown_as or str(path), path.suffix.lower(), path.name
    kind = kind_of(raw, suffix, file)
    if kind == "text":
        if len(raw) > LARGEST:
            raise _too_large(file, LARGEST)
        pasted = Pasted(decode(raw, file))
    else:
        pasted = (from_docx if kind == "docx" else from_html)(raw, file, vocabulary)
    parsed = parse_brief(
        pasted.text, name=name, vocabulary=vocabulary, audiences=audiences, file=file, day=day
    )
    if not name:  # what is piped in is called by its headline
        headline = parsed.brief.headline
        parsed = parse_brief(
            pasted.text,
            name=slugify(headline),
            vocabulary=vocabulary,
            audiences=audiences,
            file=file,
        )
    if kind != "text":
        return TakenBrief(
            pasted.text, _with_excerpts(parsed, pasted.text), suffix, ".md", True, pasted.notes
        )
    piped_markdown = not name and split_source(pasted.text, vocabulary).markdown
    markdown = piped_markdown or suffix in (".md", ".markdown")
    return TakenBrief(pasted.text, parsed, suffix, ".md" if markdown else ".txt")


def _with_excerpts(parsed: ParsedBrief, text: str) -> ParsedBrief:
    """Errors with the paragraph that they are about: a document has no lines to look them up by."""
    lines = LINE_BREAKS.split(text)
    findings = []
    for finding in parsed.findings:
        quoted = lines[finding.line - 1].strip()[:70] if finding.blocks and finding.line else ""
        message = f"{finding.message} (“{quoted}”)" if quoted else finding.message
        findings.append(replace(finding, message=message))
    return replace(parsed, findings=tuple(findings))
