"""House styles: whose labels mean what, in both formats; and the vocabularies that the page shows."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from newsletter.briefs import Audiences, Brief, Vocabulary, format_brief, parse_brief
from newsletter.briefs.vocabulary import DEFAULT_LABELS
from newsletter.config import BriefSettings
from tests.docs.pages import Page

ROOT = Path(__file__).parents[2]
AUDIENCES = Audiences(
    [("ai-teams", ["AI teams"]), ("execs", ["Execs"]), ("procurement", ["Procurement"])]
)

OURS = """\
Our Take
A fair price and a poor habit.

Why it matters
Budgets for 2027 close in December.

Do this week
AI teams: compare both prices by 11 December 2026.
Everyone: tell finance which tools run on Tollgate.

Tollgate cuts its prices by half

Tollgate halves its prices until spring (per Harbor Ledger).

What the contract says

Very little about March.
"""

AXIOS = """\
Ferrow moves its storage to tape

Ferrow will keep cold data on tape from January (per Harbor Ledger).

Why it matters: Reading a file back will take hours, not seconds.

Driving the news: The firm told its customers on Monday.

State of play: A third of all data is cold.

The big picture: Tape is cheap, and slow.

By the numbers: 41 cents a terabyte, down from two dollars.

What they're saying: “We waited ten years for this,” says one customer.

Zoom in: Backups older than ninety days move first.

Zoom out: Two rivals did the same in spring.

Between the lines: The discount is meant for those who never read.

Yes, but: Law firms read their archives every week.

What to watch: Whether reading back stays free.

What's next: The first data moves on 12 January 2027.

Go deeper: https://harbor-ledger.example.com/tape

Suggested action: Execs: ask who needs an archive within the hour by 18 December 2026.

The bottom line: Cheap to keep is not cheap to use.
"""

IMPACT = """\
Halewick ends its free support

What happened
Halewick closes its free support on 1 March 2027 (per Counting House).

Context
It was opened in the year of the outage.

Practical impact
Whoever has no contract waits for the forum.

