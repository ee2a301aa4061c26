"""The canonical form: Markdown with front matter. Parsing what this writes gives the same Brief."""

from __future__ import annotations

from typing import Any

import yaml

from newsletter.briefs.blocks import ALL_BOLD, ATTRIBUTES, STRUCTURE
from newsletter.briefs.dates import due_date
from newsletter.briefs.inline import sources_in
from newsletter.briefs.model import Action, Brief, Section, action_id
from newsletter.briefs.vocabulary import Audiences, Vocabulary

_PLAIN_NAME = frozenset(":,;&+/*_\"'«»„“”‘’")


def format_brief(
    brief: Brief, *, vocabulary: Vocabulary | None = None, audiences: Audiences | None = None
) -> str:
    """The brief as canonical text, with a line break at its end.

    Give the same vocabulary and audiences to `parse_brief` to get an equal Brief back. Only for
    briefs that parsed without errors: what an error held back is not in the Brief.
    """
    writer = _Writer(vocabulary or Vocabulary(), audiences)
    parts = [writer.front(brief), writer.heading(1, brief.headline, None)]
    lead = [section for section in brief.body if section.heading is None]
    parts += [writer.paragraph(text) for section in lead for text in section.paragraphs]
    for role, text in (("take", brief.take), ("why", brief.why)):
        if text:
            parts.append(f"## {writer.label(role)}")
            parts += [writer.paragraph(paragraph) for paragraph in text.split("\n\n")]
    if brief.actions:
        parts.append(f"## {writer.label('action')}")
        parts.append("\n".join(writer.action(action) for action in brief.actions))
    for section in brief.body:
        if section.heading is not None:
            parts.append(writer.section(section))
            parts += [writer.paragraph(text) for text in section.paragraphs]
    return "\n\n".join(parts) + "\n"


class _Writer:
    def __init__(self, vocabulary: Vocabulary, audiences: Audiences | None) -> None:
        self.vocabulary = vocabulary
        self.audiences = audiences

    def label(self, role: str) -> str:
        return self.vocabulary.labels[role][0]

    def front(self, brief: Brief) -> str:
        values: dict[str, Any] = {"slug": brief.slug}
        if brief.date:
            values["date"] = brief.date
        if brief.tags:
            values["tags"] = list(brief.tags)
        if brief.segments:
            values["segments"] = list(brief.segments)
        texts = [*brief.take.split("\n\n"), *brief.why.split("\n\n")]
        texts += [text for section in brief.body for text in section.paragraphs]
        if brief.sources != tuple(sources_in(texts)):
            values["sources"] = [
                {"name": source.name, **({"url": source.url} if source.url else {})}
                for source in brief.sources
            ]
        if pins := {key: pin for action in brief.actions for key, pin in self._pin(brief, action)}:
            values["actions"] = pins
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=10_000)
        return f"---\n{text}---"

    def _pin(self, brief: Brief, action: Action) -> list[tuple[str, dict[str, Any]]]:
        """What the action's own line can't say: an id that was kept, a date that was corrected."""
        default = action_id(brief.slug, action.segments)
        pin: dict[str, Any] = {}
        if action.id != default:
            pin["id"] = action.id
        if action.due != due_date(action.text, brief.date, self.vocabulary.language):
            pin["due"] = action.due
        return [(default.partition("/")[2], pin)] if pin else []

    def heading(self, level: int, text: str, role: str | None) -> str:
        """A heading that reads as a label by accident, or as emphasis, gets a backslash."""
        meant = self.vocabulary.role_of(text)
        accident = meant is not None and meant != role
        if text.startswith("\\") or accident or ALL_BOLD.match(text):
            text = "\\" + text
        return f"{'#' * level} {text}"

    def section(self, section: Section) -> str:
        heading = self.heading(2, section.heading or "", section.role)
        if section.segments:
            return f"{heading} {{for: {', '.join(section.segments)}}}"
        return f"{heading} {{}}" if ATTRIBUTES.search(heading) else heading

    def paragraph(self, text: str) -> str:
        return "\\" + text if STRUCTURE.match(text) else text

    def action(self, action: Action) -> str:
        names = [self._audience_name(key) for key in action.segments] or [
            self.vocabulary.everyone[0]
        ]
        who = " and ".join(names) if len(names) < 3 else ", ".join(names)
        return f"- {who}: {action.text}"

    def _audience_name(self, key: str) -> str:
        if self.audiences is None:
            return key
        name = self.audiences.name(key)
        unclear = _PLAIN_NAME & set(name) or " and " in f" {name.lower()} "
        return key if unclear or self.audiences.keys(name) != (key,) else name
