"""Which encoding a file of text is in, found out by reading it through once. What no table has (NUL bytes,
endless lines, two encodings in one file) is refused with its line.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import IO

from newsletter.errors import InputError

_BLOCK = 1 << 20  # bytes
LONGEST_LINE = _BLOCK  #: bytes
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# One byte a character, and what files of spreadsheets are in; others would be guesses on little text.
_LEGACY = ("cp1252", "cp1250", "cp1251", "iso8859_15", "mac_roman")
# What Python can decode, and no file of a table is written in.
_NO_ENCODINGS = (
    "punycode", "idna", "undefined", "unicode_escape", "raw_unicode_escape", "base64", "bz2", "hex",
    "quopri", "rot_13", "uu", "zlib",
)  # fmt: skip


def encoding_of(file: IO[bytes], name: str, wanted: str | None) -> tuple[str, str]:
    """The encoding, and a note when it was guessed. Reads the file through once."""
    head = file.read(4)
    file.seek(0)
    bom = next((encoding for mark, encoding in _BOMS if head.startswith(mark)), None)
    if wanted:
        try:
            known = codecs.lookup(wanted).name
        except (LookupError, ValueError):
            known = ""
        if not known or known.replace("-", "_") in _NO_ENCODINGS:
            raise InputError(f'"{wanted}" is no encoding; give one such as utf-8 or cp1252')
    encoding = wanted or bom or "utf-8"
    refusal = _scan(file, name, encoding)
    if refusal is None:
        return encoding, ""
    if wanted or bom or refusal.after_letters:
        raise refusal.error
    guessed = _guess(refusal.around)
    if guessed is None:
        raise refusal.error
    _refuse_mixed(file, name, guessed)
    return guessed, f"read as {guessed}, since it is not UTF-8 (line {refusal.line})"


@dataclass(frozen=True, slots=True)
class _Undecodable:
    error: InputError
    line: int
    around: bytes
    after_letters: bool  #: there were letters beyond ASCII before it, which were right


def _scan(file: IO[bytes], name: str, encoding: str) -> _Undecodable | None:
    """Read a file through: raises InputError for bytes and lines that no table has; returns the first
    place that is not in this encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    wide = encoding.startswith("utf-16")
    line, since, letters = 1, 0, False
    file.seek(0)
    while True:
        block = file.read(_BLOCK)
        if not wide and (nul := block.find(b"\0")) >= 0:
            line += _line_ends(block[:nul])
            raise InputError("holds NUL bytes, so it is no table", file=name, line=line)
        try:
            text = decoder.decode(block, not block)
        except UnicodeDecodeError as error:
            at = error.start
            line += _line_ends(error.object[:at])
            reason = (
                f"is not {encoding.removesuffix('-sig').upper()} (byte 0x{error.object[at]:02x}); "
                "save it in one encoding, best UTF-8, or name it with --encoding"
            )
            around = bytes(error.object[max(0, at - 2_000) : at + 2_000])
            letters = letters or not error.object[:at].isascii()
            refusal = InputError(reason, file=name, line=line)
            return _Undecodable(refusal, line, around, letters)
        if not block:
            return None
        letters = letters or not text.isascii()
        since = _longest_line(block, since, name, line)
        line += _line_ends(block)


def _line_ends(block: bytes) -> int:
    return block.count(b"\n") or block.count(b"\r")


def _longest_line(block: bytes, since: int, name: str, line: int) -> int:
    """Bytes since the last line end, which may be CR alone. A line within one block is never too long."""
    first = min((at for at in (block.find(b"\n"), block.find(b"\r")) if at >= 0), default=-1)
    if since + (len(block) if first < 0 else first) > LONGEST_LINE:
        raise InputError(
            f"has a line of more than {LONGEST_LINE:,} bytes, so it is no table",
            file=name,
            line=line,
        )
    if first < 0:
        return since + len(block)
    return len(block) - max(block.rfind(b"\n"), block.rfind(b"\r")) - 1


def _guess(around: bytes) -> str | None:
    from charset_normalizer import from_bytes

    found = from_bytes(around, cp_isolation=list(_LEGACY))
    best = found.best()
    if best is None:
        return None
    # of those that read it equally well, the one that is met most
    alike = {one.encoding for one in found if one.chaos <= best.chaos + 0.02}
    alike |= set(best.could_be_from_charset)
    return next(encoding for encoding in _LEGACY if encoding in alike)


def _refuse_mixed(file: IO[bytes], name: str, encoding: str) -> None:
    """A line that is UTF-8 in a file that is something else came from another file."""
    file.seek(0)
    for number, line in enumerate(file, 1):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            continue
        raise InputError(
            f"is UTF-8 here and {encoding} before: two encodings in one file. Save it in one of them",
            file=name,
            line=number,
        )
