"""Settings and subjects for checks: a publication of few lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from newsletter.audience import Group
from newsletter.briefs import Vocabulary, parse_brief
from newsletter.checking import Checking
from newsletter.checks import BriefSubject, Linter, waived
from newsletter.config import CheckSettings, Settings
from newsletter.findings import Finding
from newsletter.issues import Issue
from tests.issues.workspace import AUDIENCES, GROUPS, SEGMENTS, loaded

TODAY = date(2026, 11, 24)


def settings(language: str = "en", **checks: Any) -> Settings:
    """A publication's settings; `checks` are keys of its table [checks]."""
    return Settings(
        publication={
            "name": "P",
            "base_url": "https://p.example",
            "postal_address": "1 Road",
            "language": language,
        },
        sender={"email": "desk@p.example"},
        checks=CheckSettings(**checks),
    )  # type: ignore[arg-type]


def brief_findings(
    text: str,
    *,
    day: date = TODAY,
    following: date | None = date(2026, 12, 1),
    in_issue: bool = True,
    language: str = "en",
    **checks: Any,
) -> list[Finding]:
    """What the checks say of one brief that is read on `day`."""
    chosen = settings(language, **checks)
    parsed = parse_brief(
        text,
        name="brief.md",
        vocabulary=Vocabulary(language=language),
        audiences=AUDIENCES,
        file="brief.md",
        day=day if in_issue else None,
    )
    linter = Linter(chosen.checks, file="newsletter.toml")
    return linter.brief(BriefSubject(parsed, chosen, day, following, in_issue=in_issue))


def issue_findings(
    issue: Issue, groups: Sequence[Group] = GROUPS, root: Path | None = None, **checks: Any
) -> list[Finding]:
    """What the checks say of an issue and its briefs, before any edition is rendered."""
    chosen = settings(**checks)
    root = root or issue.path.parent.parent
    checking = Checking(
        root,
        chosen,
        SEGMENTS,
        lambda key: loaded(root, key),
        values=lambda _: {},
        message=lambda _: b"",
        picture_problem=lambda _: "",
    )
    subject = checking.subject(issue, groups, issue.day or TODAY)
    return waived(checking.linter.issue(subject), issue.source)
