"""Dates that a text names: each as the last day of the period that is meant.

Strict on purpose: what is not clearly a date is none. Relative words ("by Friday", "tomorrow") need an
anchor, the day from which they count; without one they give nothing rather than a guess. Months and days
are read in the publication's language by the names of CLDR, written as the language writes them ("May",
but "mai"); the little words around them ("by", "bis zum", "d'ici") are known for the languages of
`_PHRASES`.

Which date of an action is its deadline is told by the words before it in its own clause; `due_date` has
the rule.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from itertools import islice
from types import MappingProxyType

_FLAGS = re.IGNORECASE
_WINDOW = 120  #: characters before a date in which its clause is looked at
_NEVER = r"(?!)"
_LONGEST = 10_000  #: characters of an action that are read; what is longer is none
_MOST = 1_000  #: matches of one shape that are weighed: no paragraph has more
_STALE = timedelta(
    days=60
)  #: a day without a year that is no longer past than this was this year's

# English words in -ed that tell of the past. "need" and "expected" do not.
_ED = (
    r"(?!(?:need|feed|seed|speed|embed|indeed|hundred|exceed|proceed|succeed|shed|bed|red|used\s+to|"
    r"expected|scheduled|planned|slated|anticipated|promised|needed|required|proposed)\b)"
    r"[a-z-]{2,}ed"
)


@dataclass(frozen=True, slots=True)
class NamedDate:
    """A period named in a text. `start` and `stop` count characters of the text."""

    end: date
    start: int
    stop: int
    text: str
    relative: bool = False  #: counted from the anchor: another reading day is another date
    backward: bool = False  #: looks back ("yesterday", "said on Monday"): never a deadline
    begin: date | None = None  #: the first day, of what is longer than a day
    #: of a relative one: "today", "this week", "next month", "within" …; "" for a weekday
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class _Phrases:
    """The words around dates in one language, as regular expressions."""

    deadline: str  #: before a date that something has to be done by
    before: str  #: those of them that exclude the period that they name
    little: str  #: what may stand between those and the date
    ends: str  #: those of the little ones that name the end of the period
    opening: str  #: before a weekday, so that it means the next one
    ahead: str  #: before a date on which something is to be done
    back: str  #: directly before a date that the text looks back on
    past: str  #: in a clause that tells of the past
    future: str  #: looks like `past` and is none ("be signed")
    told: str  #: after a weekday, where its clause tells of the past
    participle: (
        str  #: after a date, with which it is a name: "der am 3. Mai veröffentlichte Bericht"
    )
    aside: str  #: opens a clause about somebody or something, whose deadline is not the action's
    clause: str  #: opens another clause
    compare: str  #: in a clause that looks at a past period
    ordinal: str  #: behind the number of a day
    joint: str  #: between a month and its year
    quarter: str  #: before the number of a quarter
    week: str  #: before the number of a week
    year: str  #: before a year that stands alone
    early: str  #: before a month whose end is not meant, as a look-behind
    middle: str  #: before a month of which the 15th is meant
    following: str  #: before a weekday of the next week
    coming: str  #: before a weekday, and means nothing
    within: str | None  #: a span from the anchor, with `count` and `unit`
    numeric: str | None  #: 27.11.2026, where it can't be misread
    short: str | None  #: 27.11., likewise
    #: words by the day that they mean, counted from the anchor
    words: Mapping[str, str]
    #: the same, only behind a word of `deadline`
    closings: Mapping[str, str] = field(default_factory=dict)
    #: words that are dates only in lower case, or at the beginning of a sentence
    lower: tuple[str, ...] = ()


_EN = _Phrases(
    deadline=(
        r"by|before|(?:until|till)(?:\s+after)?|not?\s+later\s+than|due(?:\s+(?:date|by|on|in))?|"
        r"(?<!go )(?<!run )(?<!look )(?<!walk )(?<!read )(?<!comb )(?<!sift )(?<!work )(?<!search )through|"
        r"prior\s+to|"
        r"ahead\s+of|deadline(?:\s+(?:is|of))?|closes(?:\s+on)?|ends(?:\s+on)?|expires(?:\s+on)?"
    ),
    before=r"before|prior\s+to|ahead\s+of",
    little=(
        r"the|this|next|end|close|of|business|day|COB|EOD|EOB|noon|midnight|night|morning|afternoon|"
        r"evening|on|in|at|latest|\d{1,2}(?:[:.]\d\d)?(?:\s?[ap]\.?m\.?)?|o['’]clock|UTC|GMT|CES?T|E[SD]?T|"
        r"P[SD]?T|week|and|including"
    ),
    ends=r"end|close",
    opening=r"on",
    ahead=r"in|for|during|on|at|this|over|throughout|between",
    back=(
        r"(?<!end )(?<!week )(?<!half )(?<!start )(?<!beginning )(?<!middle )(?<!rest )(?<!close )of|"
        r"from|since|dated|last|after|than|vs\.?|versus|against|back\s+in|to"
    ),
    past=(
        r"\b(?:was|were|had|did|began|went|took|ran|came|bought|sold|made|wrote|said|paid|sent|got|gave|"
        r"left|lost|won|rose|fell|grew|broke|built|became|held|met|told|found|chose|drew|struck)\b"
        rf"|\b(?:who\w*|which|what|you|they|we|he|she)\s+(?:[\w'’-]+\s+){{0,2}}?{_ED}\b"
        rf"|\b{_ED}(?:\s+(?:it|them|this|that|us|you|there|again|only|back|here))?"
        r"(?:\s+by(?:\s+[\w'’.&-]+){1,4}?)?(?:\s+(?:on|in|for|during|around|at|before|until|till|"
        r"through|between|over|within))?"
        r"(?:\s+(?:the|end|of|early|late|mid))*\s*$"
    ),
    future=(
        r"\b(?:be|is|are|get|gets|have|keep|leave|need|want)\s+(?:(?!\b(?:you|they|we|that)\b)[\w'’-]+\s+)"
        rf"{{0,4}}?{_ED}\b"
    ),
    told=rf",?\s+(?:[\w'’-]+\s+){{1,3}}?{_ED}\b",
    participle=_NEVER,
    aside=(
        r"who\w*|which|what|that\s+(?!(?:the|all|your|you|it|they|we|our|every|each|no|any|an?|this|these)\b)"
        r"[a-z]+"
    ),
    clause=(
        r"[.;:!?,(]\s|\b(?:and|but|or|then)\s|"
        r"\bto\s+(?!(?:the|that|those|its|our|your|their|a|an|end|early|late|mid)\b)(?=[a-z])"
    ),
    compare=r"compar\w+|versus|against|than|unlike|since",
    ordinal=r"(?:st|nd|rd|th)?(?:\s+of)?",
    joint=r"(?:of\s+)?",
    quarter=r"Q",
    week=r"week",
    year=r"in|by|until|till|before|during|through|since|from|after|end\s+of|of",
    early=r"(?<!early )(?<!early-)(?<!mid )",
    middle=r"mid[- ]|the\s+middle\s+of\s+",
    following=r"next\s+",
    coming=r"this\s+(?:coming\s+)?",
    within=(
        r"within\s+(?:the\s+next\s+)?(?P<count>\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|"
        r"ten|fourteen|thirty)\s+(?P<unit>hour|day|week)s?(?!\s+of\b)"
    ),
    numeric=None,
    short=None,
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
    closings={
        "(?:the )?end of (?:the |this )?week": "this week",
        "(?:the )?end of (?:the |this )?month|(?:the )?month[- ]end": "this month",
        "(?:the )?end of (?:the |this )?quarter|(?:the )?quarter[- ]end": "this quarter",
        "(?:the )?end of (?:the |this )?year|(?:the )?year[- ]end": "this year",
    },
)
_DE = _Phrases(
    deadline=(
        r"bis(?:\s+(?:zum|zur|spätestens|einschließlich))?|vor(?:\s+(?:dem|der))?|"
        r"spätestens(?:\s+(?:am|bis|zum))?|(?:endet|schließt|fällig)\s+am|Frist(?:\s+ist\s+der)?"
    ),
    before=r"vor(?:\s+(?:dem|der))?",
    little=r"zum|zur|dem|den|der|des|am|im|in|Ende|einschließlich|kommenden|nächsten|\d{1,2}\s+Uhr",
    ends=r"Ende",
    opening=r"am",
    ahead=r"in|im|am|an|für|während|zum",
    back=r"vom|von|seit|ab|nach|aus|letzte[nrms]?|als|des|gegen",
    past=(
        r"\b(?:war|waren|wurden?|hatten?|kam|kamen|begann|begannen|galt|lief|ging|trat|blieb|gab|schloss|"
        r"sagten?|\w{3,}(?:ierte|igte|chte|ndete)n?)\b"
    ),
    future=_NEVER,
    told=_NEVER,
    participle=r"\s(?:ge|ver|unter|be|er)\w{3,}t(?:e[nrms]?)?\b",
    aside=r"wer|wem|wen|was|welche[rnms]?",
    clause=r"[;:!?,(]\s|(?<!\d)\.\s|\b(?:und|oder|aber|dann)\s",
    compare=r"vergleich\w*|als|gegenüber|seit",
    ordinal=r"\.?",
    joint=r"",
    quarter=r"Q",
    week=r"(?:KW|Woche|Kalenderwoche)",
    year=r"in|bis(?:\s+Ende)?|vor|während|seit|nach|Ende|Jahr(?:es)?",
    early=r"(?<!Anfang )",
    middle=r"Mitte\s+",
    following=_NEVER,
    coming=r"nächsten\s+|kommenden\s+|diesen\s+",
    within=(
        r"(?:innerhalb\s+von|innerhalb|binnen)\s+(?P<count>\d{1,3}|zwei|drei|vier|fünf|sechs|sieben|acht|"
        r"neun|zehn|vierzehn)\s+(?P<unit>Stunde|Tag|Woche)(?:n|en)?"
    ),
    numeric=r"\b(?P<day>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<year>20\d\d)\b",
    short=r"\b(?P<day>\d{1,2})\.\s?(?P<m>\d{1,2})\.(?!\s?\d)",
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
    closings={
        "(?:zum )?Ende (?:der|dieser) Woche": "this week",
        "Ende (?:des|dieses) Monats|(?:zum )?Monatsende": "this month",
        "Ende (?:des|dieses) Quartals|(?:zum )?Quartalsende": "this quarter",
        "Ende (?:des|dieses) Jahres|(?:zum )?Jahresende": "this year",
    },
    lower=("morgen",),
)
_FR = _Phrases(
    deadline=(
        r"avant(?:\s+l[ea])?|d['’]ici(?:\s+(?:le|au|la|à))?|jusqu['’](?:au|en|à)|au\s+plus\s+tard(?:\s+le)?|"
        r"pour\s+le"
    ),
    before=r"avant(?:\s+l[ea])?",
    little=r"le|la|fin|de|du|à|au|en|ce|mois|\d{1,2}\s?h(?:\d\d)?",
    ends=r"fin",
    opening=r"pour|ce",
    ahead=r"en|au|le|pour|pendant|durant|à|ce",
    back=r"(?<!fin )d[eu]|depuis|dès|après|derniers?|dernière|que|contre",
    past=(
        r"\b(?:étai(?:t|ent)|fut|furent|avai(?:t|ent)|(?:a|ont|est|sont|avez|avons)\s+(?:été\s+)?\w+"
        r"(?:és?|ées?|i|is|u|us|ue|ues))\b|\b\w{2,}(?:és?|ées?)(?:\s+(?:par\s+\w+|en|au|le))?\s*$"
    ),
    future=r"\b(?:être|soit|sera|seront)\s+\w+",
    told=_NEVER,
    participle=_NEVER,
    aside=r"qui|dont|lesquel\w*|laquelle",
    clause=r"[.;:!?,(]\s|\b(?:et|ou|mais|puis)\s",
    compare=r"compar\w+|contre|depuis",
    ordinal=r"(?:er)?",
    joint=r"",
    quarter=r"[QT]",
    week=r"semaine",
    year=r"en|avant|d['’]ici|fin|courant|depuis|après|jusqu['’]en",
    early=r"(?<!début )",
    middle=r"mi-",
    following=_NEVER,
    coming=r"ce\s+",
    within=(
        r"(?:sous|dans\s+les)\s+(?P<count>\d{1,3}|deux|trois|quatre|cinq|six|sept|huit|dix|quinze)\s+"
        r"(?P<unit>heure|jour|semaine)s?"
    ),
    numeric=r"\b(?P<day>\d{1,2})/(?P<m>\d{1,2})/(?P<year>20\d\d)\b",
    short=None,
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
    closings={
        "(?:la )?fin de (?:la |cette )semaine": "this week",
        "(?:la )?fin (?:du|de ce) mois": "this month",
        "(?:la )?fin (?:du|de ce) trimestre": "this quarter",
        "(?:la )?fin (?:de l['’]|de cette )année": "this year",
    },
)
#: Other languages get months, days and what has no words, and nothing relative.
_PHRASES = MappingProxyType({"en": _EN, "de": _DE, "fr": _FR})
_NO_WORDS = _Phrases(
    deadline=_NEVER, before=_NEVER, little=_NEVER, ends=_NEVER, opening=_NEVER, ahead=_NEVER,
    back=_NEVER, past=_NEVER, future=_NEVER, told=_NEVER, participle=_NEVER,
    aside=_NEVER, clause=r"[.;:!?,(]\s", compare=_NEVER,
    ordinal=r"[.º]?(?:\s+de)?", joint=r"(?:del?\s+)?", quarter="Q", week=_NEVER, year=_NEVER,
    early="", middle=_NEVER, following=_NEVER, coming=_NEVER, within=None, numeric=None, short=None,
    words={},
)  # fmt: skip
_COUNTS = MappingProxyType(
    {
        word: n
        for n, words in {
            1: "a an one", 2: "two zwei deux", 3: "three drei trois", 4: "four vier quatre",
            5: "five fünf cinq", 6: "six sechs", 7: "seven sieben sept", 8: "eight acht huit",
            9: "nine neun", 10: "ten zehn dix", 14: "fourteen vierzehn", 15: "quinze", 30: "thirty",
        }.items()
        for word in words.split()
    }
)  # fmt: skip
_UNITS = MappingProxyType(
    {"hour": 1 / 24, "stunde": 1 / 24, "heure": 1 / 24, "day": 1, "tag": 1, "jour": 1}
)  #: in days; a week otherwise


class _Reader:
    """The shapes of one language, compiled once."""

    def __init__(self, language: str) -> None:
        code = language.partition("-")[0].lower()
        phrases = _PHRASES.get(code, _NO_WORDS)
        self.worded = code in _PHRASES
        self.lower = phrases.lower
        names = _month_names(code)
        self.months = {name.lower(): n for name, n in names.items()}
        self.days = _day_names(code)
        months = rf"(?-i:{_any(_written(names) if code == 'en' else names)})"
        weekdays = _any(self.days)
        little = rf"(?:[\s,(]+(?:{phrases.little}|{weekdays}))"
        before = rf"{little}{{0,6}}[\s:,(]*$"
        self.deadline = re.compile(rf"\b(?P<word>{phrases.deadline})(?P<little>{before})", _FLAGS)
        self.before = re.compile(phrases.before, _FLAGS)
        self.ends = re.compile(rf"\b(?:{phrases.ends})\b", _FLAGS)
        self.opening = re.compile(rf"\b(?:{phrases.opening}){before}", _FLAGS)
        self.ahead = re.compile(rf"\b(?:{phrases.ahead}){before}", _FLAGS)
        self.back = re.compile(rf"\b(?:{phrases.back}){before}", _FLAGS)
        self.past = re.compile(phrases.past, _FLAGS)
        self.future = re.compile(phrases.future, _FLAGS)
        self.participle = re.compile(phrases.participle, _FLAGS)
        self.told = re.compile(phrases.told, _FLAGS)
        self.aside = re.compile(rf"\b(?:{phrases.aside})\b", _FLAGS)
        self.clause = re.compile(phrases.clause)
        self.compare = re.compile(rf"\b(?:{phrases.compare})\b", _FLAGS)
        words = {**phrases.words, **phrases.closings}
        self.words = [
            (re.compile(word.replace(" ", r"\s+"), _FLAGS), meaning)
            for word, meaning in words.items()
        ]
        month = rf"(?P<month>{months})\.?"
        year = r"(?P<year>20\d\d)"
        joint = rf",?\s+{phrases.joint}"
        day = rf"(?P<day>\d{{1,2}}){phrases.ordinal}"
        # "1–5 December", "24 and 25 November": the last of them
        first = rf"\d{{1,2}}{phrases.ordinal}(?:\s?[-–—]\s?|\s(?:to|and|bis|und|au|et)\s)"
        # "Friday 27 November" is that day, not the next Friday; "Friday 5 pm" is Friday
        hour = r"(?:[ap]\.?m|:\d|Uhr|h\b)"
        alone = rf"(?!,?\s+(?:the\s+|den\s+|dem\s+|le\s+)?(?:\d{{1,4}}\b(?!\s?{hour})|{months}\b))"
        relative = "|".join(phrases.words).replace(" ", r"\s+") or _NEVER
        closing = "|".join(phrases.closings).replace(" ", r"\s+") or _NEVER
        number = r"(?P<quarter>[1-4])"
        quarter = rf"{phrases.quarter}{number}"
        spelled = rf"{number}(?:\.|er|e|ème)\s*(?:Quartal|trimestre)"
        middle = rf"\b(?P<mid>{phrases.middle}){month}"
        shapes = [
            ("day", rf"\b{year}-(?P<m>\d\d)-(?P<day>\d\d)\b"),
            ("day", rf"(?<!\d){year}年\s?(?P<m>\d{{1,2}})月\s?(?P<day>\d{{1,2}})日"),
            ("day", phrases.numeric or _NEVER),
            ("week", rf"\b{year}-W(?P<week>\d\d)\b"),
            ("week", rf"\b{phrases.week}\s+(?P<week>\d\d?),?\s+{year}\b"),
            ("day", rf"\b(?:{first})?{day}\s+{month}{joint}{year}\b"),
            ("day", rf"\b{month}\s+(?:{first})?{day},?\s+{year}\b"),
            ("quarter", rf"\b{quarter}[\s/-]*{year}\b"),
            ("quarter", rf"\b{year}[\s/-]*{quarter}\b"),
            ("quarter", rf"\b{spelled}\s+{year}\b"),
            ("half", rf"\b[HS](?P<half>[12])[\s/-]*{year}\b"),
            ("day", rf"{middle}{joint}{year}\b"),
            ("month", rf"\b{phrases.early}{month}{joint}{year}\b"),
            (
                "year",
                rf"\b(?:{phrases.year})\s+(?P<core>{year})\b(?![-/]\w|[\s/-]*Q[1-4])",
            ),
            ("anchored day", rf"\b(?:{first})?{day}\s+{month}(?!\w|{joint}\d{{4}})"),
            ("anchored day", rf"\b(?<!in\s){month}\s+(?:{first})?{day}\b(?!,?\s+\d{{4}})"),
            ("anchored day", r"(?<![\d年])(?P<m>\d{1,2})月\s?(?P<day>\d{1,2})日"),
            ("anchored day", rf"{middle}(?!\w|{joint}\d)"),
            ("bound day", phrases.short or _NEVER),
            ("bound month", rf"\b{phrases.early}{month}(?!\w|,?\s+(?:{phrases.joint})?\d)"),
            ("bound quarter", rf"\b{quarter}\b(?![\s/-]*\d)"),
            ("bound week", rf"\b{phrases.week}\s+(?P<week>\d\d?)\b(?!,?\s+20\d\d)"),
            ("bound word", rf"\b(?P<word>{closing})\b"),
            (
                "weekday",
                rf"\b(?:(?P<next>{phrases.following})|{phrases.coming})?(?P<weekday>{weekdays})\b{alone}",
            ),
            ("within", rf"\b{phrases.within}\b" if phrases.within else _NEVER),
            ("relative", rf"\b(?P<word>{relative})\b"),
        ]
        self.shapes = [(name, re.compile(pattern, _FLAGS)) for name, pattern in shapes]

    def meaning(self, word: str) -> str:
        return next(meaning for pattern, meaning in self.words if pattern.fullmatch(word))

    def clause_before(self, text: str, start: int) -> str:
        """What stands before a place in its own clause."""
        begin = max(0, start - _WINDOW)
        window = text[begin:start]
        cut = 0
        for boundary in self.clause.finditer(window):
            if boundary.end() < len(window):
                cut = boundary.end()
        return window[cut:]

    def deadline_before(self, text: str, start: int) -> re.Match[str] | None:
        return self.deadline.search(text[max(0, start - _WINDOW) : start])

    def tells_of_past(self, clause: str) -> bool:
        return bool(self.past.search(self.future.sub(" ", clause)))

    def is_proper(self, word: str, text: str, start: int) -> bool:
        """Whether a word that means something else with a capital is written as it should be."""
        if word.lower() not in self.lower:
            return True
        before = text[max(0, start - 8) : start].rstrip()
        if before.lower().endswith("guten"):
            return False
        return word == word.lower() or not before or before[-1] in ".!?:…„“”\"'"


@cache
def _reader(language: str) -> _Reader:
    return _Reader(language)


def _any(words: Mapping[str, int]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True))) or _NEVER


def _written(names: Mapping[str, int]) -> dict[str, int]:
    """English months as they are written, and in capitals; but "MAY" is a verb in capitals."""
    return {**names, **{name.upper(): n for name, n in names.items() if name != "May"}}


def _month_names(code: str) -> dict[str, int]:
    """Month names and their short forms as the language writes them, without a full stop; none of a
    language that nobody knows. English without CLDR: it costs a start-up."""
    if not code:  # CLDR would take the language of this machine
        return {}
    if code == "en":
        names = {name: n for n, name in enumerate(calendar.month_name) if name}
        names |= {name: n for n, name in enumerate(calendar.month_abbr) if name}
        return {**names, "Sept": 9}
    from babel import UnknownLocaleError
    from babel.dates import get_month_names

    try:
        return {
            name.rstrip("."): n
            for width in ("wide", "abbreviated")
            for n, name in get_month_names(width, "format", code).items()
        }
    except (UnknownLocaleError, ValueError):
        return {}


def _day_names(code: str) -> dict[str, int]:
    if not code:
        return {}
    if code == "en":
        return {name.lower(): n for n, name in enumerate(calendar.day_name)}
    from babel import UnknownLocaleError
    from babel.dates import get_day_names

    try:
        return {name.lower(): n for n, name in get_day_names("wide", "format", code).items()}
    except (UnknownLocaleError, ValueError):
        return {}


def named_dates(text: str, anchor: date | None = None, language: str = "en") -> list[NamedDate]:
    """Every period that the text names, in order, none inside another; of a text with more than a thousand
    of one kind only those.

    A day or month without a year is the next one after `anchor`, except where it was within the 60 days
    before: then it is that one, and past."""
    found = sorted(_found(text, anchor, language), key=lambda one: (one[0], -one[1]))
    kept: list[NamedDate] = []
    stop = 0
    for begin, end, named in found:
        if begin >= stop:
            stop = end
            if named:
                kept.append(named)
    return kept


def due_date(text: str, anchor: date | None = None, language: str = "en") -> date | None:
    """The deadline in an action's text, or None.

    1. It is the last date directly behind a word such as "by", "before", "until" or "due". One in a
       relative clause ("ask whoever signed by …") counts only if there is no other, and one of which a
       verb tells as past ("what you bought before …") never. "Before" a week, a month, a quarter or a
       year means the day before it begins.
    2. Else it is the first date on which something is still to be done. That is none behind a word that
       looks back ("of", "from", "since", "dated") or behind a verb in the past ("signed in 2024"); and of
       those that are past, only one behind "in", "on", "for" and the like, and a bare week or quarter at
       the end of a clause (without an anchor any bare date there): "monitor releases in Q2 2024" is late,
       "the 3 May 2024 report" is a name.
    """
    reader = _reader(language)
    aside: date | None = None
    other: date | None = None
    text = text[:_LONGEST]
    for named in reversed(named_dates(text, anchor, language)):
        if named.backward:
            continue
        clause = reader.clause_before(text, named.start)
        ahead = None if anchor is None else named.end >= anchor
        if is_deadline(text, named, language):
            end = _deadline(text, named, reader)
            if not ahead and reader.tells_of_past(clause):
                continue
            if not reader.aside.search(clause):
                return end
            aside = aside or end
        elif not _looks_back(clause, text[named.stop :][:40], named, reader, ahead=ahead):
            other = named.end
    return aside or other


def is_deadline(text: str, named: NamedDate, language: str = "en") -> bool:
    """Whether a date of the text stands directly behind "by", "before", "until" and the like."""
    if named.meaning == "within":
        return True
    reader = _reader(language)
    if reader.deadline_before(text, named.start):
        return True
    # the next Friday is one behind "on", too
    weekday = named.relative and not named.meaning
    return weekday and bool(
        reader.opening.search(text[max(0, named.start - _WINDOW) : named.start])
    )


def _deadline(text: str, named: NamedDate, reader: _Reader) -> date:
    """The last day on which it can be done; that before a period "before" which it has to be."""
    match = reader.deadline_before(text, named.start)
    if (
        not match
        or not named.begin
        or named.begin == date.min
        or reader.ends.search(match["little"])
    ):
        return named.end
    if not reader.before.fullmatch(match["word"]):
        return named.end
    return named.begin - timedelta(days=1)


def _looks_back(
    clause: str, after: str, named: NamedDate, reader: _Reader, *, ahead: bool | None
) -> bool:
    """Whether a date without a word of deadline is one on which nothing is to be done. `ahead` is whether it
    is still to come, None where nobody knows."""
    if named.relative:
        return False
    if reader.back.search(clause) or reader.tells_of_past(clause):
        return True
    if ahead or not reader.worded:
        return False
    if reader.participle.match(after):
        return True
    if reader.ahead.search(clause):
        return False
    if reader.compare.search(clause):
        return True
    period = named.begin is not None and (named.end - named.begin).days != 364
    return not ((period or ahead is None) and re.match(r"\s*(?:$|[.;,!?)])", after))


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
    part = match.groupdict()
    if shape == "anchored day" and int(part.get("day") or 1) > 31:  # "May 40 people come?"
        return False
    try:
        # a leap year, so that 29 February without a year is a day
        _period(shape, part, date(2028, 1, 1), _reader(language))
    except ValueError:
        return True
    return False


def _found(
    text: str, anchor: date | None, language: str
) -> Iterator[tuple[int, int, NamedDate | None]]:
    """(start, stop, date) of all that looks like one; None for a day that does not exist, so that its
    month is not read in its stead."""
    reader = _reader(language)
    for shape, pattern in reader.shapes:
        for match in islice(pattern.finditer(text), _MOST):
            part = match.groupdict()
            core = "core" if part.get("core") else 0
            start, stop = match.span(core)
            word = part.get("word") or ""
            if shape.startswith("bound") and not reader.deadline_before(text, start):
                continue
            if word and not reader.is_proper(word, text, start):
                continue
            backward = False
            if shape == "weekday":
                window = text[max(0, start - _WINDOW) : start]
                by = reader.deadline_before(text, start)
                if not by and not reader.opening.search(window):
                    continue
                backward = not by and not part["next"] and _told_of(text, start, stop, reader)
            try:
                period = _period(shape, part, anchor, reader, backward=backward)
            except ValueError:  # 31 February and the like are no dates
                yield start, stop, None
                continue
            except OverflowError:
                continue
            if period is None:
                continue
            meaning = "within" if shape == "within" else reader.meaning(word) if word else ""
            begin, end = period
            yield (
                start,
                stop,
                NamedDate(
                    end,
                    start,
                    stop,
                    match[core],
                    relative=shape in ("weekday", "relative", "within", "bound word"),
                    backward=backward or meaning in ("yesterday", "last week", "last month"),
                    begin=begin if begin < end and shape != "bound word" else None,
                    meaning=meaning,
                ),
            )


def _told_of(text: str, start: int, stop: int, reader: _Reader) -> bool:
    """Whether a weekday is one on which something happened: "said on Monday", "On Monday they said"."""
    clause = reader.clause_before(text, start)
    if reader.tells_of_past(clause):
        return True
    if len(clause.split()) > 1:  # more than its preposition: the clause has its verb
        return False
    sentence = re.split(r"[.;!?]", text[stop : stop + _WINDOW], maxsplit=1)[0]
    return reader.tells_of_past(sentence) or bool(reader.told.match(sentence))


def _period(
    shape: str,
    part: Mapping[str, str | None],
    anchor: date | None,
    reader: _Reader,
    *,
    backward: bool = False,
) -> tuple[date, date] | None:
    """First and last day of what a match names. Raises ValueError for a day that does not exist."""
    month = reader.months[(part.get("month") or "").lower()] if part.get("month") else 0
    month = month or int(part.get("m") or 0)
    kind = shape.rpartition(" ")[2]
    if year := part.get("year"):
        return _in_year(kind, int(year), month, part)
    if anchor is None:
        return None
    match kind:
        case "weekday":
            wanted = reader.days[(part["weekday"] or "").casefold()]
            if backward:
                day = anchor - timedelta(days=(anchor.weekday() - wanted) % 7)
            elif part["next"]:
                day = anchor + timedelta(days=7 - anchor.weekday() + wanted)
            else:
                day = anchor + timedelta(days=(wanted - anchor.weekday()) % 7)
            return day, day
        case "within":
            written = (part["count"] or "").casefold()
            count = _COUNTS.get(written) or int(written)
            days = count * _UNITS.get((part["unit"] or "").casefold(), 7)
            day = anchor + timedelta(days=-int(-days // 1))
            return day, day
        case "relative" | "word":
            return _relative(reader.meaning(part["word"] or ""), anchor)
        case _:
            return _nearest(kind, month, part, anchor)


def _in_year(kind: str, year: int, month: int, part: Mapping[str, str | None]) -> tuple[date, date]:
    match kind:
        case "day":
            day = date(year, month, 15 if part.get("mid") else int(part["day"] or 0))
            return day, day
        case "week":
            week = int(part["week"] or 0)
            return date.fromisocalendar(year, week, 1), date.fromisocalendar(year, week, 7)
        case "quarter":
            month = 3 * int(part["quarter"] or 0)
            return date(year, month - 2, 1), _month_end(year, month)
        case "half":
            month = 6 * int(part["half"] or 0)
            return date(year, month - 5, 1), _month_end(year, month)
        case "month":
            return date(year, month, 1), _month_end(year, month)
        case _:
            return date(year, 1, 1), date(year, 12, 31)


def _nearest(
    kind: str, month: int, part: Mapping[str, str | None], anchor: date
) -> tuple[date, date]:
    """What is named without its year: the next one, or one that is past for no more than `_STALE`. A
    quarter is always one to come: nobody says "by Q3" in November and means the last one."""
    stale = timedelta() if kind == "quarter" else _STALE
    for year in (anchor.year - 1, anchor.year, anchor.year + 1):
        try:
            begin, end = _in_year(kind, year, month, part)
        except ValueError:
            continue
        if end >= anchor or anchor - end <= stale:
            return begin, end
    raise ValueError("no such day")


def _relative(word: str, anchor: date) -> tuple[date, date]:
    monday = anchor - timedelta(days=anchor.weekday())
    week = timedelta(days=7)
    sunday = timedelta(days=6)
    first = anchor.replace(day=1)
    match word:
        case "yesterday" | "today" | "tomorrow":
            day = anchor + timedelta(days=("yesterday", "today", "tomorrow").index(word) - 1)
            return day, day
        case "last week":
            return monday - week, monday - week + sunday
        case "this week":
            return monday, monday + sunday
        case "next week":
            return monday + week, monday + week + sunday
        case "last month":
            last = first - timedelta(days=1)
            return last.replace(day=1), last
        case "this month":
            return first, _month_end(anchor.year, anchor.month)
        case "this quarter":
            month = anchor.month + -anchor.month % 3
            return date(anchor.year, month - 2, 1), _month_end(anchor.year, month)
        case "this year":
            return date(anchor.year, 1, 1), date(anchor.year, 12, 31)
        case _:
            following = _month_end(anchor.year, anchor.month) + timedelta(days=1)
            return following, _month_end(following.year, following.month)


def _month_end(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])
