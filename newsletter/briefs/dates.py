"""Dates that a text names: each as the last day of the period that is meant.

Strict on purpose: what is not clearly a date is none. Relative words ("by Friday", "tomorrow") need an
anchor, the day from which they count; without one they give nothing rather than a guess. Months and days
are read in the publication's language by the names of CLDR; the little words around them ("by",
"bis zum", "d'ici") are known for the languages of `_PHRASES`.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from types import MappingProxyType

_FLAGS = re.IGNORECASE


@dataclass(frozen=True, slots=True)
class NamedDate:
    """A period named in a text. `start` and `stop` count characters of the text."""

    end: date
    start: int
    stop: int
    text: str
    relative: bool = False  #: counted from the anchor: another reading day is another date
    backward: bool = False  #: looks back ("yesterday"): never a deadline


@dataclass(frozen=True, slots=True)
class _Phrases:
    """The words around dates in one language, as regular expressions."""

    deadline: str  #: before a date that something has to be done by
    opening: str  #: before a weekday, so that it means the next one
    ordinal: str  #: behind the number of a day
    quarter: str  #: before the number of a quarter
    week: str  #: before the number of a week
    year: str  #: before a year that stands alone
    numeric: str | None  #: 27.11.2026, where it can't be misread
    #: words by the day that they mean, counted from the anchor
    words: Mapping[str, str]


_EN = _Phrases(
    deadline=r"by|before|until|till|no later than|due|through",
    opening=r"by|before|until|on",
    ordinal=r"(?:st|nd|rd|th)?(?:\s+of)?",
    quarter=r"Q",
    week=r"week",
    year=r"in|by|until|before|during|end\s+of|of",
    numeric=None,
    words={
        "yesterday": "yesterday",
        "today": "today",
        "tomorrow": "tomorrow",
        "last week": "last week",
        "this week": "this week",
        "next week": "next week",
        "last month": "last month",
        "this month": "this month",
        "next month": "next month",
    },
)
_DE = _Phrases(
    deadline=r"bis(?:\s+(?:zum|Ende))?|vor(?:\s+dem)?|spätestens(?:\s+(?:am|bis))?",
    opening=r"bis(?:\s+zum)?|am|vor(?:\s+dem)?|spätestens",
    ordinal=r"\.?",
    quarter=r"Q",
    week=r"(?:KW|Woche|Kalenderwoche)",
    year=r"in|bis(?:\s+Ende)?|vor|während|Ende|Jahr(?:es)?",
    numeric=r"\b(?P<day>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<year>20\d\d)\b",
    words={
        "gestern": "yesterday",
        "heute": "today",
        "morgen": "tomorrow",
        r"letzte[rn]? Woche|vergangene[rn]? Woche": "last week",
        r"diese[r]? Woche": "this week",
        r"nächste[rn]? Woche|kommende[rn]? Woche": "next week",
        r"letzte[nm] Monat|vergangene[nm] Monat": "last month",
        r"diese[nm] Monat": "this month",
        r"nächste[nm] Monat|kommende[nm] Monat": "next month",
    },
)
_FR = _Phrases(
    deadline=r"avant(?:\s+le)?|d['’]ici(?:\s+(?:le|au|la))?|jusqu['’]au|au plus tard(?:\s+le)?|pour le",
    opening=r"avant|d['’]ici(?:\s+à)?|jusqu['’]à|pour|ce",
    ordinal=r"(?:er)?",
    quarter=r"[QT]",
    week=r"semaine",
    year=r"en|avant|d['’]ici|fin|courant",
    numeric=r"\b(?P<day>\d{1,2})/(?P<m>\d{1,2})/(?P<year>20\d\d)\b",
    words={
        "hier": "yesterday",
        r"aujourd['’]hui": "today",
        "demain": "tomorrow",
        "la semaine dernière": "last week",
        "cette semaine": "this week",
        "la semaine prochaine": "next week",
        "le mois dernier": "last month",
        "ce mois(?:-ci)?": "this month",
        "le mois prochain": "next month",
    },
)
#: Other languages get months, days and what has no words, and nothing relative.
_PHRASES = MappingProxyType({"en": _EN, "de": _DE, "fr": _FR})
_NO_WORDS = _Phrases(r"(?!)", r"(?!)", r"\.?", "Q", r"(?!)", r"(?!)", None, {})


class _Reader:
    """The shapes of one language, compiled once."""

    def __init__(self, language: str) -> None:
        code = language.partition("-")[0].lower()
        phrases = _PHRASES.get(code, _NO_WORDS)
        self.months = _month_names(code)
        self.days = _day_names(code)
        self.deadline = re.compile(rf"\b(?:{phrases.deadline})\b[^.;]{{0,24}}$", _FLAGS)
        self.opening = re.compile(rf"(?:{phrases.opening}|{phrases.deadline})\s", _FLAGS)
        self.words = [
            (re.compile(words.replace(" ", r"\s+"), _FLAGS), meaning)
            for words, meaning in phrases.words.items()
        ]
        months = "|".join(map(re.escape, sorted(self.months, key=len, reverse=True)))
        weekdays = "|".join(map(re.escape, sorted(self.days, key=len, reverse=True)))
        month = rf"(?P<month>{months})\.?"
        year = r"(?P<year>20\d\d)"
        day = rf"(?P<day>\d{{1,2}}){phrases.ordinal}"
        # "Friday 27 November" is that day, not the next Friday
        alone = rf"(?!,?\s+(?:the\s+|den\s+|dem\s+|le\s+)?(?:\d|{months}))"
        relative = "|".join(phrases.words).replace(" ", r"\s+") or "(?!)"
        quarter = rf"{phrases.quarter}(?P<quarter>[1-4])"
        spelled = r"(?P<quarter>[1-4])(?:\.|er|e|ème)\s*(?:Quartal|trimestre)"
        shapes = [
            ("day", rf"\b{year}-(?P<m>\d\d)-(?P<day>\d\d)\b"),
            ("day", phrases.numeric or r"(?!)"),
            (
                "week",
                rf"\b{year}-W(?P<week>\d\d)\b|\b{phrases.week}\s+(?P<week2>\d\d?),?\s+(?P<year2>20\d\d)\b",
            ),
            ("day", rf"\b{day}\s+{month},?\s+{year}\b"),
            ("day", rf"\b{month}\s+{day},?\s+{year}\b"),
            ("quarter", rf"\b{quarter}[\s/-]*{year}\b"),
            ("quarter", rf"\b{year}[\s/-]*{quarter}\b"),
            ("quarter", rf"\b{spelled}\s+{year}\b"),
            ("half", rf"\b[HS](?P<half>[12])[\s/-]*{year}\b"),
            ("month", rf"\b{month},?\s+{year}\b"),
            ("year", rf"\b(?:{phrases.year})\s+{year}\b(?![-/]\w|[\s/-]*Q[1-4])"),
            ("anchored day", rf"\b{day}\s+{month}\b(?!\s+\d{{4}})"),
            ("anchored day", rf"\b(?<!in\s){month}\s+{day}\b(?!,?\s+\d{{4}})"),
            (
                "weekday",
                rf"\b(?:{phrases.opening})\s+(?:next\s+|nächsten\s+)?(?P<weekday>{weekdays})\b{alone}",
            ),
            ("relative", rf"\b(?P<word>{relative})\b"),
        ]
        # in order of preference where two match at the same place: the most exact one first
        self.shapes = [(name, re.compile(pattern, _FLAGS)) for name, pattern in shapes]

    def meaning(self, word: str) -> str:
        return next(meaning for pattern, meaning in self.words if pattern.fullmatch(word))


@cache
def _reader(language: str) -> _Reader:
    return _Reader(language)


def _month_names(code: str) -> dict[str, int]:
    """Lower-case month names and their short forms. English without CLDR: it costs a start-up."""
    if code == "en":
        names = {name.lower(): n for n, name in enumerate(calendar.month_name) if name}
        names |= {name.lower(): n for n, name in enumerate(calendar.month_abbr) if name}
        return {**names, "sept": 9}
    from babel.dates import get_month_names

    return {
        name.lower().rstrip("."): n
        for width in ("wide", "abbreviated")
        for n, name in get_month_names(width, "format", code).items()
    }


def _day_names(code: str) -> dict[str, int]:
    if code == "en":
        return {name.lower(): n for n, name in enumerate(calendar.day_name)}
    from babel.dates import get_day_names

    return {name.lower(): n for n, name in get_day_names("wide", "format", code).items()}


def named_dates(text: str, anchor: date | None = None, language: str = "en") -> list[NamedDate]:
    """Every period that the text names, in order, none inside another."""
    found = sorted(_found(text, anchor, language), key=lambda named: (named.start, -named.stop))
    kept: list[NamedDate] = []
    for named in found:
        if not kept or named.start >= kept[-1].stop:
            kept.append(named)
    return kept


def due_date(text: str, anchor: date | None = None, language: str = "en") -> date | None:
    """The deadline in an action's text: the first date after "by", "before", "until" and the like,
    else the first date of all that does not look back, else None."""
    dates = [named for named in named_dates(text, anchor, language) if not named.backward]
    for named in dates:
        if is_deadline(text, named, language):
            return named.end
    return dates[0].end if dates else None


def is_deadline(text: str, named: NamedDate, language: str = "en") -> bool:
    """Whether a date of the text stands behind "by", "before", "until" and the like."""
    reader = _reader(language)
    before = text[max(0, named.start - 60) : named.start]
    return bool(reader.opening.match(named.text) or reader.deadline.search(before))


def impossible_dates(text: str, language: str = "en") -> list[str]:
    """What is written like a day and is none: "31 November 2026", "2026-02-30"."""
    return [
        match[0]
        for shape, pattern in _reader(language).shapes
        if shape in ("day", "anchored day", "week")
        for match in pattern.finditer(text)
        if _impossible(shape, match, language)
    ]


def _impossible(shape: str, match: re.Match[str], language: str) -> bool:
    try:
        # a leap year, so that 29 February without a year is a day
        _end_of(shape, _parts(match), date(2028, 1, 1), _reader(language))
    except ValueError:
        return True
    return False


def _parts(match: re.Match[str]) -> dict[str, str]:
    return {name.rstrip("2"): value for name, value in match.groupdict().items() if value}


def _found(text: str, anchor: date | None, language: str) -> Iterator[NamedDate]:
    reader = _reader(language)
    for shape, pattern in reader.shapes:
        for match in pattern.finditer(text):
            part = _parts(match)
            try:
                end = _end_of(shape, part, anchor, reader)
            except ValueError:  # 31 February and the like are no dates
                continue
            if end is not None:
                word = part.get("word")
                meaning = reader.meaning(word) if word else ""
                yield NamedDate(
                    end,
                    match.start(),
                    match.end(),
                    match[0],
                    relative=shape in ("weekday", "relative"),
                    backward=meaning in ("yesterday", "last week", "last month"),
                )


def _end_of(shape: str, part: dict[str, str], anchor: date | None, reader: _Reader) -> date | None:
    month = reader.months[part["month"].lower()] if "month" in part else int(part.get("m", 0))
    if "year" in part:
        year = int(part["year"])
        match shape:
            case "day":
                return date(year, month, int(part["day"]))
            case "week":
                return date.fromisocalendar(year, int(part["week"]), 7)
            case "quarter":
                return _month_end(year, 3 * int(part["quarter"]))
            case "half":
                return _month_end(year, 6 * int(part["half"]))
            case "month":
                return _month_end(year, month)
            case _:
                return date(year, 12, 31)
    if anchor is None:
        return None
    match shape:
        case "anchored day":
            day = int(part["day"])
            this_year = date(anchor.year, month, day)
            return this_year if this_year >= anchor else this_year.replace(year=anchor.year + 1)
        case "weekday":
            wanted = reader.days[part["weekday"].lower()]
            return anchor + timedelta(days=(wanted - anchor.weekday()) % 7)
        case _:
            return _relative(reader.meaning(part["word"]), anchor)


def _relative(word: str, anchor: date) -> date:
    sunday = anchor + timedelta(days=6 - anchor.weekday())
    first = anchor.replace(day=1)
    match word:
        case "yesterday":
            return anchor - timedelta(days=1)
        case "today":
            return anchor
        case "tomorrow":
            return anchor + timedelta(days=1)
        case "last week":
            return sunday - timedelta(days=7)
        case "this week":
            return sunday
        case "next week":
            return sunday + timedelta(days=7)
        case "last month":
            return first - timedelta(days=1)
        case "this month":
            return _month_end(anchor.year, anchor.month)
        case _:
            following = _month_end(anchor.year, anchor.month) + timedelta(days=1)
            return _month_end(following.year, following.month)


def _month_end(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])
