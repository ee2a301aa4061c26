"""What a whole brief can lack, told at the place where it would be mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from newsletter.briefs.model import Brief, ParsedBrief
from newsletter.findings import Finding, Position, Severity

HEADLINE_LENGTH = 90  # characters: two lines of a phone at the headline's size
ACTION_WORDS = 40


def lint_brief(parsed: ParsedBrief) -> ParsedBrief:
    """The same brief with the lint's findings added to the parser's."""
    brief = parsed.brief
    found: list[Finding] = []

    def find(code: str, severity: Severity, message: str, at: Position) -> None:
        found.append(Finding(code, severity, message, parsed.file, at.line, at.column))

    top = brief.at("headline")
    codes = {finding.code for finding in parsed.findings}
    if not brief.take and "take" not in brief.positions:
        find("BR102", "warning", "no take: what do we make of it, in a sentence or two?", top)
    if not brief.why and "why" not in brief.positions:
        find("BR103", "warning", "no reason why it matters to the reader", top)
    if not brief.actions and not codes & {"BR201", "BR203"}:
        find("BR104", "warning", "no action: what should which audience do this week?", top)
    if len(brief.headline) > HEADLINE_LENGTH:
        find(
            "BR107",
            "warning",
            f"the headline has {len(brief.headline)} characters; phones show about {HEADLINE_LENGTH}",
            top,
        )
    for text, at in _texts(brief):
        if "<!--" in text:
            message = "a comment (<!-- … -->) would be mailed as text; take it out"
            find("BR108", "error", message, at)
    for action in brief.actions:
        words = len(action.text.split())
        if words > ACTION_WORDS:
            message = (
                f"the action has {words} words; more than {ACTION_WORDS} is more than one step"
            )
            find("BR204", "warning", message, action.at)
    findings = sorted((*parsed.findings, *found), key=lambda f: (f.line or 0, f.column or 0))
    return replace(parsed, findings=tuple(findings))


def _texts(brief: Brief) -> Iterator[tuple[str, Position]]:
    """Everything that is printed, with the place of its part."""
    yield brief.headline, brief.at("headline")
    yield brief.take, brief.at("take")
    yield brief.why, brief.at("why")
    for action in brief.actions:
        yield action.text, action.at
    for section in brief.body:
        for text in (section.heading or "", *section.paragraphs):
            yield text, section.at
