"""Whatever an editor pastes: parsing never fails, and the canonical form says the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.briefs import Audiences, Vocabulary, format_brief, parse_brief

AUDIENCES = Audiences(
    [
        ("ai-teams", ["AI teams", "AI team"]),
        ("execs", ["Execs", "Executives"]),
        ("risk", ["Risk and compliance", "Risk: all"]),
    ]
)
VOCABULARY = Vocabulary()

any_text = st.text(max_size=300)
words = st.text(
    st.sampled_from("abc XYZ 12 .,:;!?-–—#*_>\\`{}()[]\"'“’é\u00a0\u200dß日\t&<|=~+/"), max_size=60
)
pieces = st.one_of(
    words,
    st.sampled_from(
        [
            "Our Take", "our take:", "“Our Take”", "Why it matters", "Why it matters: it does.",
            "Do this week", "DO THIS WEEK:", "AI teams: check it by 27 November 2026.",
            "AI teams and execs: decide.", "- Execs: ask for Q2 2024.", "Everyone: read it.",
            "Exces: oops.", "Deadline: Friday.", "AI teams:", "By the numbers", "Context: before.",
            "Note", "Headline: A line", "A short heading", "A sentence that ends. (per Bloomberg)",
            "# Big heading", "## Our Take", "## Heading {for: AI teams}", "### AI teams",
            "**Why it matters:** because", "**bold** text", "- item", "* item", "1. one", "---",
            "\\# escaped", "see https://example.com/a?b=1&c=2.", "[Ledger](https://example.com/x)",
            "## Our Take {}", "(via [Ledger](https://example.com/y))", "{for: execs}", "\\", "#",
            "  - an item below", "1. Execs: decide", "- [ ] Everyone: read", "☐ AI teams: go", "Execs",
            "Deadline: Friday", "AI teams: do both:", "=====", "> quoted", "# **Loud**", "🔎 Our Take",
            "a line that a mail program broke in the middle of its sentence, long", "and its end.",
            "[ ] - 1. x", "=== x", ">", "> >", ">> twice quoted", "> # quoted heading", "\\> no quote",
            "> a quote that a mail program broke in the middle of its sentence, long",
            '![a chart](images/chart.png "What it shows")', "![](images/x.png)", "![x](<images/a b.png>)",
            "Our Take: > quoted", "**Our Take:**", "Our take: ![x](images/x.png)",
        ]
    ),
)  # fmt: skip
fronts = st.sampled_from(
    [
        "",
        "---\nslug: a-slug\n---\n",
        "---\ndate: 2026-11-20\ntags: [x, y]\nsegments: [execs]\n---\n",
        "---\nactions:\n  ai-teams: {id: pinned/one, due: 2026-12-01}\n  all: {due: null}\n---\n",
        "---\nsources:\n- name: Bloomberg\n  url: https://example.com\n- Ledger\n---\n",
        "---\nslug: [\n---\n",
        "---\nnot closed\n",
        "---\na: &x [1]\nb: *x\n---\n",
    ]
)
documents = st.builds(
    lambda front, lines, gap: front + gap.join(lines),
    fronts,
    st.lists(pieces, max_size=24),
    st.sampled_from(["\n", "\n\n", "\r\n", "\r"]),
)

sentences = words.map(lambda text: f"{text} and so on.")
well_formed = st.builds(
    lambda front, take, actions, headline, lead, heading, rest: front
    + "\n".join(
        [
            *("Our Take", *take, "Why it matters: it does."),
            *("Do this week", *actions, headline, *lead, heading, *rest),
        ]
    ),
    st.sampled_from(["", "---\ndate: 2026-11-20\n---\n**Our Take:** one.\n\n"]),
    st.lists(sentences, min_size=1, max_size=2),
    st.builds(
        lambda texts: [
            f"{who}: {text}"
            for who, text in zip(("AI teams", "- Execs", "Everyone"), texts, strict=False)
        ],
        st.lists(sentences, min_size=1, max_size=3),
    ),
    words.map(lambda text: f"A headline {text} so"),
    st.lists(st.one_of(sentences, pieces), min_size=1, max_size=4),
    words,
    st.lists(sentences, min_size=1, max_size=3),
)  # fmt: skip


def _round_trip(text: str) -> None:
    parsed = parse_brief(text, name="some file.txt", vocabulary=VOCABULARY, audiences=AUDIENCES)
    for finding in parsed.findings:
        assert finding.line is not None
        assert finding.line >= 1
    if not parsed.ok:
        return
    canonical = format_brief(parsed.brief, vocabulary=VOCABULARY, audiences=AUDIENCES)
    again = parse_brief(canonical, vocabulary=VOCABULARY, audiences=AUDIENCES)
    assert again.brief == parsed.brief
    assert again.ok
    assert format_brief(again.brief, vocabulary=VOCABULARY, audiences=AUDIENCES) == canonical


@given(any_text)
def test_any_text_parses_and_survives_the_canonical_form(text: str) -> None:
    _round_trip(text)


@settings(max_examples=600)
@given(st.one_of(documents, well_formed))
def test_anything_that_looks_like_a_brief_survives_the_canonical_form(text: str) -> None:
    _round_trip(text)


@given(documents)
def test_line_endings_and_a_bom_change_nothing(text: str) -> None:
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    first = parse_brief(unix, audiences=AUDIENCES)
    for other in (unix.replace("\n", "\r\n"), "\ufeff" + unix):
        assert parse_brief(other, audiences=AUDIENCES) == first


@given(documents)
def test_no_action_reaches_an_audience_that_its_line_does_not_name(text: str) -> None:
    parsed = parse_brief(text, audiences=AUDIENCES)
    for action in parsed.brief.actions:
        assert set(action.segments) <= set(AUDIENCES.display)
        assert action.text
