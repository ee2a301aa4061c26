"""Brings the checks and what they look at together: files, audience, rendered editions.

Rules know nothing of a workspace; this is where a brief gets the day on which it is read, an issue the
ones before it, and an edition its slots filled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

from newsletter.audience import Group, Segments
from newsletter.briefs import ParsedBrief
from newsletter.checks import (
    BriefSubject,
    EditionSubject,
    IssueSubject,
    Linter,
    SendingSubject,
    waived,
)
from newsletter.config import FILE, Settings
from newsletter.editions import Edition, fill
from newsletter.errors import NewsletterError
from newsletter.findings import Finding
from newsletter.issues import Issue, issue_ids

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Shown:
    """An edition, and who gets it."""

    edition: Edition
    readers: int
    segments: tuple[str, ...]  #: of one of them, in order of priority
    problems: tuple[Finding, ...] = ()  #: of its MJML


class Checking:
    """The checks of one publication."""

    def __init__(
        self,
        root: Path,
        settings: Settings,
        segments: Segments,
        load: Callable[[str], Issue],
        values: Callable[[str], Mapping[str, str]],
        *,
        online: bool = False,
    ) -> None:
        """`load` reads an issue; `values` fills the slots of an edition, by its id."""
        self.root = root
        self.settings = settings
        self.segments = segments
        self.online = online
        self._load = load
        self._values = values

    @cached_property
    def linter(self) -> Linter:
        return Linter(self.settings.checks, file=FILE, online=self.online)

    def brief(self, parsed: ParsedBrief, today: date) -> ParsedBrief:
        """A brief that is in no issue, with everything that is wrong with it. When it will be sent nobody
        knows yet, so a date that has passed is only a warning here."""
        found = self.linter.brief(BriefSubject(parsed, self.settings, today))
        mild = [
            replace(one, severity="warning") if one.code == "BR301" and one.blocks else one
            for one in found
        ]
        return replace(parsed, findings=tuple(mild))

    def subject(self, issue: Issue, groups: Sequence[Group], day: date) -> IssueSubject:
        """What the rules see of an issue that is read on `day`."""
        following = self._following(issue, day)
        briefs = tuple(
            BriefSubject(parsed, self.settings, day, following, in_issue=True)
            for parsed in issue.parsed
        )
        return IssueSubject(
            issue, self.segments, groups, self.settings, briefs, tuple(self._past(issue, day))
        )

    def issue(
        self,
        issue: Issue,
        groups: Sequence[Group],
        shown: Iterable[Shown],
        *,
        transport: str,
        today: date,
    ) -> list[Finding]:
        """Everything that is wrong with an issue, its briefs, its editions and their sending."""
        subject = self.subject(issue, groups, issue.day or today)
        found = self.linter.issue(subject)
        editions = list(shown)
        for one in editions:
            found += self.linter.edition(self._edition(one, subject))
        found += self.linter.sending(self._sending(transport))
        return waived(list(dict.fromkeys(found)), issue.source)

    def stale(self, issue: Issue, day: date) -> list[Finding]:
        """The dates that have passed when the issue arrives on `day`, without what is waived."""
        briefs = self.subject(issue, (), day).briefs
        found = [one for brief in briefs for one in self.linter.brief(brief)]
        told = waived(found, issue.source, complete=False)
        return [one for one in told if one.code.startswith("BR3") and one.blocks]

    def _edition(self, shown: Shown, subject: IssueSubject) -> EditionSubject:
        edition = shown.edition
        values = self._values(edition.id)
        return EditionSubject(
            edition,
            fill(edition.html, edition.nonce, values, "html"),
            fill(edition.text, edition.nonce, values, "text"),
            subject,
            shown.readers,
            shown.segments,
            shown.problems,
        )

    def _sending(self, transport: str) -> SendingSubject:
        text = (self.root / FILE).read_text("utf-8-sig")
        return SendingSubject(self.settings, transport, FILE, text, self.online)

    def _past(self, issue: Issue, day: date) -> list[Issue]:
        """The issues before this one, the latest first; one that can't be read is none."""
        found = [other for other in self._others(issue) if other.day and other.day < day]
        found.sort(key=lambda one: (one.day or day, one.id), reverse=True)
        return found[: self.settings.checks.past_issues]

    def _following(self, issue: Issue, day: date) -> date | None:
        """When the issue after this one goes out: the next that is there, else a week later for a weekly."""
        later = [other.day for other in self._others(issue) if other.day and other.day > day]
        if later:
            return min(later)
        return day + WEEK if issue.weekly else None

    def _others(self, issue: Issue) -> list[Issue]:
        if issue.id not in self._read:
            self._read[issue.id] = [
                other
                for key in issue_ids(self.root)
                if key != issue.id and (other := self._readable(key))
            ]
        return self._read[issue.id]

    def _readable(self, key: str) -> Issue | None:
        try:
            return self._load(key)
        except NewsletterError:
            return None

    @cached_property
    def _read(self) -> dict[str, list[Issue]]:
        return {}
