"""Which action a reader gets per brief, and why: one pure function with a trace.

It stands here and not in `editions`, because the coverage matrix and the publish gate ask it too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from newsletter.briefs import Action, Brief, Section
from newsletter.text import fold

Policy = Literal["first", "all"]
How = Literal["own", "general", "none"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """An action of the brief that this reader does not get."""

    action: str
    why: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """What one reader sees of one brief."""

    brief: Brief
    shown: (
        bool  #: false when it is for other segments only, or about what the reader did not choose
    )
    actions: tuple[Action, ...]
    sections: tuple[Section, ...]  #: the body without what is limited to others
    how: How
    because: str
    lens: tuple[str, ...]  #: segments through which the actions came, in order of priority
    rejected: tuple[Rejection, ...] = ()


def resolve(
    brief: Brief,
    reader: Sequence[str],
    *,
    policy: Policy = "first",
    names: Mapping[str, str] | None = None,
    muted: Collection[str] = (),
    topics: Collection[str] = (),
) -> Resolved:
    """Resolve one brief for a reader who is in the segments `reader` (keys in order of priority).

    A brief that is tagged with some of the publication's `topics`, all of which the reader `muted`, is
    not shown.

    `first`: the action of the reader's highest-priority segment that has one; else everybody's
    action; else none. `all`: the actions of all the reader's segments; everybody's only if there is
    none of those. `names` (segment key → name) makes the trace readable.
    """
    called = names or {}

    def name(key: str) -> str:
        return called.get(key, key)

    if brief.segments and not set(brief.segments) & set(reader):
        only = ", ".join(name(key) for key in brief.segments)
        because = f"the brief is only for {only}"
        rejected = tuple(Rejection(action.id, because) for action in brief.actions)
        return Resolved(brief, False, (), (), "none", because, (), rejected)

    about = topics_of(brief, topics)
    if about and about <= set(muted):
        because = f"the reader chose other topics than {', '.join(sorted(about))}"
        rejected = tuple(Rejection(action.id, because) for action in brief.actions)
        return Resolved(brief, False, (), (), "none", because, (), rejected)

    general = next((action for action in brief.actions if not action.segments), None)
    own: list[tuple[str, Action]] = []  # (segment through which it came, action), by priority
    known: set[int] = set()  # which of them, by identity; a brief may hold thousands
    for key in reader:
        for action in brief.actions:
            if key in action.segments and id(action) not in known:
                known.add(id(action))
                own.append((key, action))
    chosen = own[:1] if policy == "first" else own
    actions = [action for _, action in chosen] or ([general] if general else [])
    lens = tuple(key for key, _ in chosen)

    if chosen:
        how: How = "own"
        of_readers = f"the reader's segments {', '.join(map(name, reader))}"
        if len(reader) == 1:
            because = f"the reader is in {name(lens[0])}"
        elif policy == "all":
            because = f"{', '.join(map(name, lens))} of {of_readers} have an action"
        else:
            because = f"{name(lens[0])} has the highest priority of {of_readers} that has an action"
    elif general:
        how = "general"
        because = (
            "no action for the reader's segments, so everybody's"
            if reader
            else "the reader is in no segment, so everybody's"
        )
    else:
        how = "none"
        because = "no action for the reader's segments and none for everybody"

    taken = set(map(id, actions))
    rejected = tuple(
        Rejection(action.id, _why_rejected(action, reader, name(lens[0]) if lens else ""))
        for action in brief.actions
        if id(action) not in taken
    )
    sections = tuple(
        section
        for section in brief.body
        if not section.segments or set(section.segments) & set(reader)
    )
    return Resolved(brief, True, tuple(actions), sections, how, because, lens, rejected)


def topics_of(brief: Brief, topics: Collection[str]) -> set[str]:
    """Those of the publication's topics that a brief is tagged with, whatever their case."""
    tags = {fold(tag) for tag in brief.tags}
    return {topic for topic in topics if fold(topic) in tags}


def _why_rejected(action: Action, reader: Sequence[str], winner: str) -> str:
    if not action.segments:
        return f"for everybody, and {winner} has an action of its own"
    if not set(action.segments) & set(reader):
        return "not for a segment of this reader"
    return f"{winner} comes first"
