"""Rules about a rendered edition, as it would be delivered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from newsletter.checks.rule import EditionRule
from newsletter.checks.subjects import EditionSubject
from newsletter.findings import Finding, Position, Severity

CLIPPED = 102_000  # bytes of HTML after which Gmail cuts a mail


class Clipped(EditionRule):
    """Gmail cuts the HTML of a mail at about 102 kB and puts a link in the place of the rest, where the
    way to unsubscribe and the picture that counts opens stand. Counted is what is delivered, all slots
    filled."""

    code = "ED101"
    severity: ClassVar[Severity] = "error"
    title = "Gmail will cut the mail"
    remedy = 'Fewer or shorter briefs, `text = "lead"`, or a simpler template.'

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        size = len(subject.html.encode())
        if size > CLIPPED:
            message = (
                f"the edition for {subject.name} has {size / 1000:.0f} kB of HTML; "
                "Gmail cuts it at 102 kB"
            )
            yield self.finding(message, file=subject.subject.issue.source.file, at=Position(1, 1))


class Identifying(EditionRule):
    """So few people get this edition that its figures are theirs: who opened, clicked or did something
    could be told by name. `[checks] smallest_edition` is how many there should be."""

    code = "ED603"
    title = "an edition for very few readers"
    remedy = "Give them a wider segment's action or texts, or waive it."

    def check(self, subject: EditionSubject) -> Iterator[Finding]:
        least = subject.settings.checks.smallest_edition
        if 0 < subject.readers < least:
            people = "one person" if subject.readers == 1 else f"{subject.readers} people"
            message = (
                f"the edition for {subject.name} goes to {people}; "
                f"fewer than {least} can be told apart by what they do"
            )
            yield self.finding(
                message,
                file=subject.subject.issue.source.file,
                at=Position(1, 1),
                segment=subject.segments[0] if subject.segments else "-",
            )
