"""A rule: one thing that can be wrong, with its code, its severity and its explanation.

A rule is a small class. Its docstring is the explanation; `title`, `remedy` and `example` are printed
with it by `--explain` and on its page in the documentation. Which kind of thing it looks at says its base
class. Other packages add rules through the entry point group `newsletter.checks`; see docs/checks.md.
"""

from __future__ import annotations

import inspect
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

from newsletter.checks.subjects import (
    BriefSubject,
    EditionSubject,
    IssueSubject,
    SendingSubject,
)
from newsletter.findings import Finding, Position, Severity

Scope = Literal["brief", "issue", "edition", "sending"]
_CODE = re.compile(r"[A-Z]{2,4}\d{3}")


class Rule:
    """Base of all rules; derive from one of the four below, or from `ReadRule`."""

    code: ClassVar[str]
    severity: ClassVar[Severity] = "warning"
    title: ClassVar[str]  #: what is wrong, in a few words, no full stop
    remedy: ClassVar[str]  #: what to do about it, a sentence or two
    example: ClassVar[str] = ""  #: what it finds, as it stands in a file
    scope: ClassVar[Scope]
    #: false for what must hold whoever wants otherwise: no waiver and no setting silences it
    waivable: ClassVar[bool] = True
    online: ClassVar[bool] = False  #: only looked at when the network may be asked

    @classmethod
    def explanation(cls) -> str:
        """The docstring as paragraphs."""
        return inspect.cleandoc(cls.__doc__ or "")

    @classmethod
    def finding(
        cls,
        message: str,
        *,
        file: str | None = None,
        at: Position | None = None,
        brief: str | None = None,
        segment: str | None = None,
    ) -> Finding:
        """A finding of this rule. `brief` and `segment` are what a waiver can name."""
        return Finding(
            cls.code,
            cls.severity,
            message,
            file,
            at.line if at else None,
            at.column if at else None,
            brief=brief,
            segment=segment,
        )


class BriefRule(Rule):
    """Looks at one brief, in an issue or in the inbox."""

    scope = "brief"

    @abstractmethod
    def check(self, subject: BriefSubject) -> Iterator[Finding]:
        """Every place in the brief where it does not hold."""

    @classmethod
    def of(cls, subject: BriefSubject, message: str, at: Position) -> Finding:
        """A finding in this brief's file."""
        return cls.finding(message, file=subject.file, at=at, brief=subject.brief.slug)


class IssueRule(Rule):
    """Looks at an issue as a whole: manifest, order, coverage, earlier issues."""

    scope = "issue"

    @abstractmethod
    def check(self, subject: IssueSubject) -> Iterator[Finding]:
        """Every place in the issue's files where it does not hold."""

    @classmethod
    def of(
        cls,
        subject: IssueSubject,
        message: str,
        *keys: str,
        brief: str | None = None,
        segment: str | None = None,
    ) -> Finding:
        """A finding at a key of issue.toml; at its first line without keys."""
        source = subject.issue.source
        line = source.line(*keys) if keys else 1
        return cls.finding(
            message, file=source.file, at=Position(line, 1), brief=brief, segment=segment
        )


class EditionRule(Rule):
    """Looks at one rendered edition as it would be delivered."""

    scope = "edition"

    @abstractmethod
    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        """Everything in the edition that does not hold."""


class SendingRule(Rule):
    """Looks at sender and way out."""

    scope = "sending"

    @abstractmethod
    def check(self, subject: SendingSubject) -> Iterator[Finding]:
        """Everything about the sending that does not hold."""


class ReadRule(Rule):
    """What reading a file finds by itself: the class explains it, the parser tells it."""

    scope = "brief"


AnyRule = BriefRule | IssueRule | EditionRule | SendingRule | ReadRule


def proper(rules: Iterable[type[Rule]]) -> list[type[Rule]]:
    """The rules by code. Raises ValueError for one that lacks something, and for a code used twice."""
    known: dict[str, type[Rule]] = {}
    for rule in rules:
        if not isinstance(rule, type):
            raise TypeError(f"{rule!r} is no rule")
        name = f"{rule.__module__}.{rule.__qualname__}"
        if not issubclass(rule, BriefRule | IssueRule | EditionRule | SendingRule | ReadRule):
            raise TypeError(f"{name} derives from none of the rules' bases")
        for part in ("code", "title", "remedy"):
            if not getattr(rule, part, ""):
                raise ValueError(f"{name} has no {part}")
        if rule.severity not in ("error", "warning", "info"):
            raise ValueError(f'{name}: "{rule.severity}" is no severity')
        if not _CODE.fullmatch(rule.code):
            raise ValueError(f"{name}: {rule.code} is no code; write letters and three digits")
        if not rule.explanation():
            raise ValueError(f"{name} has no docstring to explain it")
        if other := known.get(rule.code):
            raise ValueError(f"{name}: {rule.code} is {other.__module__}.{other.__qualname__}")
        known[rule.code] = rule
    return [known[code] for code in sorted(known)]
