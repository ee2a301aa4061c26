"""Contrast is that of WCAG 2.2, of what is really painted. tests/browser/test_colour.py asks Chromium."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.checks.colour import (
    Colour,
    Contrast,
    Scheme,
    contrasts,
    holds,
    painted,
    parse_colour,
    ratio,
)
from tests.checks.mails import mail, parsed, sample_mails
from tests.checks.test_styles import STYLES

BYTE = st.integers(0, 255)
COLOURS = st.builds(Colour, BYTE, BYTE, BYTE, st.just(1.0))
WHITE, BLACK = Colour(255, 255, 255), Colour(0, 0, 0)


def only(body: str, *, head: str = "", scheme: Scheme = "light") -> Contrast:
    (one,) = contrasts(mail(body, head=head), scheme, everything=True)
    return one


def pair(body: str, *, head: str = "", scheme: Scheme = "light") -> tuple[str, str]:
    one = only(body, head=head, scheme=scheme)
    return one.foreground, one.background


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sample_mails_are_legible(scheme: Scheme) -> None:
    for name, edition in sample_mails().items():
        assert contrasts(parsed(edition.html), scheme) == [], name
        assert len(list(painted(parsed(edition.html), scheme))) > 3


def test_the_pairs_of_the_sample_are_those_that_its_theme_promises() -> None:
    """templates/theme.toml names the ratios of its pairs, worked out elsewhere."""
    edition = sample_mails()["lead 2026-W48 en "]
    light, dark = (
        {(one.foreground, one.background): one.ratio for one in found}
        for found in (
            contrasts(parsed(edition.html), "light", everything=True),
            contrasts(parsed(edition.html), "dark", everything=True),
        )
    )
    assert light["#17201d", "#ffffff"] == pytest.approx(16.7, abs=0.05)
    assert light["#57635f", "#edf5f1"] == pytest.approx(5.6, abs=0.05)
    assert light["#ffffff", "#0b6354"] == pytest.approx(7.2, abs=0.05)
    assert dark["#e6ebe9", "#131716"] == pytest.approx(15.0, abs=0.05)
    assert dark["#7dcfb6", "#1a2925"] == pytest.approx(8.3, abs=0.05)
    assert dark["#06231c", "#7dcfb6"] == pytest.approx(9.1, abs=0.05)


@pytest.mark.parametrize(
    ("one", "other", "value"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),  # the best-known pair that just fails
        ("#767676", "#ffffff", 4.54),
        ("#949494", "#ffffff", 3.03),
        ("#ff0000", "#ffffff", 4.00),
        ("#0000ff", "#ffffff", 8.59),
        ("#ffffff", "#ffffff", 1.0),
    ],
)
def test_ratios_are_those_that_everybody_publishes(one: str, other: str, value: float) -> None:
    first, second = (parse_colour(text, "light")[1] for text in (one, other))
    assert first
    assert second
    assert round(ratio(first, second), 2) == value


@given(COLOURS, COLOURS)
def test_a_ratio_is_symmetric_and_bounded(one: Colour, other: Colour) -> None:
    assert ratio(one, other) == ratio(other, one)
    assert 1 <= ratio(one, other) <= 21
    assert ratio(one, one) == 1
    assert ratio(one, other) <= max(ratio(one, WHITE), ratio(one, BLACK)) + 1e-9


@given(COLOURS, COLOURS, st.floats(0, 1))
def test_what_is_painted_over_something_lies_between_the_two(
    one: Colour, other: Colour, share: float
) -> None:
    mixed = one._replace(alpha=share).over(other)
    for mine, its, theirs in zip(one[:3], mixed[:3], other[:3], strict=True):
        assert min(mine, theirs) - 1e-9 <= its <= max(mine, theirs) + 1e-9
    assert mixed.alpha == 1


@given(COLOURS)
def test_a_colour_is_read_in_every_spelling(one: Colour) -> None:
    red, green, blue = (int(part) for part in one[:3])
    for text in (
        str(one),
        str(one).upper(),
        f"{one}ff",
        f"rgb({red}, {green}, {blue})",
        f"RGBA({red},{green},{blue},1)",
        f"rgb({red} {green} {blue} / 100%)",
        f"light-dark({one}, red)",
    ):
        assert parse_colour(text, "light") == (True, one), text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("#abc", (True, Colour(170, 187, 204))),
        ("#0008", (True, Colour(0, 0, 0, 136 / 255))),
        ("RebeccaPurple", (True, Colour(102, 51, 153))),
        ("transparent", (True, Colour(0, 0, 0, 0))),
        ("rgba(0,0,0,.5)", (True, Colour(0, 0, 0, 0.5))),
        ("rgb(100%, 0%, 0%)", (True, Colour(255, 0, 0))),
        ("hsl(120, 100%, 50%)", (True, Colour(0, 255, 0))),
        ("oklch(40% 0.2 20)", (True, None)),
        ("var(--x)", (True, None)),
        ("light-dark(#fff, #000)", (True, Colour(255, 255, 255))),
        ("blurple", (False, None)),
        ("rgb(1, 2)", (False, None)),
        ("rgb(a, b, c)", (False, None)),
        ("#12345", (False, None)),
        ("url(x)", (False, None)),
        ("", (False, None)),
    ],
)
def test_colours_are_told_from_what_is_none(text: str, wanted: tuple[bool, Colour | None]) -> None:
    assert parse_colour(text, "light") == wanted


@given(st.text(max_size=30))
def test_no_text_breaks_the_colours(text: str) -> None:
    parse_colour(text, "dark")
    holds(text, "dark")


@pytest.mark.parametrize(
    ("body", "head", "fore", "back"),
    [
        ('<p style="color:#777">x</p>', "", "#777777", "#ffffff"),
        ('<td style="background:#eee"><p style="color:#888">x</p></td>', "", "#888888", "#eeeeee"),
        ('<table><tr><td bgcolor="336699"><b>x</b></table>', "", "#000000", "#336699"),
        ('<font color="#999999">x</font>', "", "#999999", "#ffffff"),
        ("<a href='y'>x</a>", "", "#0000ee", "#ffffff"),
        ("<a>x</a>", "", "#000000", "#ffffff"),
        ('<p style="color:rgba(0,0,0,.5)">x</p>', "", "#808080", "#ffffff"),
        ('<div style="background:#000"><p style="background:#ffffff80">x', "", "#000000", "#808080"),
        ('<div style="opacity:.5;color:#000">x</div>', "", "#808080", "#ffffff"),
        ('<div style="opacity:.5;background:#000;color:#fff">x</div>', "", "#ffffff", "#808080"),
        ('<p style="color:#111;color:nonsense">x</p>', "", "#111111", "#ffffff"),
        ('<p style="color:#111!important;color:#222">x</p>', "", "#111111", "#ffffff"),
        ('<p class="a" id="b">x</p>', ".a{color:#111} #b{color:#222} p.a{color:#333}", "#222222", "#ffffff"),
        ('<p class="a" style="color:#111">x</p>', ".a{color:#222}", "#111111", "#ffffff"),
        ('<p class="a" style="color:#111">x</p>', ".a{color:#222 !important}", "#222222", "#ffffff"),
        ('<p class="a">x</p>', "p{color:#111} p{color:#222}", "#222222", "#ffffff"),
        ("<p>x</p>", "@media (min-width:999px){p{color:#111}} p:hover{color:#222}", "#000000", "#ffffff"),
        ('<p style="background:#123456 none;color:currentcolor">x</p>', "", "#000000", "#123456"),
        ('<div style="color:#111"><a href="y" style="color:inherit">x</a></div>', "", "#111111", "#ffffff"),
        ('<div style="background:url(y)"><p style="background:#fff">x</p></div>', "", "#000000", "#ffffff"),
    ],
)  # fmt: skip
def test_colours_are_those_that_are_painted(body: str, head: str, fore: str, back: str) -> None:
    assert pair(body, head=f"<style>{head}</style>") == (fore, back)


@pytest.mark.parametrize(
    "body",
    [
        '<p style="display:none;color:#eee">x</p>',
        '<p style="DISPLAY:NONE;color:#eee">x</p>',
        '<p style="visibility:hidden;color:#eee">x</p>',
        '<p style="font-size:0;color:#eee">x</p>',
        '<p style="opacity:0;color:#eee">x</p>',
        '<p style="max-height:0;overflow:hidden;color:#eee">x</p>',
        '<p hidden style="color:#eee">x</p>',
        '<div style="background:url(y.png);color:#eee">x</div>',
        '<div style="background:linear-gradient(red,tan)"><p style="color:#eee">x</p></div>',
        '<table background="y.png"><tr><td style="color:#eee">x</table>',
        '<p style="color:var(--y)">x</p>',
        '<p style="color:#eee">&#183; &#160;</p>',
        "<!-- x -->",
    ],
)
def test_what_is_not_seen_or_not_known_is_not_judged(body: str) -> None:
    assert contrasts(mail(body), "light", everything=True) == []


def test_in_the_dark_the_dark_rules_hold_and_the_ground_is_dark() -> None:
    head = (
        '<meta name="color-scheme" content="light dark"><style>'
        "@media (prefers-color-scheme: dark) { .a { color: #ddd !important } }"
        "[data-ogsc] .a { color: red !important }</style>"
    )
    body = '<p class="a" style="color:#222">x</p>'
    assert pair(body, head=head) == ("#222222", "#ffffff")
    assert pair(body, head=head, scheme="dark") == ("#dddddd", "#121212")
    assert pair("<p>x</p>", head=head, scheme="dark") == ("#ffffff", "#121212")
    assert pair("<p>x</p>", scheme="dark") == ("#000000", "#ffffff")  # the mail knows no dark
    root = "<style>:root { color-scheme: light dark }</style>"
    assert pair("<p>x</p>", head=root, scheme="dark") == ("#ffffff", "#121212")


def test_a_style_sheet_for_another_medium_paints_nothing() -> None:
    head = '<style media="screen">p { color: tan }</style><style media="print">p { color: red }'
    assert pair("<p>x</p>", head=f"{head}</style>") == ("#d2b48c", "#ffffff")


def test_what_is_too_close_is_reported_once_with_its_place() -> None:
    body = '<p class="lead" style="color:#aaa">Half-price inference</p>' * 3 + "<p>fine</p>"
    (one,) = contrasts(mail(body), "light")
    assert one == Contrast(
        *(2.32, 4.5, "#aaaaaa", "#ffffff", "Half-price inference"),
        where='<p class="lead">Half-price inference',
        line=1,
        times=3,
    )


@pytest.mark.parametrize(
    ("style", "needed"),
    [
        ("font-size:24px", 3.0),
        ("font-size:18pt", 3.0),
        ("font-size:23.9px", 4.5),
        ("font-size:18.67px;font-weight:bold", 3.0),
        ("font-size:14pt;font-weight:700", 3.0),
        ("font-size:18px;font-weight:bold", 4.5),
        ("font-size:20px;font-weight:500", 4.5),
        ("font:bold 20px Georgia, serif", 3.0),
        ("font:20px Georgia, serif", 4.5),
        ("font-size:2rem", 3.0),
        ("font-size:150%", 3.0),
        ("font-size:x-large", 3.0),
        ("font-size:small", 4.5),
    ],
)
def test_large_text_needs_less(style: str, needed: float) -> None:
    assert only(f'<p style="{style}">x</p>').needed == needed


def test_headings_are_as_large_as_browsers_make_them() -> None:
    assert [only(f"<h{n}>x</h{n}>").needed for n in range(1, 7)] == [3.0, 3.0, 3.0, 4.5, 4.5, 4.5]


@pytest.mark.parametrize(
    ("query", "light", "dark"),
    [
        ("", True, True),
        ("screen", True, True),
        ("print", False, False),
        ("not print", True, True),
        ("only screen and (min-width:480px)", True, True),
        ("(max-width: 599px)", False, False),
        ("(width >= 480px)", True, True),
        ("(400px <= width < 600px)", False, False),
        ("(400px <= width <= 600px)", True, True),
        ("(prefers-color-scheme: dark)", False, True),
        ("(prefers-color-scheme: light), print", True, False),
        ("(prefers-color-scheme: dark) and (min-width: 480px)", False, True),
        ("(hover: hover)", False, False),
        ("nonsense", False, False),
    ],
)
def test_media_queries_are_asked_for_a_screen_of_600_pixels(
    query: str, light: bool, dark: bool
) -> None:
    assert (holds(query, "light"), holds(query, "dark")) == (light, dark)


@given(STYLES, STYLES)
def test_no_style_is_too_broken(style: str, head: str) -> None:
    document = mail("<p>x</p>", head="<style></style>")
    (paragraph,), (sheet,) = document.findall(".//p"), document.findall(".//style")
    paragraph.set("style", re.sub(r"[^\x20-\U0010ffff]", " ", style))
    sheet.text = re.sub(r"[^\x20-\U0010ffff]", " ", head)
    contrasts(document, "dark", everything=True)
