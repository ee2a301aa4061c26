"""Brings the checks and what they look at together: files, audience, rendered editions.

Rules know nothing of a workspace; this is where a brief gets the day on which it is read, an issue the
ones before it, and an edition its slots filled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    all_rules,
    waived,
)
from newsletter.checks.editions import BrokenTemplate
from newsletter.checks.issue import ManifestUnreadable
from newsletter.checks.spam import Missing, SpamScore, score
from newsletter.config import FILE, Settings
from newsletter.editions import Edition, TemplateProblem, fill
from newsletter.errors import InputError, NewsletterError, TemplateError
from newsletter.findings import Finding, Position
from newsletter.issues import Issue, issue_ids

WEEK = timedelta(days=7)
_EXPLAIN = {"IS121", "IS122"}  #: what keeps editions from being rendered, told at its own place
_LATER = ("BR112", "BR301")  #: errors of an issue that a brief in the inbox may still have
_PATIENCE = 20.0  # seconds for the spam filter


@dataclass(frozen=True, slots=True)
class Shown:
    """An edition, and who gets it."""

    edition: Edition
    readers: int
    segments: tuple[str, ...]  #: of one of them, in order of priority
    problems: tuple[TemplateProblem, ...] = ()


class Checking:
    """The checks of one publication."""

    def __init__(
        self,
        root: Path,
        settings: Settings,
        segments: Segments,
        load: Callable[[str], Issue],
        *,
        values: Callable[[str], Mapping[str, str]],
        message: Callable[[Edition], bytes],
        picture_problem: Callable[[str], str],
        looks: Sequence[str] = (),
        online: bool = False,
    ) -> None:
        """`load` reads an issue; `values` fills the slots of an edition, by its id; `message` makes a whole
        message of it; `picture_problem` says what is wrong with a picture, "" for nothing; `looks`
        are those that there are."""
        self.root = root
        self.settings = settings
        self.segments = segments
        self.online = online
        self._load = load
        self._values = values
        self._message = message
        self._picture_problem = picture_problem
        self._looks = tuple(looks)
        self._read: dict[str, list[Issue]] = {}

    @cached_property
    def linter(self) -> Linter:
        text = (self.root / FILE).read_text("utf-8-sig") if (self.root / FILE).exists() else ""
        return Linter(self.settings.checks, file=FILE, text=text, online=self.online)

    def brief(self, parsed: ParsedBrief, today: date, issue: Issue | None = None) -> ParsedBrief:
        """A brief with everything that is wrong with it, by itself or as part of its `issue`. When one that
        is in no issue will be sent nobody knows yet, and a draft may say TK, so what `_LATER` lists is
        only a warning there."""
        if issue is not None and issue.day:
            following = self._following(issue, issue.day)
            subject = BriefSubject(parsed, self.settings, issue.day, following, in_issue=True)
            return replace(parsed, findings=tuple(self.linter.brief(subject)))
        found = self.linter.brief(BriefSubject(parsed, self.settings, today))
        mild = [
            replace(one, severity="warning") if one.code in _LATER and one.blocks else one
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
            issue,
            self.segments,
            groups,
            self.settings,
            briefs,
            tuple(self._past(issue, day)),
            self._looks,
            self._picture_problem,
        )

    def issue(
        self,
        issue: Issue,
        groups: Sequence[Group],
        shown: Iterable[Shown],
        *,
        transport: str,
        today: date,
        errors_only: bool = False,
        broken: NewsletterError | None = None,
        day: date | None = None,
    ) -> list[Finding]:
        """Everything that is wrong with an issue, its briefs, its editions and their sending; with
        `errors_only` at least all that blocks: enough to plan, and quicker. `broken` is what kept the
        editions from being rendered, `day` that of sending where it is not the issue's."""
        subject = self.subject(issue, groups, day or issue.day or today)
        found = self.linter.issue(subject)
        editions = list(shown)
        told = isinstance(broken, TemplateError) or not _EXPLAIN & {one.code for one in found}
        if broken and told:
            at = Position(broken.line or 1, 1)
            found.append(BrokenTemplate.finding(broken.message, file=broken.file, at=at))
        dead = self._dead(editions)
        for one in _told_once(editions):
            found += self.linter.edition(self._edition(one, subject, dead), errors_only=errors_only)
        # the spam filter takes its time, and its points are no error
        sending = self._sending(transport, () if errors_only else editions)
        found += self.linter.sending(sending)
        return waived(
            list(dict.fromkeys(found)),
            issue.source,
            complete=not errors_only and broken is None,
            unasked=self._unasked(subject, sending),
        )

    def _unasked(self, subject: IssueSubject, sending: SendingSubject) -> set[str]:
        """Codes that could not be found: off line, without an audience, without a spam filter."""
        unasked = {
            one.code
            for one in all_rules()
            if one.online and (not self.online or (one.scope == "sending" and not sending.domain))
        }
        if not isinstance(sending.spam, SpamScore):
            unasked.add("SD301")
        return unasked if subject.groups else unasked | {"ED603"}

    def unreadable(self, error: InputError) -> Finding:
        """An issue whose files can't be read, as a finding."""
        at = Position(error.line or 1, 1)
        return ManifestUnreadable.finding(error.message, file=error.file, at=at)

    def stale(self, issue: Issue, day: date) -> list[Finding]:
        """The dates that have passed when the issue arrives on `day`, without what is waived."""
        briefs = self.subject(issue, (), day).briefs
        found = [one for brief in briefs for one in self.linter.brief(brief)]
        told = waived(found, issue.source, complete=False)
        return [one for one in told if one.code.startswith("BR3") and one.blocks]

    def _edition(
        self, shown: Shown, subject: IssueSubject, dead: Mapping[str, str]
    ) -> EditionSubject:
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
            dead,
        )

    def _sending(self, transport: str, editions: Sequence[Shown]) -> SendingSubject:
        text = (self.root / FILE).read_text("utf-8-sig")
        settings = self.settings
        domain = None
        if self.online and transport != "outbox":
            from newsletter.checks.dns import Selector, look_up

            keys = settings.transports.smtp.dkim if transport == "smtp" else ()
            domain = look_up(
                settings.sender.domain,
                selectors=[Selector(key.selector, key.domain) for key in keys],
                bounces=settings.sender.bounce_address.rpartition("@")[2],
            )
        longest = max(editions, key=lambda one: len(one.edition.html), default=None)
        points = self._points(longest.edition) if longest else None
        return SendingSubject(settings, transport, FILE, text, domain, points)

    def _points(self, edition: Edition) -> SpamScore | Missing:
        """What the spam filter of this machine says of an edition."""
        message = self._message(edition)
        return score(message, arguments=self.settings.checks.spamc, timeout=_PATIENCE)

    def _dead(self, editions: Sequence[Shown]) -> dict[str, str]:
        """Addresses of links that do not answer, and why. Empty off line."""
        if not self.online:
            return {}
        from newsletter.checks.reach import reachable

        urls = dict.fromkeys(link.url for one in editions for link in one.edition.links)
        found = reachable(urls, cache=self.root / "var" / "cache" / "links.json")
        return {url: one.reason for url, one in found.items() if one.status == "dead"}

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


def _told_once(editions: Iterable[Shown]) -> Iterator[Shown]:
    """The same, each place of a template with what is wrong there in the first edition that shows it: the
    next ones print other words at the same line. Beside a template that can't be used nothing else is
    told of them: it most likely follows."""
    seen: set[tuple[str, int | None, str]] = set()
    broken = False
    for one in editions:
        broken = broken or any(problem.broken for problem in one.problems)
        problems = []
        for problem in one.problems:
            place = (problem.file, problem.line, problem.kind)
            if place not in seen and (problem.broken or not broken):
                seen.add(place)
                problems.append(problem)
        yield replace(one, problems=tuple(problems))
