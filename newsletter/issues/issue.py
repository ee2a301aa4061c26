"""An issue as its folder holds it: the manifest and its briefs, in order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from newsletter.briefs import Audiences, Brief, ParsedBrief, Vocabulary, read_brief
from newsletter.errors import NotFoundError
from newsletter.issues.manifest import (
    FILE,
    Manifest,
    ManifestFile,
    monday_of,
    read_manifest,
    require_id,
    title_of,
)
from newsletter.issues.resolve import Resolved, resolve, topics_of
from newsletter.text import did_you_mean

FOLDER = "issues"
INBOX = "inbox"
SUFFIXES = (".md", ".txt", ".markdown")


@dataclass(frozen=True)
class Issue:
    """One issue. `parsed` is in the manifest's order, briefs that it does not name at the end."""

    id: str
    source: ManifestFile
    parsed: tuple[ParsedBrief, ...]
    path: Path

    @property
    def manifest(self) -> Manifest:
        return self.source.manifest

    @cached_property
    def briefs(self) -> tuple[Brief, ...]:
        return tuple(parsed.brief for parsed in self.parsed)

    @property
    def title(self) -> str:
        return self.manifest.title or title_of(self.id)

    @property
    def weekly(self) -> bool:
        """Whether it is the issue of a week, and another follows a week later."""
        return monday_of(self.id) is not None

    @property
    def sends_at(self) -> datetime | None:
        return self.source.sends_at

    @property
    def day(self) -> date | None:
        """Day of sending in the publication's zone; the week's Monday while none is set."""
        if self.sends_at:
            return self.sends_at.astimezone(self.source.zone).date()
        return monday_of(self.id)

    def resolve(
        self,
        reader: tuple[str, ...],
        names: Mapping[str, str] | None = None,
        *,
        muted: Collection[str] = (),
        topics: Collection[str] = (),
    ) -> tuple[Resolved, ...]:
        """Every brief for a reader in these segments (keys in order of priority) who does not want what
        is about `muted` alone, of the publication's `topics`."""
        policy = self.manifest.policy.resolution
        return tuple(
            resolve(brief, reader, policy=policy, names=names, muted=muted, topics=topics)
            for brief in self.briefs
        )

    def topics(self, known: Collection[str]) -> tuple[str, ...]:
        """Those of the publication's topics that any brief is tagged with, in their order."""
        found = set[str]().union(*(topics_of(brief, known) for brief in self.briefs))
        return tuple(topic for topic in known if topic in found)


def issue_ids(root: Path) -> list[str]:
    """Ids of all issues in the workspace, sorted."""
    folder = root / FOLDER
    if not folder.is_dir():
        return []
    return sorted(
        path.parent.name
        for path in folder.glob(f"*/{FILE}")
        if path.parent.name != INBOX and not path.parent.name.startswith(".")  # one half made
    )


def brief_files(folder: Path) -> list[Path]:
    """The brief files of a folder, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def load_issue(
    root: Path, issue: str, *, vocabulary: Vocabulary, audiences: Audiences, zone: ZoneInfo
) -> Issue:
    """Read an issue from its folder. Raises NotFoundError for an unknown id, InputError for files
    that can't be read; what is wrong in briefs becomes their findings."""
    require_id(issue)
    folder = root / FOLDER / issue
    if not (folder / FILE).is_file():
        known = issue_ids(root)
        hint = did_you_mean(issue, known) or (f" There are: {', '.join(known)}." if known else "")
        raise NotFoundError(
            f'there is no issue "{issue}".{hint} To begin it: newsletter issue assemble {issue}'
        )
    source = read_manifest(folder / FILE, str(Path(FOLDER, issue, FILE)), zone)
    sends_at = source.sends_at
    day = sends_at.astimezone(zone).date() if sends_at else monday_of(issue)
    parsed = [
        read_brief(
            path,
            vocabulary=vocabulary,
            audiences=audiences,
            shown_as=str(path.relative_to(root)),
            day=day,
        )
        for path in brief_files(folder / "briefs")
    ]
    place = {slug: n for n, slug in enumerate(source.manifest.order)}
    parsed.sort(key=lambda one: place.get(one.brief.slug, len(place)))
    return Issue(issue, source, tuple(parsed), folder)
