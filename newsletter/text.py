"""Small, pure treatments of text that several packages share. Knows no other part of the project."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from rapidfuzz import fuzz, process

LINE_BREAKS = re.compile(r"\r\n|[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_SPACES = re.compile(r"[ \t\r\n\x0b\x0c\x1c-\x1f\x85\u2028\u2029]+")
# Control characters, surrogates, the BOM, and the bidirectional overrides that can make a line read
# as something else ("Trojan source"). The marks LRM, RLM, ZWJ and ZWNJ stay: languages need them.
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]"
)
# What a browser or an office program slips in unseen: soft hyphens, zero-width spaces and joiners.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufe0f\ufeff]")
_DASHES_AND_SPACES = re.compile(r"[\s\-_\u2010-\u2015]+")
_QUOTES = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201b": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"'}
)


def clean(text: str) -> str:
    """NFC, without control and direction-override characters; line breaks stay as they are."""
    return _UNWANTED.sub("", unicodedata.normalize("NFC", text))


def tidy(text: str) -> str:
    """One line: cleaned, runs of spaces and line breaks folded to one space, ends stripped.

    No-break spaces are kept, since editors set them on purpose. `tidy(tidy(x)) == tidy(x)`.
    """
    return _SPACES.sub(" ", clean(text)).strip()


def fold(text: str) -> str:
    """For comparing labels: case, quotes, hyphens, spacing and what can't be seen no longer matter."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).translate(_QUOTES).casefold()
    return _DASHES_AND_SPACES.sub(" ", plain).strip()


def slugify(text: str) -> str:
    """Lower-case ASCII letters and digits joined by hyphens, at most 80 characters.

    A text without any gets a stable slug of its hash, so that no file stem is ever without one.
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", ascii_text))[:80].strip("-")
    return slug or "brief-" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """` Did you mean "…"?` for the closest option, or an empty string when none is close."""
    best = process.extractOne(
        word, list(options), scorer=fuzz.WRatio, processor=fold, score_cutoff=70
    )
    return f' Did you mean "{best[0]}"?' if best else ""


def listed(names: Iterable[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    names = list(names)
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def masked(address: str) -> str:
    """`a***@example.com`: who it is can't be read off a log, which server it was can."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}"
