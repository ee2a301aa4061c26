"""Rules about dates: every one resolved against the day on which readers get the mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import ClassVar

from newsletter.briefs import impossible_dates, is_deadline, named_dates
from newsletter.checks.rule import BriefRule
from newsletter.checks.subjects import BriefSubject
from newsletter.findings import Finding, Severity

# What makes a date of the body one that is still to come.
_AHEAD = re.compile(
    r"\b(?:will|is to|are to|starts|begins|takes effect|comes into force|applies|opens|expires|ends|"
    r"wird|werden|beginnt|endet|tritt|gilt ab|sera|seront|commence|entre en vigueur)\b"
    r"(?:(?!\b(?:since|seit|depuis)\b)[^.;])*$",
    re.IGNORECASE,
)

#: Without a day of its own a text means these loosely.
_NOWADAYS = ("today", "heute", "aujourd'hui", "aujourd’hui")


def _day(day: date) -> str:
    return day.isoformat()


def _arrives(subject: BriefSubject) -> str:
    when = _day(subject.day)
    return f"when the mail arrives on {when}" if subject.in_issue else f"already (today is {when})"


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
            if action.due and action.due < subject.day:
                message = f"the action's date ({_day(action.due)}) has passed {_arrives(subject)}"
                yield self.of(subject, message, action.at)


class AnnouncedAndPassed(BriefRule):
    """The text speaks of a date as still to come ("by", "until", "will … on"), and it is past when the mail
    arrives. Dates that the text looks back on are none of it."""

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
                before = text[max(0, named.start - 80) : named.start]
                if is_deadline(text, named, subject.language) or _AHEAD.search(before):
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
                if written is None and named.text.lower() in _NOWADAYS:
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
