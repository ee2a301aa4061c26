"""From the inbox to an issue. A new issue starts from the last one's settings.

The folder is made complete under another name and renamed, and only then leaves the inbox lose
their files: killed at any moment, every brief is still there.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import tomlkit

from newsletter.briefs import ParsedBrief, parse_brief, read_text
from newsletter.errors import InputError, RefusedError
from newsletter.files import replace_file
from newsletter.issues.issue import FOLDER, brief_files, issue_ids
from newsletter.issues.manifest import FILE, monday_of, require_id, require_new_id, title_of
from newsletter.text import did_you_mean

_KEPT = ("text", "policy", "gate")  # settings that a new issue takes over from the last one


@dataclass(frozen=True, slots=True)
class Candidate:
    """A brief in the inbox."""

    path: Path
    parsed: ParsedBrief

    @property
    def slug(self) -> str:
        return self.parsed.brief.slug

    @property
    def day(self) -> date:
        """The brief's own date, else the day on which its file was last changed."""
        changed = datetime.fromtimestamp(self.path.stat().st_mtime, UTC).date()
        return self.parsed.brief.date or changed


@dataclass(frozen=True, slots=True)
class Choice:
    """Which briefs of the inbox to take. Empty choices take all."""

    slugs: tuple[str, ...] = ()  #: just these, in this order
    tag: str | None = None
    since: date | None = None
    until: date | None = None
    most: int | None = None

    def of(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The chosen briefs in order. Raises RefusedError for a slug that is not in the inbox."""
        if self.slugs:
            if self.tag or self.since or self.until or self.most:
                raise RefusedError(
                    "name the briefs, or choose them by tag, date or number, not both"
                )
            by_slug = {candidate.slug: candidate for candidate in candidates}
            for slug in self.slugs:
                if slug not in by_slug:
                    hint = did_you_mean(slug, by_slug)
                    raise RefusedError(f'there is no brief "{slug}" in the inbox.{hint}')
            if len(set(self.slugs)) < len(self.slugs):
                raise RefusedError("a brief is named twice")
            return [by_slug[slug] for slug in self.slugs]
        chosen = [
            candidate
            for candidate in sorted(candidates, key=lambda one: (one.day, one.slug))
            if (self.tag is None or self.tag in candidate.parsed.brief.tags)
            and (self.since is None or candidate.day >= self.since)
            and (self.until is None or candidate.day <= self.until)
        ]
        return chosen[: self.most]


def assemble(
    root: Path,
    issue: str,
    candidates: Sequence[Candidate],
    choice: Choice,
    *,
    add: bool = False,
    zone: ZoneInfo | None = None,
) -> list[Candidate]:
    """Make the issue from briefs of the inbox, or with `add` put more into it.

    Returns the briefs that went in, in order. Raises RefusedError when nothing was chosen, when the
    issue is there already, when a slug is used twice, or when a chosen brief has errors; InputError
    for a manifest that can't be read. Then nothing was changed. With the publication's `zone` a new
    issue leaves at the last one's hour by the clock, also where summer time began in between.
    """
    folder = root / FOLDER / require_id(issue)
    exists = (folder / FILE).exists()
    if not exists:
        require_new_id(issue)
    if exists and not add:
        raise RefusedError(
            f"issue {issue} is there already. To put more briefs into it: "
            f"newsletter issue assemble {issue} --add"
        )
    chosen = choice.of(candidates)
    if not chosen:
        what = "is empty" if not candidates else "holds no brief that fits these choices"
        raise RefusedError(
            f"the inbox (issues/inbox) {what}, and an issue without briefs is none. "
            "Add some: newsletter brief add FILE"
        )
    _refuse_doubles(root, issue, chosen)
    broken = [candidate for candidate in chosen if not candidate.parsed.ok]
    if broken:
        first = next(finding for finding in broken[0].parsed.findings if finding.blocks)
        raise RefusedError(f"{first.place}: {first.message}")
    if exists:
        _add(folder, chosen)
    else:
        _make(root, issue, folder, chosen, zone)
    for candidate in chosen:
        candidate.path.unlink()
    return chosen


def _refuse_doubles(root: Path, issue: str, chosen: Sequence[Candidate]) -> None:
    slugs = [candidate.slug for candidate in chosen]
    for slug in slugs:
        if slugs.count(slug) > 1:
            files = [str(c.path.relative_to(root)) for c in chosen if c.slug == slug]
            raise RefusedError(f'two briefs have the slug "{slug}": {", ".join(files)}')
    for other in issue_ids(root):
        for path in brief_files(root / FOLDER / other / "briefs"):
            slug = _slug_of(path)
            for candidate in chosen:
                if other == issue and _same_file(path, candidate.path):
                    continue  # an earlier run was stopped half-way: this one finishes it
                if path.name == candidate.path.name or slug == candidate.slug:
                    raise RefusedError(
                        f'the brief "{candidate.slug}" is in issue {other} already '
                        f"({path.relative_to(root)}); give this one another name to run it in {issue}"
                    )


def _same_file(one: Path, other: Path) -> bool:
    return one.name == other.name and one.read_bytes() == other.read_bytes()


def _slug_of(path: Path) -> str:
    """The slug of a brief: parsed only where front matter may pin one."""
    try:
        text = read_text(path)
    except InputError:  # the issue's own check tells what is wrong with it
        text = ""
    begins = text.lstrip("\ufeff \t\r\n").startswith("---")
    return parse_brief(text if begins else "", name=path.name).brief.slug


def _make(
    root: Path, issue: str, folder: Path, chosen: Sequence[Candidate], zone: ZoneInfo | None
) -> None:
    manifest = _first_manifest(root, issue, chosen, zone)
    draft = folder.with_name(f".{issue}.new")
    if draft.exists():
        shutil.rmtree(draft)
    (draft / "briefs").mkdir(parents=True)
    for candidate in chosen:
        shutil.copy2(candidate.path, draft / "briefs" / candidate.path.name)
    (draft / FILE).write_text(manifest, "utf-8")
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    if folder.exists():
        shutil.rmtree(draft)
        raise RefusedError(f"the folder issues/{issue} is there and holds no {FILE}: move it away")
    draft.rename(folder)


def _add(folder: Path, chosen: Sequence[Candidate]) -> None:
    document = _document(folder / FILE)
    (folder / "briefs").mkdir(exist_ok=True)
    for candidate in chosen:
        replace_file(folder / "briefs" / candidate.path.name, candidate.path.read_bytes())
    order = document.get("order")  # without one, briefs stand by their files' names
    for candidate in chosen:
        if order is not None and candidate.slug not in order:
            order.append(candidate.slug)
    replace_file(folder / FILE, tomlkit.dumps(document))


def _document(path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(path.read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError("is not UTF-8; save it with the encoding UTF-8", file=str(path)) from None
    except tomlkit.exceptions.ParseError as error:
        raise InputError(f"is not valid TOML: {error}", file=str(path), line=error.line) from None


def _first_manifest(
    root: Path, issue: str, chosen: Sequence[Candidate], zone: ZoneInfo | None
) -> str:
    headlines = [candidate.parsed.brief.headline for candidate in chosen]
    last_id = _issue_before(root, issue)
    last: Any = tomlkit.document()
    if last_id:
        last = _document(root / FOLDER / last_id / FILE)
    document = tomlkit.document()
    document["title"] = title_of(issue)
    document["subject"] = headlines[0]
    document["preheader"] = f"Also: {'; '.join(headlines[1:3])}." if headlines[1:] else ""
    document["intro"] = ""
    moment = last.get("send_at")
    this, before = monday_of(issue), monday_of(last_id or "")
    if isinstance(moment, datetime) and this and before:
        moment = moment.astimezone(zone) if moment.tzinfo and zone else moment
        document["send_at"] = moment + timedelta(days=(this - before).days)
    order = tomlkit.array().multiline(True)
    order.extend(candidate.slug for candidate in chosen)
    document["order"] = order
    for key in _KEPT:
        if key in last:
            document[key] = last[key]
    return tomlkit.dumps(document)


def _issue_before(root: Path, issue: str) -> str | None:
    earlier = [known for known in issue_ids(root) if known < issue]
    return (earlier or issue_ids(root))[-1] if issue_ids(root) else None
