"""The deadline that an action names: the ISO date on which the named period ends.

English only and strict on purpose: what is not clearly a date is no deadline. Relative words need an
anchor, the brief's own date; without one they give nothing rather than a guess.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.lower(): n for n, name in enumerate(calendar.month_abbr) if name}
_MONTHS["sept"] = 9
_DAYS = {name.lower(): n for n, name in enumerate(calendar.day_name)}
_MONTH = "(?P<month>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_YEAR = r"(?P<year>20\d\d)"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_ALONE = rf"(?!,?\s+(?:the\s+)?(?:\d|{'|'.join(_MONTHS)}))"  # "Friday 27 November" is that day
_DEADLINE = re.compile(
    r"\b(?:by|before|until|till|no later than|due|through)\b[^.;]{0,24}$", re.IGNORECASE
)

# In order of preference where two match at the same place: the most exact one first.
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("day", rf"\b{_YEAR}-(?P<m>\d\d)-(?P<day>\d\d)\b"),
        ("week", rf"\b{_YEAR}-W(?P<week>\d\d)\b|\bweek\s+(?P<week2>\d\d?),?\s+(?P<year2>20\d\d)\b"),
        ("day", rf"\b{_DAY}\s+(?:of\s+)?{_MONTH},?\s+{_YEAR}\b"),
        ("day", rf"\b{_MONTH}\s+{_DAY},?\s+{_YEAR}\b"),
        ("quarter", rf"\bQ(?P<quarter>[1-4])[\s/-]*{_YEAR}\b"),
        ("quarter", rf"\b{_YEAR}[\s/-]*Q(?P<quarter>[1-4])\b"),
        ("half", rf"\bH(?P<half>[12])[\s/-]*{_YEAR}\b"),
        ("month", rf"\b{_MONTH},?\s+{_YEAR}\b"),
        ("year", rf"\b(?:in|by|until|before|during|end\s+of|of)\s+{_YEAR}\b(?![-/]\w|[\s/-]*Q[1-4])"),
        ("anchored day", rf"\b{_DAY}\s+(?:of\s+)?{_MONTH}\b(?!\s+\d{{4}})"),
        ("anchored day", rf"\b(?<!in\s){_MONTH}\s+{_DAY}\b(?!,?\s+\d{{4}})"),
        ("weekday", rf"\b(?:by|before|until|on)\s+(?:next\s+)?(?P<weekday>{'|'.join(_DAYS)})\b{_ALONE}"),
        ("relative", r"\b(?P<word>today|tomorrow|(?:this|next)\s+(?:week|month))\b"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NamedDate:
    """A period named in a text. `start` and `stop` count characters of the text."""

    end: date
    start: int
    stop: int
    text: str


def named_dates(text: str, anchor: date | None = None) -> list[NamedDate]:
    """Every period that the text names, in order, none inside another."""
    found = sorted(_found(text, anchor), key=lambda named: (named.start, -named.stop))
    kept: list[NamedDate] = []
    for named in found:
        if not kept or named.start >= kept[-1].stop:
            kept.append(named)
    return kept


def due_date(text: str, anchor: date | None = None) -> date | None:
    """The deadline in an action's text: the first date after "by", "before", "until" and the like,
    else the first date of all, else None."""
    dates = named_dates(text, anchor)
    for named in dates:
        opening = named.text.split(" ", 1)[0].lower() in {"by", "before", "until"}
        if opening or _DEADLINE.search(text[max(0, named.start - 60) : named.start]):
            return named.end
    return dates[0].end if dates else None


def _found(text: str, anchor: date | None) -> Iterator[NamedDate]:
    for shape, pattern in _SHAPES:
        for match in pattern.finditer(text):
            groups = {name.rstrip("2"): value for name, value in match.groupdict().items() if value}
            try:
                end = _end_of(shape, groups, anchor)
            except ValueError:  # 31 February and the like are no dates
                continue
            if end is not None:
                yield NamedDate(end, match.start(), match.end(), match[0])


def _end_of(shape: str, part: dict[str, str], anchor: date | None) -> date | None:
    month = _MONTHS[part["month"].lower()] if "month" in part else int(part.get("m", 0))
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
            this_year = date(anchor.year, month, int(part["day"]))
            return this_year if this_year >= anchor else this_year.replace(year=anchor.year + 1)
        case "weekday":
            return anchor + timedelta(days=(_DAYS[part["weekday"].lower()] - anchor.weekday()) % 7)
        case _:
            return _relative(" ".join(part["word"].lower().split()), anchor)


def _relative(word: str, anchor: date) -> date:
    match word:
        case "today":
            return anchor
        case "tomorrow":
            return anchor + timedelta(days=1)
        case "this week":
            return anchor + timedelta(days=6 - anchor.weekday())
        case "next week":
            return anchor + timedelta(days=13 - anchor.weekday())
        case "this month":
            return _month_end(anchor.year, anchor.month)
        case _:
            following = _month_end(anchor.year, anchor.month) + timedelta(days=1)
            return _month_end(following.year, following.month)


def _month_end(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])
