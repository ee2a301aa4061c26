"""What is wrong with an issue as a whole, each finding at the place where it would be mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from newsletter.audience import Group, Segments
from newsletter.findings import Finding, Severity
from newsletter.issues.coverage import NO_ACTION, NOBODY, coverage, find_waiver
from newsletter.issues.issue import Issue, all_findings
from newsletter.text import did_you_mean


def check_issue(issue: Issue, segments: Segments, groups: Sequence[Group]) -> list[Finding]:
    """All findings of an issue, in the order in which a reader of the list would mend them."""
    return _Checker(issue, segments, groups).run()


class _Checker:
    def __init__(self, issue: Issue, segments: Segments, groups: Sequence[Group]) -> None:
        self.issue = issue
        self.segments = segments
        self.groups = groups
        self.found: list[Finding] = []

    def run(self) -> list[Finding]:
        self.manifest_itself()
        self.split_test()
        self.order()
        self.past_dates()
        self.covered()
        slugs = {parsed.file: parsed.brief.slug for parsed in self.issue.parsed}
        briefs = [self._waive(found, slugs.get(found.file)) for found in all_findings(self.issue)]
        return [*self.found, *briefs]

    def manifest_itself(self) -> None:
        if not self.issue.parsed:
            self._find("IS101", "error", "no briefs: put some into this issue's folder briefs/")
        if not self.issue.manifest.subject:
            self._find("IS105", "error", "no subject", "subject")
        if not self.issue.manifest.preheader:
            message = "no preheader: phones show the mail's first words instead"
            self._find("IS106", "warning", message, "preheader")
        for key, override in self.issue.manifest.segments.items():
            if override.subject == "":
                self._find("IS105", "error", f'no subject for "{key}"', "segments", key, "subject")
            if key not in self.segments.keys:
                hint = did_you_mean(key, self.segments.keys)
                self._find("IS107", "error", f'there is no segment "{key}".{hint}', "segments", key)
        for n, waiver in enumerate(self.issue.manifest.waiver):
            place = ("waiver", str(n))
            slugs = [brief.slug for brief in self.issue.briefs]
            if waiver.brief is not None and waiver.brief not in slugs:
                hint = did_you_mean(waiver.brief, slugs)
                message = f'the waiver names the brief "{waiver.brief}", which is not here.{hint}'
                self._find("IS108", "warning", message, *place)
            if waiver.segment not in (None, NOBODY, *self.segments.keys):
                message = f'the waiver names the segment "{waiver.segment}", which is not defined'
                self._find("IS108", "warning", message, *place)

    def split_test(self) -> None:
        known = {action.id for brief in self.issue.briefs for action in brief.actions}
        for n, arm in enumerate(self.issue.manifest.split.arm):
            for action in arm.actions:
                if action not in known:
                    hint = did_you_mean(action, known)
                    message = (
                        f'arm "{arm.name}" names the action "{action}", which is not here.{hint}'
                    )
                    self._find("IS111", "error", message, "split", "arm", str(n))

    def order(self) -> None:
        slugs = Counter(brief.slug for brief in self.issue.briefs)
        files: dict[str, str] = {}
        for parsed in self.issue.parsed:
            if first := files.get(parsed.brief.slug):
                message = f'a second brief "{parsed.brief.slug}" (the first is {first})'
                self.found.append(Finding("IS104", "error", message, parsed.file, 1, 1))
            files.setdefault(parsed.brief.slug, parsed.file or "")
        for slug in self.issue.manifest.order:
            if slug not in slugs:
                hint = did_you_mean(slug, slugs)
                self._find(
                    "IS102", "error", f'order names "{slug}", which is not here.{hint}', "order"
                )
        for slug, times in Counter(self.issue.manifest.order).items():
            if times > 1:
                self._find("IS103", "error", f'order names "{slug}" {times} times', "order")
        owners: dict[str, str] = {}
        for parsed in self.issue.parsed:
            for action in parsed.brief.actions:
                owner = owners.setdefault(action.id, parsed.brief.slug)
                if owner != parsed.brief.slug:
                    message = f'the action id "{action.id}" is taken by the brief "{owner}"'
                    at = action.at
                    self.found.append(
                        Finding("IS110", "error", message, parsed.file, at.line, at.column)
                    )
        missing = [slug for slug in slugs if slug not in self.issue.manifest.order]
        if missing and self.issue.manifest.order:
            message = f"order does not name {', '.join(missing)}; they come last"
            self._find("IS109", "warning", message, "order")

    def past_dates(self) -> None:
        day = self.issue.day
        if day is None:
            return
        for parsed in self.issue.parsed:
            for action in parsed.brief.actions:
                if action.due and action.due < day:
                    message = (
                        f"the action's date ({action.due.isoformat()}) has passed "
                        f"when the mail arrives on {day.isoformat()}"
                    )
                    at = action.at
                    found = Finding("BR301", "warning", message, parsed.file, at.line, at.column)
                    self.found.append(self._waive(found, parsed.brief.slug))

    def covered(self) -> None:
        matrix = coverage(self.issue, self.segments, self.groups)
        people = dict(matrix.people)
        for parsed, row in zip(self.issue.parsed, matrix.rows, strict=True):
            for key, cell in row.cells.items():
                if cell.how != "none":
                    continue
                name = "readers in no segment" if key == NOBODY else self.segments.get(key).name
                number = people[None if key == NOBODY else key]
                at = parsed.brief.at("action" if parsed.brief.actions else "headline")
                message = (
                    f"no action for {name} ({number:,} people): write one, one for everybody, "
                    "or waive it in issue.toml with a reason"
                )
                found = Finding(NO_ACTION, "warning", message, parsed.file, at.line, at.column)
                self.found.append(self._waive(found, parsed.brief.slug, key))
        if not matrix.gate_ok:
            gate = self.issue.manifest.gate
            bounds = f"at least {gate.min}" if gate.max is None else f"{gate.min} to {gate.max}"
            message = (
                f"{matrix.readers_outside:,} of {matrix.readers:,} readers do not get "
                f"{bounds} actions, as [gate] wants"
            )
            self._find("IS202", "error", message, "gate")

    def _find(self, code: str, severity: Severity, message: str, *keys: str) -> None:
        source = self.issue.source
        line = source.line(*keys) if keys else 1
        self.found.append(self._waive(Finding(code, severity, message, source.file, line, 1)))

    def _waive(
        self, finding: Finding, brief: str | None = None, segment: str | None = None
    ) -> Finding:
        waiver = find_waiver(self.issue.manifest.waiver, finding.code, brief, segment)
        return replace(finding, waived=waiver.reason) if waiver else finding
