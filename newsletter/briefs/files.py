"""Reading a brief from a file, with refusals for what is no text."""

from __future__ import annotations

from pathlib import Path

from newsletter.briefs.lint import lint_brief
from newsletter.briefs.model import ParsedBrief
from newsletter.briefs.parse import parse_brief
from newsletter.briefs.vocabulary import Audiences, Vocabulary
from newsletter.errors import InputError

LARGEST = 250_000  #: bytes; a brief is a page of text, anything this big is another kind of file


def read_text(path: Path) -> str:
    """The file as text. Raises InputError for what is missing, empty, too big, binary or not UTF-8."""
    try:
        if path.is_dir():
            raise InputError("is a folder; name the brief's file", file=str(path))
        if path.stat().st_size > LARGEST:
            raise InputError(
                f"is larger than {LARGEST // 1000} kB, which no brief is", file=str(path)
            )
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError("there is no such file", file=str(path)) from None
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file=str(path)) from error
    return decode(raw, str(path))


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
) -> ParsedBrief:
    """Read, parse and lint one file. `shown_as` is the name that findings bear (the path if None)."""
    file = shown_as or str(path)
    parsed = parse_brief(
        read_text(path), name=path.name, vocabulary=vocabulary, audiences=audiences, file=file
    )
    return lint_brief(parsed)
