"""Quotes and images: paragraphs that are something else, in both formats."""

from __future__ import annotations

import pytest

from newsletter.briefs import Image, format_brief, image_in, parse_brief, quote_in

PLAIN = """A short headline
The first sentence of the lead.
> We measured for a month
![Bars](images/bars.png "On day 20")
A heading below
And its text.
"""
MARKDOWN = """# A headline

> We measured for a month,
> and signed nothing.
>
> Then we signed.
![Bars](images/bars.png "On day 20")
A paragraph below it
> and a quote that interrupts it

## Our Take

\\> no quote

**Why it matters:**
> Because.
"""


def test_plain_text_takes_neither_for_a_heading() -> None:
    brief = parse_brief(PLAIN).brief
    assert [(part.heading, part.paragraphs) for part in brief.body] == [
        (
            None,
            (
                "The first sentence of the lead.",
                "> We measured for a month",
                '![Bars](images/bars.png "On day 20")',
            ),
        ),
        ("A heading below", ("And its text.",)),
    ]


def test_a_quote_in_markdown_may_run_over_lines_and_be_several_paragraphs() -> None:
    parsed = parse_brief(MARKDOWN)
    assert parsed.brief.body[0].paragraphs == (
        "> We measured for a month, and signed nothing.",
        "> Then we signed.",
        '![Bars](images/bars.png "On day 20")',
        "A paragraph below it",
        "> and a quote that interrupts it",
    )
    assert parsed.brief.take == "\\> no quote"
    assert parsed.brief.why == "> Because."
    assert parse_brief(format_brief(parsed.brief)).brief == parsed.brief


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("![a](images/x.png)", Image("images/x.png", "a", "")),
        ("![](images/x.png)", Image("images/x.png", "", "")),
        ('![a b](images/x.png "c *d*")', Image("images/x.png", "a b", "c *d*")),
        ("![a](<images/x y.png>)", Image("images/x y.png", "a", "")),
        ("![a](images/x.png “c”)", Image("images/x.png", "a", "c")),
        ("![a](https://example.com/x.png)", Image("https://example.com/x.png", "a", "")),
        ("![a](images/x.png) and more", None),
        ("see ![a](images/x.png)", None),
        ("[a](images/x.png)", None),
        ("![a]()", None),
    ],
)
def test_an_image_is_a_paragraph_of_its_own(text: str, image: Image | None) -> None:
    assert image_in(text) == image


def test_a_quote_begins_with_its_mark() -> None:
    assert quote_in("> a > b") == "a > b"
    assert quote_in(">> a") == "a"
    assert quote_in("a > b") is None
    assert quote_in(">") is None
