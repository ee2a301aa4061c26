"""Rules about dates: every one resolved against the day on which readers get the mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from typing import ClassVar

from newsletter.briefs import Action, NamedDate, action_id, due_date, impossible_dates, named_dates
from newsletter.checks.rule import BriefRule
from newsletter.checks.subjects import BriefSubject
from newsletter.findings import Finding, Severity

#: What a text without a day of its own means of the day of its mail.
_OF_THE_MAIL = ("today", "this week", "this month", "this quarter", "this year")
_AROUND = 200  #: characters of a sentence that are looked at on either side of a date


@dataclass(frozen=True, slots=True)
class _Announcing:
    """How one language says that something is still to come, as regular expressions."""

    words: str  #: from a verb in the present or future up to the date
    past: str  #: anywhere in the sentence: it tells of the past
    between: str  #: the same, between that verb and the date
    after: str = r"(?!)"  #: the same, behind the date, unless `auxiliary` stands before it
    auxiliary: str = r"(?!)"


# Precise rather than complete: news is full of dates that have passed and of the words "by" and "until".
# The verb, a few words without a comma, and the preposition directly before the date.
_FEW = r"(?P<between>(?:\s+[\w'’%€$£.-]+){0,8}?)"
_ANNOUNCING = {
    "en": _Announcing(
        words=(
            rf"\b(?:(?:is|are|stays?|remains?|runs?|lasts?|continues?)\b{_FEW}\s+(?:until|till|through|by)"
            rf"|(?:must|may|can|should|have\s+to|has\s+to|will)\b(?P<between4>(?:\s+[\w'’%€$£.-]+){{0,8}}?)"
            rf"\s+(?:until|till|through|by|before|no\s+later\s+than)"
            rf"|(?:will|is\s+to|are\s+to)\b(?P<between2>(?:\s+[\w'’%€$£.-]+){{1,6}}?)\s+(?:on|in|from|at)"
            rf"|(?:starts?|begins?|ends?|expires?|opens?|closes?|launches|takes?\s+effect|appl(?:y|ies)|"
            rf"comes?\s+into\s+force|enters?\s+into\s+force)"
            rf"(?:\s+(?:only|again))?(?:\s+(?:on|in|from|at|with))?"
            rf"|deadline\b(?P<between3>(?:\s+[\w'’-]+){{0,4}}?)\s+is(?:\s+on)?)"
            rf"(?:[\s,]+(?:the|end|of|close|business|day|noon|midnight|at|on|\w+day|\d{{1,2}}\s?[ap]m))"
            rf"{{0,5}}[\s,]+$"
        ),
        past=(
            r"\b(?:was|were|had|did|began|went|took|ran|came|said|sold|bought|made|shut|passed|launched|"
            r"closed|opened|ended|started|left|told|announced|since|after)\b"
        ),
        between=(
            r"\b(?:that|which|who|whose|because|than|as|if|when|where|from|have|been|begun|known|found|set|put|built|"
            r"held|sent|paid|lost|won|hit|recall|remember|review|discuss|examine|investigate)\b"
            r"|(?<!\bbe )(?<!\bnot )\b[a-z]{3,}ed\b"
        ),
    ),
    "de": _Announcing(
        words=(
            rf"\b(?:ist|sind|wird|werden|soll|sollen|muss|müssen|kann|können|gilt|gelten|läuft|laufen|"
            rf"bleibt|bleiben|beginnt|endet|startet|öffnet|schließt|tritt)\b{_FEW}"
            rf"\s+(?:bis(?:\s+zum|\s+Ende)?|am|ab|zum|im|vor(?:\s+dem)?|spätestens(?:\s+am)?)"
            rf"(?:[\s,]+(?:dem|den|\w+tag|Mittwoch))*[\s,]+$"
        ),
        past=(
            r"\b(?:war|waren|wurden?|hat|haben|hatten?|begann|begannen|galt|lief|ging|kam|trat|blieb|schloss|"
            r"endeten?|starteten?|sagten?|seit|nach(?:dem)?|verlängert)\b"
        ),
        between=r"\b(?:der|die|das)\s+\w+\s+\w+te\b|\b(?:dass|weil|als|wenn)\b",
        after=r"\b(?:\w*ge\w{3,}(?:t|en)|(?:ver|be|er|ent|unter)\w{3,}t)\b",
        auxiliary=r"\b(?:wird|werden|soll|sollen|muss|müssen|kann|können)\b",
    ),
    "fr": _Announcing(
        words=(
            rf"\b(?:est|sont|(?:sera|seront)\s+\w+|reste|restent|dure|doit|doivent|peut|peuvent|commence|débute|finit|"
            rf"prend\s+fin|se\s+termine|expire|ouvre|ferme|entre\s+en\s+vigueur|s['’]applique)\b{_FEW}"
            rf"\s+(?:jusqu['’](?:au|en|à)|avant(?:\s+le)?|d['’]ici(?:\s+le)?|le|en|dès\s+le|"
            rf"au\s+plus\s+tard\s+le|à\s+partir\s+du)(?:[\s,]+(?:la|fin|\w+di|dimanche))*[\s,]*$"
        ),
        past=r"\b(?:\w+ai(?:t|ent)|fut|furent|a|ont|avai(?:t|ent)|depuis|après)\b",
        between=r"\b(?:qui|que|dont|parce|lorsque)\b|\b(?!ouvert)\w{3,}és?\b|\b\w{3,}ées?\b",
    ),
}
_SENTENCE = re.compile(r"[.;:!?…]\s+(?=[^\W\d_]|[(\[“„«\"'])|\n")


@cache
def _announcing(language: str) -> tuple[re.Pattern[str], ...]:
    code = language.partition("-")[0].lower()
    none = _Announcing(r"(?!)", r"(?!)", r"(?!)")
    words = _ANNOUNCING.get(code, none)
    return tuple(
        re.compile(pattern, re.IGNORECASE)
        for pattern in (words.words, words.past, words.between, words.after, words.auxiliary)
    )


def _is_announced(text: str, named: NamedDate, language: str) -> bool:
    """Whether a text speaks of a date as still to come: a verb in the present or future, then a word such
    as "until" or "on" directly before the date, and nothing in the sentence that tells of the past."""
    words, past, between, after, auxiliary = _announcing(language)
    before = _SENTENCE.split(text[max(0, named.start - _AROUND) : named.start])[-1]
    behind = _SENTENCE.split(text[named.stop : named.stop + _AROUND])[0]
    match = words.search(before)
    if not match or past.search(before) or past.search(behind):
        return False
    if any(part and between.search(part) for part in match.groups()):
        return False
    return not after.search(behind) or bool(auxiliary.search(before))


def _day(day: date) -> str:
    return day.isoformat()


def _arrives(subject: BriefSubject) -> str:
    when = _day(subject.day)
    return f"when the mail arrives on {when}" if subject.in_issue else f"already (today is {when})"


def _due(action: Action, subject: BriefSubject) -> date | None:
    """An action's date. Where neither the brief nor its issue has a day, it was read without one: here it
    counts from today, unless the front matter speaks for the action."""
    brief = subject.brief
    key = action_id(brief.slug, action.segments).partition("/")[2]
    if action.due or brief.date or f"actions.{key}" in brief.positions:
        return action.due
    return due_date(action.text, subject.day, subject.language)


class DeadlinePassed(BriefRule):
    """The date of an action is past when the mail arrives: nobody can do it any more. Dates, quarters and
    words such as "by Friday" are resolved against the issue's `send_at` in the publication's zone, or
    against today for a brief that is in no issue. It is looked at again when the send starts, and a
    mailing whose actions have passed by then is held."""

    code = "BR301"
    severity: ClassVar[Severity] = "error"
    title = "an action's date has passed"
    remedy = "Correct the text, or `due` in the front matter; or waive it with a reason."
    example = "Do this week\nAI teams: monitor the launch in Q2 2024.\nA headline\nText.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        for action in subject.brief.actions:
            due = _due(action, subject)
            if due and due < subject.day:
                message = f"the action's date ({_day(due)}) has passed {_arrives(subject)}"
                yield self.of(subject, message, action.at)


class AnnouncedAndPassed(BriefRule):
    """The text speaks of a date as still to come ("is open until", "must … by", "will … on", "starts on"),
    and it is past when the mail arrives. Told only where the sentence says so in the present or the future
    and nothing in it looks back, in English, German and French."""

    code = "BR302"
    title = "a date that is announced has passed"
    remedy = "Correct the date, or tell it as past."
    example = "# Tollgate cuts its prices\n\nThe offer is open until 3 May 2024.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        anchor = subject.brief.date or subject.day
        for passage in subject.passages:
            if passage.part == "action":
                continue
            text = passage.words
            for named in named_dates(text, anchor, subject.language):
                if named.end >= subject.day or named.backward or named.relative:
                    continue
                if _is_announced(text, named, subject.language):
                    message = (
                        f'"{named.text}" is spoken of as to come and has passed {_arrives(subject)}'
                    )
                    yield self.of(subject, message, subject.place(passage, named.text))


class MeansAnotherDay(BriefRule):
    """A word such as "tomorrow", "this week" or "by Friday" means one day to whoever wrote the brief and
    another to whoever reads it. It is told where the two differ: between the brief's own `date` and the
    day of sending; and for a text (not an action) without a `date`, since nobody can know."""

    code = "BR303"
    title = "a relative date that readers read differently"
    remedy = "Write the date."
    example = (
        "---\ndate: 2026-11-12\n---\n\n# Tollgate cuts its prices\n\nThe offer starts tomorrow.\n"
    )

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        written = subject.brief.date
        if not subject.in_issue:
            return
        for passage in subject.passages:
            if written is None and passage.part == "action":  # counts from the day of sending
                continue
            text = passage.words
            read = named_dates(text, subject.day, subject.language)
            meant = {
                named.start: named.end
                for named in named_dates(text, written or subject.day, subject.language)
            }
            for named in read:
                if not named.relative or (written and meant.get(named.start) == named.end):
                    continue
                if named.meaning == "within" and passage.part != "action":  # of what it is about
                    continue
                if written is None and named.meaning in _OF_THE_MAIL:
                    continue
                at = subject.place(passage, named.text)
                if written is None:
                    message = (
                        f'"{named.text}" counts from a day that nobody can know: '
                        "write the date, or give the brief one"
                    )
                else:
                    message = (
                        f'"{named.text}" was {_day(meant[named.start])} when it was written on '
                        f"{_day(written)}, and is {_day(named.end)} to who reads it on "
                        f"{_day(subject.day)}"
                    )
                yield self.of(subject, message, at)


class Holiday(BriefRule):
    """An action is due on a public holiday of `[checks] holidays` ("DE", "DE-HH", "US-CA"): those who were
    to do it are away."""

    code = "BR304"
    title = "an action is due on a holiday"
    remedy = "Move it to a working day before."
    example = "Do this week\nExecs: sign it by 25 December 2026.\nA headline\nText.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        for action in subject.brief.actions:
            name = action.due and holiday(subject.settings.checks.holidays, action.due)
            if action.due and name and action.due >= subject.day:
                message = f"{_day(action.due)} is a public holiday ({name})"
                yield self.of(subject, message, action.at)


class AfterTheNext(BriefRule):
    """ "Do this week" is due only after the next issue: it could wait for that one, and would be nearer to
    the day."""

    code = "BR305"
    severity: ClassVar[Severity] = "info"
    title = "an action is due after the next issue"
    remedy = "Keep it for the next issue, or ask for a first step this week."
    example = "Do this week\nExecs: sign it by 31 December 2027.\nA headline\nText.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        if subject.following is None:
            return
        for action in subject.brief.actions:
            if action.due and action.due > subject.following:
                message = (
                    f"the action is due on {_day(action.due)}, after the next issue "
                    f"({_day(subject.following)})"
                )
                yield self.of(subject, message, action.at)


class NoSuchDay(BriefRule):
    """A date that does not exist, such as 31 November: either the day or the month is wrong, and an
    action with it has another deadline than its readers think, or none."""

    code = "BR306"
    title = "a date that does not exist"
    remedy = "Correct the day or the month."
    example = "# Tollgate cuts its prices\n\nThe offer ends on 31 November 2026.\n"

    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        for passage in subject.passages:
            for written in impossible_dates(passage.words, subject.language):
                message = f'there is no "{written}"'
                yield self.of(subject, message, subject.place(passage, written))


@lru_cache(maxsize=1024)
def holiday(place: str, day: date) -> str | None:
    """The public holiday's name on a day in a country or its part ("DE", "DE-HH"); None without one, and
    for a place that the calendar does not know."""
    if not place:
        return None
    import holidays

    country, _, part = place.partition("-")
    try:
        found = holidays.country_holidays(
            country, subdiv=part or None, years=day.year, language="en_US"
        )
    except NotImplementedError:
        return None
    name = found.get(day)
    return str(name) if name else None
