"""The canonical form, as an editor sees it. That it loses nothing is in test_properties."""

from __future__ import annotations

from datetime import date

from newsletter.briefs import (
    Action,
    Audiences,
    Brief,
    Section,
    Source,
    Vocabulary,
    format_brief,
    parse_brief,
)

AUDIENCES = Audiences([("ai-teams", ["AI teams"]), ("execs", ["Execs"]), ("r-d", ["R&D: all"])])

BRIEF = Brief(
    slug="price-cut",
    headline="Quillon halves its prices",
    take="A trap.\n\nAnd a costly one.",
    why="Budgets are being fixed.",
    actions=(
        Action(
            "price-cut/ai-teams+execs",
            ("ai-teams", "execs"),
            "decide by 1 December 2026.",
            date(2026, 12, 1),
        ),
        Action("old/id", ("r-d",), "read it.", date(2026, 12, 24)),
        Action("price-cut/all", (), "check your contract."),
    ),
    body=(
        Section(None, ("Quillon halves its prices (per Ledger).", "- one", "# no heading")),
        Section("By the numbers", ("Half.",), role="fact"),
        Section("Our Take", ("A section that is named like a label.",)),
        Section("Costs", ("For some.",), segments=("execs",)),
        Section("Ends in {}", ("Text.",)),
    ),
    sources=(Source("Counting House", "https://counting.example"), Source("Ledger")),
    tags=("prices", "no"),
    date=date(2026, 11, 20),
    segments=("ai-teams", "execs"),
)  # fmt: skip

CANONICAL = """\
---
slug: price-cut
date: 2026-11-20
tags:
- prices
- 'no'
segments:
- ai-teams
- execs
sources:
- name: Counting House
  url: https://counting.example
- name: Ledger
actions:
  r-d:
    id: old/id
    due: 2026-12-24
---

# Quillon halves its prices

Quillon halves its prices (per Ledger).

- one

\\# no heading

## Our Take

A trap.

And a costly one.

## Why it matters

Budgets are being fixed.

## Do this week

- AI teams and Execs: decide by 1 December 2026.
- r-d: read it.
- Everyone: check your contract.

## By the numbers

Half.

## \\Our Take

A section that is named like a label.

## Costs {for: execs}

For some.

## Ends in {} {}

Text.
"""


def test_the_canonical_form_is_this() -> None:
    assert format_brief(BRIEF, audiences=AUDIENCES) == CANONICAL


def test_reading_it_gives_the_same_brief() -> None:
    parsed = parse_brief(CANONICAL, audiences=AUDIENCES)
    assert parsed.findings == ()
    assert parsed.brief == BRIEF


def test_sources_that_the_text_names_are_not_repeated() -> None:
    text = "# Head\n\nIt rose (per Ledger).\n"
    canonical = format_brief(parse_brief(text, name="x").brief)
    assert "sources" not in canonical


def test_another_languages_labels_are_written() -> None:
    vocabulary = Vocabulary({"take": ["Unsere Sicht"], "action": ["Zu tun"]}, everyone=["Alle"])
    brief = Brief("x", "Kopf", take="Ja.", actions=(Action("x/all", (), "lesen."),))
    canonical = format_brief(brief, vocabulary=vocabulary)
    assert "## Unsere Sicht" in canonical
    assert "- Alle: lesen." in canonical
    assert parse_brief(canonical, vocabulary=vocabulary).brief == brief


def test_a_headline_in_stars_on_purpose_keeps_them() -> None:
    brief = Brief("x", "**Loud**", body=(Section("__Louder__", ("Text.",)),))
    assert parse_brief(format_brief(brief), name="x").brief == brief
