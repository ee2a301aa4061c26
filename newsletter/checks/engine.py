"""Runs the rules, and says which of their findings count."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from newsletter.checks import (
    briefs,
    dates,
    editions,
    issue,
    leaks,
    reading,
    sending,
)
from newsletter.checks.rule import (
    BriefRule,
    EditionRule,
    IssueRule,
    Rule,
    SendingRule,
    proper,
)
from newsletter.checks.subjects import (
    BriefSubject,
    EditionSubject,
    IssueSubject,
    SendingSubject,
)
from newsletter.config import CheckSettings, find_line
from newsletter.errors import ConfigError, NewsletterError, NotFoundError
from newsletter.findings import Finding, Position
from newsletter.issues.manifest import ManifestFile
from newsletter.text import did_you_mean

PLUGINS = "newsletter.checks"  #: entry points of rules that others wrote
_MODULES = (reading, briefs, dates, issue, editions, leaks, sending)


class UnusedWaiver(IssueRule):
    """A waiver that no finding needs any more. What it excused is mended, or it never fitted; left there it
    would silence the next slip of the same kind."""

    code = "IS112"
    title = "a waiver that nothing needs"
    remedy = "Remove it."
    example = '[[waiver]]\ncode = "BR104"\nreason = "No action this week."'

    def check(self, subject: IssueSubject) -> Iterator[Finding]:  # noqa: ARG002
        yield from ()  # `waived` finds it, when everything else was looked at


@cache
def all_rules() -> tuple[type[Rule], ...]:
    """Every rule by code, those of other packages included. Raises ConfigError for a bad one."""
    own = [
        value
        for module in _MODULES
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Rule)
        and value.__module__ == module.__name__
        and "code" in vars(value)
    ]
    others = [rule for point in entry_points(group=PLUGINS) for rule in _loaded(point)]
    try:
        return tuple(proper([*own, UnusedWaiver, *others]))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the checks can't be used: {error}") from error


def _loaded(point: Any) -> Iterator[type[Rule]]:
    """An entry point names a rule, or a list of them."""
    try:
        found = point.load()
        rules = [found] if isinstance(found, type) else list(found)
        for one in rules:
            one()
    except Exception as error:
        raise ConfigError(f"the checks of {point.value} can't be loaded: {error}") from error
    yield from rules


def rule(code: str) -> type[Rule]:
    """The rule of a code, in any case. Raises NotFoundError."""
    known = {one.code: one for one in all_rules()}
    found = known.get(code.upper())
    if found is None:
        hint = did_you_mean(code.upper(), known) or " docs/checks lists them."
        raise NotFoundError(f'there is no check "{code}".{hint}')
    return found


class Linter:
    """All checks of a publication, with its own settings for them."""

    def __init__(
        self, settings: CheckSettings, *, file: str, text: str = "", online: bool = False
    ) -> None:
        """`file` is where the settings stand, with `text`. With `online` the network may be asked.

        Raises ConfigError for a code in the settings that is none, or that can't be switched off."""
        known = {one.code: one for one in all_rules()}
        for key, table in (("off", settings.off), ("severity", settings.severity)):
            for code in table:
                line = find_line(text, ["checks", key, code])
                if code not in known:
                    problem = (
                        f'[checks.{key}]: there is no check "{code}".{did_you_mean(code, known)}'
                    )
                    raise ConfigError(problem, file=file, line=line)
                if not known[code].waivable:
                    raise ConfigError(f"[checks.{key}]: {code} always holds", file=file, line=line)
        self.settings = settings
        self.rules = [
            one()
            for one in all_rules()
            if one.code not in settings.off and (online or not one.online)
        ]

    def brief(self, subject: BriefSubject) -> list[Finding]:
        """What reading found, and what the rules of briefs find, in the order of the file."""
        found = [replace(one, brief=subject.brief.slug) for one in subject.parsed.findings]
        for one in self.rules:
            if isinstance(one, BriefRule):
                found += _checked(one, subject)
        return self._set(sorted(found, key=lambda one: (one.line or 0, one.column or 0, one.code)))

    def issue(self, subject: IssueSubject) -> list[Finding]:
        """The issue's own findings, then those of its briefs in their order."""
        found: list[Finding] = []
        for one in self.rules:
            if isinstance(one, IssueRule):
                found += _checked(one, subject)
        for brief in subject.briefs:
            found += self.brief(brief)
        return self._set(found)

    def edition(self, subject: EditionSubject, *, errors_only: bool = False) -> list[Finding]:
        """What is wrong with one rendered edition; with `errors_only` just what blocks, in half the
        time."""
        found: list[Finding] = []
        for one in self.rules:
            severity = self.settings.severity.get(one.code, one.severity)
            if isinstance(one, EditionRule) and (severity == "error" or not errors_only):
                found += _checked(one, subject)
        return self._set(found)

    def sending(self, subject: SendingSubject) -> list[Finding]:
        """What is wrong with sender and way out."""
        found: list[Finding] = []
        for one in self.rules:
            if isinstance(one, SendingRule):
                found += _checked(one, subject)
        return self._set(found)

    def _set(self, found: Iterable[Finding]) -> list[Finding]:
        """Without what is off, as severe as the publication wants it, each once."""
        settings = self.settings
        return list(
            dict.fromkeys(
                replace(one, severity=settings.severity.get(one.code, one.severity))
                for one in found
                if one.code not in settings.off
            )
        )


