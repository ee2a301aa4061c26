"""Sentences, words and how hard they are to read. Knows no briefs."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

WORDS_A_MINUTE = 230
_WORD = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?")
# Where a sentence may end: a mark and white space, or a mark of a script that sets no spaces.
_END = re.compile(r"(?:(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s)|[。！？｡][\"'”’」』）]*+)\s*+")
_OPEN = "\"'“‘«„([「『（"
_LONG = 7  # letters; Anderson counts words of seven and more
_LETTERS = re.compile(r"[^\W\d_]")
#: Long words a sentence (RIX) and the school year that reads it with ease: J. Anderson, "Lix and Rix:
#: Variations on a little-known readability index", Journal of Reading 26 (1983), p. 495. 13 is college.
_GRADES = (
    (7.2, 13), (6.2, 12), (5.3, 11), (4.5, 10), (3.7, 9), (3.0, 8), (2.4, 7), (1.8, 6), (1.3, 5),
    (0.8, 4), (0.5, 3), (0.2, 2),
)  # fmt: skip
#: Languages that are written without spaces between words: nothing here counts their words.
SPACELESS = frozenset({"bo", "ja", "km", "lo", "my", "th", "yue", "zh"})
#: Languages that write "3rd" as "3."
_ORDINAL_DOT = frozenset(
    {"bs", "cs", "da", "de", "et", "fi", "fo", "hr", "hu", "is", "lv", "nb", "nn", "no", "sk", "sl", "sr"}
)  # fmt: skip
# Behind a full stop these tell nothing of the sentence's end: never; only before a number; or they do end it
# unless what follows still belongs to the name or the hour.
_NEVER = re.compile(
    r"\b(?:e\.g|i\.e|vs|approx|cf|Dr|Mr|Mrs|Ms|Mme|Prof|St|z\.\s?B|d\.\s?h|u\.\s?a|bzw|ca|vgl|p\.\s?ex)\.$"
)
_BEFORE_NUMBER = re.compile(r"\b(?:No|Nos|Nr|Art|Abs|Fig|Vol|pp?|S)\.$")
_HOUR = re.compile(r"\b[ap]\.\s?m\.$")
_INITIAL = re.compile(r"(?:\b|\.)[^\W\d_]\.$")  # "J. Anderson", "U.S. Treasury"
_NUMBER = re.compile(r"(?<![\w.,])\d{1,3}\.$")
_COMPANY = re.compile(r"\b(?:Inc|Ltd|Co|Corp)\.$")


def words_of(text: str) -> list[str]:
    """The words of a text; numbers are none."""
    return _WORD.findall(text)


def sentences(text: str, language: str = "en") -> Iterator[str]:
    """The sentences of one paragraph. A full stop behind an ordinal ("am 3. Dezember") or an abbreviation
    ends none; "。" does."""
    start = 0
    for end in _END.finditer(text):
        stop = end.start() + len(end[0].rstrip())
        if end.end() < len(text) and _ends(
            text[max(0, stop - 40) : stop], text, end.end(), language
        ):
            yield text[start:stop]
            start = end.end()
    if start < len(text):
        yield text[start:]


def _ends(before: str, text: str, begin: int, language: str) -> bool:
    """Whether the mark at the end of `before` ends a sentence, when the text goes on at `begin`."""
    while begin < len(text) and text[begin] in _OPEN:
        begin += 1
    ahead = text[begin : begin + 40]
    if before.rstrip("\"'”’」』）")[-1:] in "。！？｡":
        return True
    if not ahead[:1].isalnum() or ahead[:1].islower():
        return False
    if not before.endswith(".") or before.endswith(".."):
        return True
    following = _WORD.match(ahead)
    word = following[0] if following else ""
    if _NEVER.search(before):
        return False
    if _BEFORE_NUMBER.search(before) and ahead[:1].isdigit():
        return False
    if _NUMBER.search(before):  # "Version 3. 7", "die 2. Auflage"
        dotted = language.partition("-")[0].lower() in _ORDINAL_DOT
        return not ahead[:1].isdigit() and (not dotted or word in _sentence_words("openers"))
    if _HOUR.search(before):
        return word not in _sentence_words("of_hour") and not (word.isupper() and len(word) > 1)
    if _COMPANY.search(before):
        return word not in _sentence_words("of_name")
    if _INITIAL.search(before):
        return word in _sentence_words("openers")
    return True


def grade(texts: Iterable[str], language: str = "en") -> int:
    """The school year that reads these paragraphs with ease, 1 to 13 (college), by RIX: it needs no
    syllables and holds for other languages than English."""
    long = count = 0
    for text in texts:
        for sentence in sentences(text, language):
            count += 1
            long += sum(len(_LETTERS.findall(word)) >= _LONG for word in words_of(sentence))
    if not count:
        return 1
    return next((year for least, year in _GRADES if long / count >= least), 1)


def minutes(words: int) -> int:
    """Reading time, at least one minute."""
    return max(1, math.ceil(words / WORDS_A_MINUTE))


@dataclass(frozen=True)
class Lists:
    """What is looked for in one language; patterns match whole words in any case."""

    placeholders: re.Pattern[str]
    hedges: re.Pattern[str]
    cliches: re.Pattern[str]
    verbs: frozenset[str]
    common: frozenset[str]
    objects: frozenset[str]  #: what stands behind a verb in a request
    finite: frozenset[str]  #: what stands in a statement, besides verbs in -s and -ed


@cache
def lists(language: str) -> Lists:
    """The words of a language; of one that we have none for, what is a placeholder everywhere."""
    table = _table()
    found = table.get(language.partition("-")[0].lower(), table["_any"])
    return Lists(
        placeholders=re.compile("|".join(f"(?:{part})" for part in _scoped(found["placeholders"]))),
        hedges=phrases(found.get("hedges", ())),
        cliches=phrases(found.get("cliches", ())),
        verbs=frozenset(found.get("verbs", "").split()),
        common=frozenset(found.get("common", "").split()),
        objects=frozenset(found.get("objects", "").split()),
        finite=frozenset(found.get("finite", "").split()),
    )


def _scoped(patterns: Iterable[str]) -> Iterator[str]:
    """`(?i)` at the start of one pattern holds for that one only."""
    for pattern in patterns:
        yield f"(?i:{pattern[4:]})" if pattern.startswith("(?i)") else pattern


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(files("newsletter.checks").joinpath("words.toml").read_text("utf-8"))


@cache
def _sentence_words(kind: str) -> frozenset[str]:
    return frozenset(_table()["_sentences"][kind].split())


def phrases(wanted: Iterable[str]) -> re.Pattern[str]:
    """A pattern for any of these phrases as whole words, in any case, whatever the apostrophe."""
    parts = [
        re.escape(one).replace(r"\ ", r"\s+").replace("'", "['’]").replace(r"\-", "[-‑]")
        for one in sorted(wanted, key=len, reverse=True)
    ]
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts) or '(?!)'})(?!\w)", re.IGNORECASE)
