"""The Brief: one story as data. Frozen values, no behaviour beyond what follows from them.

Source positions travel with the values but never take part in comparison: two briefs are equal when
they say the same thing, wherever it stood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from newsletter.findings import Finding, Position, blocking

EVERYBODY = "all"  #: reserved key: the action id of everybody's action ends in it


def action_id(slug: str, segments: tuple[str, ...]) -> str:
    """`<brief slug>/<sorted segment keys joined by +>`, or `<brief slug>/all` for everybody."""
    return f"{slug}/{'+'.join(sorted(segments)) or EVERYBODY}"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do this week, for a set of segments or (no segments) for everybody."""

    id: str
    segments: tuple[str, ...]  #: sorted segment keys; empty for everybody
    text: str  #: inline Markdown, one line, the audience taken off
    due: date | None = None  #: end of the period that the text names
    at: Position = field(default=Position(), compare=False)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the body. The lead has no heading and comes first."""

    heading: str | None
    paragraphs: tuple[str, ...]  #: inline Markdown, one line each
    role: str = "body"  #: "body", "fact" or "note"
    segments: tuple[str, ...] = ()  #: only for these; empty for everybody
    at: Position = field(default=Position(), compare=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a claim comes from; a name alone is enough."""

    name: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Brief:
    """One story. `take` and `why` may hold several paragraphs, a blank line between them."""

    slug: str
    headline: str
    take: str = ""
    why: str = ""
    actions: tuple[Action, ...] = ()
    body: tuple[Section, ...] = ()
    sources: tuple[Source, ...] = ()
    tags: tuple[str, ...] = ()
    date: date | None = None
    segments: tuple[str, ...] = ()  #: the whole brief only for these; empty for everybody
    positions: Mapping[str, Position] = field(default_factory=dict, compare=False, repr=False)

    @property
    def words(self) -> int:
        """Number of words in all that a reader may see."""
        texts = [self.headline, self.take, self.why, *(action.text for action in self.actions)]
        for section in self.body:
            texts += [section.heading or "", *section.paragraphs]
        return sum(len(text.split()) for text in texts)

    def at(self, part: str) -> Position:
        """Where "headline", "take", "why", "action" or a front-matter key stands."""
        return self.positions.get(part, Position())


@dataclass(frozen=True, slots=True)
class ParsedBrief:
    """What parsing gave: always a brief, as complete as the text allowed, and what was found."""

    brief: Brief
    findings: tuple[Finding, ...] = ()
    file: str | None = None
    text: str = field(default="", compare=False, repr=False)  #: as it was read, for finding places

    @property
    def ok(self) -> bool:
        return not blocking(self.findings)