Suggested action
Procurement: ask for the price of a contract by 15 January 2027.
"""


def marked(text: str, mark: str) -> str:
    """The same with its labels as headings or in bold."""
    vocabulary = Vocabulary()
    lines: list[str] = []
    for line in text.splitlines():
        hit = vocabulary.match(line)
        if line.startswith("Suggested action: "):  # an action stands below its label
            hit = vocabulary.match("Suggested action")
            lines += [mark.format(hit.label if hit else ""), "", line.partition(": ")[2]]
        elif hit is None:
            heading = 0 < len(line.split()) < 8 and not line.endswith(".")
            lines.append(f"# {line}" if heading else line)
        else:
            lines += [mark.format(hit.label), "", hit.rest]
        lines.append("")
    return "\n".join(lines)


def parse(text: str) -> Brief:
    parsed = parse_brief(text, name="story", audiences=AUDIENCES)
    assert parsed.ok, parsed.findings
    return parsed.brief


@pytest.mark.parametrize("mark", ["{}", "{}:", "## {}", "**{}**", "**{}:**"])
def test_the_style_with_a_take_a_reason_and_a_week_reads_the_same_however_marked(mark: str) -> None:
    text = OURS if not mark.startswith(("#", "*")) else marked(OURS, mark)
    text = text.replace("# What the", "## What the")
    brief = parse(text)
    assert brief.headline == "Tollgate cuts its prices by half"
    assert brief.take == "A fair price and a poor habit."
    assert brief.why == "Budgets for 2027 close in December."
    assert [(one.segments, one.text) for one in brief.actions] == [
        (("ai-teams",), "compare both prices by 11 December 2026."),
        ((), "tell finance which tools run on Tollgate."),
    ]
    assert [(one.heading, len(one.paragraphs)) for one in brief.body] == [
        (None, 1),
        ("What the contract says", 1),
    ]


@pytest.mark.parametrize("mark", ["", "## {}", "**{}**", "**{}:**"])
def test_the_axios_style_gives_every_label_its_part(mark: str) -> None:
    brief = parse(marked(AXIOS, mark) if mark else AXIOS)
    assert brief.headline == "Ferrow moves its storage to tape"
    assert brief.why == "Reading a file back will take hours, not seconds."
    assert brief.take == "Cheap to keep is not cheap to use."
    assert [one.segments for one in brief.actions] == [("execs",)]
    assert [(one.heading, one.role) for one in brief.body] == [
        (None, "body"),
        ("Driving the news", "body"),
        ("State of play", "body"),
        ("The big picture", "body"),
        ("By the numbers", "fact"),
        ("What they're saying", "body"),
        ("Zoom in", "body"),
        ("Zoom out", "body"),
        ("Between the lines", "body"),
        ("Yes, but", "body"),
        ("What to watch", "body"),
        ("What's next", "body"),
        ("Go deeper", "body"),
    ]
    assert all(len(one.paragraphs) == 1 for one in brief.body)
    assert [one.name for one in brief.sources] == ["Harbor Ledger", "harbor-ledger.example.com"]


@pytest.mark.parametrize("mark", ["", "## {}", "**{}**", "**{}:**"])
def test_the_style_with_a_practical_impact_has_its_reason_there(mark: str) -> None:
    brief = parse(marked(IMPACT, mark) if mark else IMPACT)
    assert brief.headline == "Halewick ends its free support"
    assert brief.why == "Whoever has no contract waits for the forum."
    assert [one.heading for one in brief.body] == ["What happened", "Context"]
    assert [one.segments for one in brief.actions] == [("procurement",)]


@pytest.mark.parametrize("text", [OURS, AXIOS, IMPACT])
def test_every_style_reads_the_same_once_it_is_in_the_canonical_form(text: str) -> None:
    brief = parse(text)
    assert parse(format_brief(brief, audiences=AUDIENCES)) == brief


def test_more_labels_stand_beside_those_that_are_there() -> None:
    vocabulary = Vocabulary(more_labels={"take": ["Unser Urteil"]})
    assert vocabulary.role_of("Unser Urteil:") == vocabulary.role_of("Our Take") == "take"
    assert vocabulary.labels["take"][0] == DEFAULT_LABELS["take"][0]


def test_a_label_has_the_role_that_it_was_given_and_not_its_default_one() -> None:
    assert Vocabulary().role_of("Practical impact") == "why"
    assert Vocabulary({"body": ["Practical impact"]}).role_of("Practical impact") == "body"
    assert (
        Vocabulary(more_labels={"body": ["Practical impact"]}).role_of("Practical impact") == "body"
    )


# -- the page ------------------------------------------------------------------------------------------


def shown(n: int) -> tuple[Vocabulary, str]:
    """The n-th vocabulary that the page shows, and the brief that stands below it."""
    fences = Page(ROOT / "docs/briefs.md").fences
    places = [
        i
        for i, one in enumerate(fences)
        if one.language == "toml" and one.text.lstrip().startswith("[briefs")
    ]
    at = places[n]
    settings = BriefSettings.model_validate(tomllib.loads(fences[at].text)["briefs"])
    vocabulary = Vocabulary(
        settings.labels,
        more_labels=settings.more_labels,
        not_audiences=settings.not_audiences,
        everyone=settings.everyone,
    )
    return vocabulary, fences[at + 1].text


def test_the_german_vocabulary_of_the_page_reads_the_german_brief_of_the_page() -> None:
    vocabulary, text = shown(0)
    parsed = parse_brief(text, name="story", vocabulary=vocabulary, audiences=AUDIENCES)
    assert not parsed.findings
    brief = parsed.brief
    assert brief.headline == "Sundial halbiert seine Preise"
    assert brief.take.startswith("Ein fairer Preis")
    assert brief.why.startswith("Die Budgets")
    assert [one.segments for one in brief.actions] == [("ai-teams",), ()]
    assert [(one.heading, one.role) for one in brief.body] == [
        (None, "body"),
        ("Hintergrund", "body"),
        ("Zahl der Woche", "fact"),
    ]
    assert set(vocabulary.labels) == {role for role in DEFAULT_LABELS if vocabulary.labels[role]}
    again = format_brief(brief, vocabulary=vocabulary, audiences=AUDIENCES)
    assert "## Unsere Einschätzung" in again
    assert "- Alle: " in again


def test_the_house_style_of_the_page_reads_the_brief_of_the_page() -> None:
    vocabulary, text = shown(1)
    parsed = parse_brief(text, name="story", vocabulary=vocabulary, audiences=AUDIENCES)
    assert not parsed.findings
    assert parsed.brief.take.startswith("Sign nothing")
    assert parsed.brief.why.startswith("Budgets")
    assert [one.segments for one in parsed.brief.actions] == [("procurement",)]
    assert [one.heading for one in parsed.brief.body] == [None, "In the room"]
