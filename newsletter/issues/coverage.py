"""The coverage matrix: which audience gets which action of which brief, with head-counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from newsletter.audience import Group, Segments
from newsletter.issues.issue import Issue

NOBODY = "-"  #: the column of readers who are in no segment
NO_ACTION = "IS201"


@dataclass(frozen=True, slots=True)
class Cell:
    """What members of one segment get from one brief."""

    action: str | None
    how: Literal["own", "general", "none", "waived"]
    text: str = ""
    reason: str = ""  #: why there is none on purpose
    by_waiver: bool = False  #: whether the manifest says so, and not a limit of the brief


@dataclass(frozen=True, slots=True)
class Row:
    slug: str
    headline: str
    cells: dict[str, Cell]  #: by segment key, or "-"


@dataclass(frozen=True, slots=True)
class Coverage:
    """The matrix. `people` counts sendable members, overlaps in each; `readers` are distinct."""

    readers: int
    people: tuple[tuple[str | None, int], ...]  #: (segment key, people); None for no segment
    rows: tuple[Row, ...]
    actions_per_reader: dict[
        str, tuple[int, int]
    ]  #: by column: fewest and most actions of a reader
    gate_ok: bool
    readers_outside: int

    def as_dict(self) -> dict[str, Any]:
        """The shape that `issue coverage --json` prints."""
        return {
            "readers": self.readers,
            "segments": [{"key": key, "people": people} for key, people in self.people],
            "briefs": [
                {
                    "slug": row.slug,
                    "cells": {
                        key: {"action": cell.action, "how": cell.how}
                        for key, cell in row.cells.items()
                    },
                }
                for row in self.rows
            ],
            "gate": {"ok": self.gate_ok, "readers_outside": self.readers_outside},
        }


def coverage(issue: Issue, segments: Segments, groups: Sequence[Group]) -> Coverage:
    """The matrix of an issue. `groups` are the sendable people by their set of segments; for an
    audience that is not there yet give none, and every head-count is 0."""
    columns: list[tuple[str, tuple[str, ...]]] = [(key, (key,)) for key in segments.keys]
    columns.append((NOBODY, ()))
    rows: list[Row] = []
    resolved = {key: issue.resolve(reader) for key, reader in columns}
    for n, brief in enumerate(issue.briefs):
        cells: dict[str, Cell] = {}
        for key, _ in columns:
            found = resolved[key][n]
            if found.actions:
                first = found.actions[0]
                cells[key] = Cell(first.id, found.how, first.text)
            elif waived := [
                one for one in issue.manifest.waiver if one.fits(NO_ACTION, brief.slug, key)
            ]:
                cells[key] = Cell(None, "waived", reason=waived[0].reason, by_waiver=True)
            elif not found.shown:
                cells[key] = Cell(None, "waived", reason=found.because)
            else:
                cells[key] = Cell(None, "none")
        rows.append(Row(brief.slug, brief.headline, cells))

    people = {key: 0 for key, _ in columns}
    spread: dict[str, tuple[int, int]] = {}
    outside = 0
    gate = issue.manifest.gate
    for group in groups:
        actions = sum(len(found.actions) for found in issue.resolve(group.segments))
        if actions < gate.min or (gate.max is not None and actions > gate.max):
            outside += group.people
        for key in group.segments or (NOBODY,):
            people[key] += group.people
            low, high = spread.get(key, (actions, actions))
            spread[key] = min(low, actions), max(high, actions)
    counted = tuple((None if key == NOBODY else key, number) for key, number in people.items())
    readers = sum(group.people for group in groups)
    return Coverage(readers, counted, tuple(rows), spread, outside == 0, outside)
