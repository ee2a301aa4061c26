"""Small factories: a publication of few lines, briefs, an issue, and head-counts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from newsletter.audience import Group, Rule, Segment, Segments
from newsletter.briefs import Audiences, Vocabulary, read_brief
from newsletter.config import FieldSettings
from newsletter.issues import Candidate, Issue, inbox, load_issue

BERLIN = ZoneInfo("Europe/Berlin")
SEGMENTS = Segments(
    [
        Segment("execs", "Execs", (), 10, None),
        Segment("ai-teams", "AI teams", (), 20, Rule("role = 'x'", {"role": FieldSettings()})),
        Segment("security", "Security", ("InfoSec",), 30, None),
    ]
)
AUDIENCES = Audiences(SEGMENTS.names())
VOCABULARY = Vocabulary()

#: Sendable people by their set of segments: 111 readers.
GROUPS = (
    Group(("execs",), 1),
    Group(("execs", "ai-teams"), 2),
    Group(("ai-teams",), 8),
    Group((), 100),
)


def brief_text(
    headline: str = "A headline", *actions: str, front: Mapping[str, str] | None = None
) -> str:
    """A whole brief; the actions are lines such as `Execs: decide.`"""
    fence = [] if front is None else ["---", *(f"{k}: {v}" for k, v in front.items()), "---"]
    items = [f"- {action}" for action in actions or ("Everyone: read it.",)]
    lines = [
        *fence, f"# {headline}", "", "Lead.", "", "## Our Take", "", "T.", "",
        "## Why it matters", "", "W.", "", "## Do this week", "", *items, "",
    ]  # fmt: skip
    return "\n".join(lines)


def put_issue(root: Path, issue: str, manifest: str, **briefs: str) -> Path:
    """Write an issue; a brief's name has `_` for `-`. Returns its folder."""
    folder = root / "issues" / issue
    (folder / "briefs").mkdir(parents=True)
    (folder / "issue.toml").write_text(manifest, "utf-8")
    for name, text in briefs.items():
        (folder / "briefs" / f"{name.replace('_', '-')}.md").write_text(text, "utf-8")
    return folder


def loaded(root: Path, issue: str) -> Issue:
    return load_issue(root, issue, vocabulary=VOCABULARY, audiences=AUDIENCES, zone=BERLIN)


def an_issue(
    root: Path, manifest: str = 'subject = "S"\npreheader = "P"\n', **briefs: str
) -> Issue:
    """Write and load issue 2026-W48."""
    put_issue(root, "2026-W48", manifest, **briefs)
    return loaded(root, "2026-W48")


def put_inbox(root: Path, name: str, text: str, *, changed: date | None = None) -> Path:
    """Write a brief into the inbox, as changed on a day."""
    path = root / "issues" / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    if changed:
        noon = datetime(changed.year, changed.month, changed.day, 12, tzinfo=ZoneInfo("UTC"))
        os.utime(path, (noon.timestamp(), noon.timestamp()))
    return path


def candidates(root: Path, audiences: Audiences = AUDIENCES) -> list[Candidate]:
    return [
        Candidate(path, read_brief(path, vocabulary=VOCABULARY, audiences=audiences))
        for path in inbox(root)
    ]
