"""Sentences, words and how hard they are to read. Knows no briefs."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

WORDS_A_MINUTE = 230
_WORD = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?")
_SENTENCE = re.compile(r"([.!?…][\"'”’»)]*)\s+(?=[\"'“‘«(]*[^\W\d_a-zà-ÿ]|\d)")
_LONG = 7  # letters; Anderson counts words of seven and more
_LETTERS = re.compile(r"[^\W\d_]")
#: Long words a sentence (RIX) and the school year that reads it with ease: J. Anderson, "Lix and Rix:
#: Variations on a little-known readability index", Journal of Reading 26 (1983), p. 495. 13 is college.
_GRADES = (
    (7.2, 13), (6.2, 12), (5.3, 11), (4.5, 10), (3.7, 9), (3.0, 8), (2.4, 7), (1.8, 6), (1.3, 5),
    (0.8, 4), (0.5, 3), (0.2, 2),
)  # fmt: skip
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]|e\.g|i\.e|etc|vs|approx|Dr|Mr|Mrs|Ms|No|Inc|Ltd|Co|Corp|St|z\.B|d\.h|bzw|ca|Nr|p\.ex|env)\.)$"
)


def words_of(text: str) -> list[str]:
    """The words of a text; numbers are none."""
    return _WORD.findall(text)


def sentences(text: str) -> Iterator[str]:
    """The sentences of one paragraph."""
    start = 0
    for end in _SENTENCE.finditer(text):
        sentence = text[start : end.end(1)]
        if not _ABBREVIATION.search(sentence):
            yield sentence
            start = end.end()
    if start < len(text):
        yield text[start:]


def grade(texts: Iterable[str]) -> int:
    """The school year that reads these paragraphs with ease, 1 to 13 (college), by RIX: it needs no
    syllables and holds for other languages than English."""
    long = count = 0
    for text in texts:
        for sentence in sentences(text):
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
    not_verbs: frozenset[str]


@cache
def lists(language: str) -> Lists:
    """The words of a language, the English ones where there are none."""
    table = _table()
    found = table.get(language.partition("-")[0].lower(), table["en"])
    return Lists(
        placeholders=re.compile("|".join(f"(?:{part})" for part in _scoped(found["placeholders"]))),
        hedges=phrases(found["hedges"]),
        cliches=phrases(found["cliches"]),
        verbs=frozenset(found["verbs"].split()),
        not_verbs=frozenset(found["not_verbs"].split()),
    )


def _scoped(patterns: Iterable[str]) -> Iterator[str]:
    """`(?i)` at the start of one pattern holds for that one only."""
    for pattern in patterns:
        yield f"(?i:{pattern[4:]})" if pattern.startswith("(?i)") else pattern


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(files("newsletter.checks").joinpath("words.toml").read_text("utf-8"))


def phrases(wanted: Iterable[str]) -> re.Pattern[str]:
    """A pattern for any of these phrases as whole words, in any case, whatever the apostrophe."""
    parts = [
        re.escape(one).replace(r"\ ", r"[\s\u00a0]+").replace("'", "['’]").replace(r"\-", "[-‑]")
        for one in sorted(wanted, key=len, reverse=True)
    ]
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts) or '(?!)'})(?!\w)", re.IGNORECASE)