def _checked(one: Any, subject: Any) -> list[Finding]:
    try:
        return [_proper(finding) for finding in one.check(subject)]
    except NewsletterError:
        raise
    except Exception as error:
        if type(one).__module__.startswith("newsletter."):
            raise
        name = f"{type(one).__module__}.{type(one).__qualname__}"
        raise ConfigError(f"the check {one.code} ({name}) failed: {error!r}") from error


def _proper(finding: Any) -> Finding:
    if not isinstance(finding, Finding) or not isinstance(finding.message, str):
        raise TypeError(f"{finding!r} is no finding")
    return finding


def waived(
    found: Sequence[Finding],
    source: ManifestFile,
    *,
    complete: bool = True,
    unasked: Collection[str] = (),
) -> list[Finding]:
    """The findings with the reasons of those that the manifest waives, and one for each waiver that none
    needed: not without `complete`, when not everything was looked at, nor for codes that were
    `unasked`."""
    waivers = source.manifest.waiver
    unwaivable = {one.code for one in all_rules() if not one.waivable}
    used: set[int] = set()
    told: list[Finding] = []
    for one in found:
        fitting = [
            n for n, waiver in enumerate(waivers) if waiver.fits(one.code, one.brief, one.segment)
        ]
        used.update(fitting)
        if fitting and one.code not in unwaivable:
            told.append(replace(one, waived=waivers[fitting[0]].reason))
        else:
            told.append(one)
    if complete:
        # dates are looked at again when the send starts: a waiver may be for that day
        used |= {n for n, waiver in enumerate(waivers) if waiver.code.startswith("BR3")}
        used |= {n for n, waiver in enumerate(waivers) if waiver.code in unasked}
        elsewhere = {one.line for one in found if one.code == "IS108"}
        for n, waiver in enumerate(waivers):
            line = source.line("waiver", str(n))
            if n not in used and line not in elsewhere:
                message = f"no finding needs this waiver for {waiver.code}; remove it"
                if waiver.code not in {one.code for one in all_rules()}:
                    hint = did_you_mean(waiver.code, [one.code for one in all_rules()])
                    message = f'there is no check "{waiver.code}" to waive.{hint}'
                elif waiver.code in unwaivable:
                    message = f"{waiver.code} can't be waived"
                told.append(UnusedWaiver.finding(message, file=source.file, at=Position(line, 1)))
    return told
