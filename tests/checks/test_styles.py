"""Style sheets are read as browsers read them: what is broken costs itself alone."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.checks.styles import Declaration, declarations, sheet, split
from tests.checks.mails import sample_mails

PIECES = st.sampled_from(
    [
        *("a", ".b", "#c", ":hover", "{", "}", "(", ")", "[", "]", ";", ":", ",", "@media", "&"),
        *("@font-face", "@import", "/*", "*/", '"', "'", "\\", "\n", " ", "color", "red", "1px"),
        *("url(", "--x", "!important", "<!--", "-->", "\0", "ü", "💡", "!", "*", "%", "u+0-7"),
    ]
)
NAMES = st.from_regex(r"[a-z]{1,8}(-[a-z]{1,8})?", fullmatch=True)
VALUES = st.from_regex(r"[a-z0-9 ,.#%]{1,20}", fullmatch=True)
STYLES = st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=60)


def names(style: str) -> list[tuple[str, str]]:
    return [(one.name, one.value) for one in declarations(style)]


def test_declarations_are_cut_where_css_cuts_them() -> None:
    style = (
        "a: url(data:image/png;base64,aa;bb); B:'x;y'; --C: {d: e; f}; g:1px !IMPORTANT; h; i j: k;"
        "color: rgb(0 128 0 / 50%); mso-padding-alt:10px"
    )
    assert names(style) == [
        ("a", "url(data:image/png;base64,aa;bb)"),
        ("b", "'x;y'"),
        ("--C", "{d: e; f}"),
        ("g", "1px"),
        ("color", "rgb(0 128 0 / 50%)"),
        ("mso-padding-alt", "10px"),
    ]
    assert [one.name for one in declarations(style) if one.important] == ["g"]


def test_rules_come_with_their_conditions_and_lines() -> None:
    read = sheet(
        "a, b:is(c, d) { x: 1 }\n@media (width >= 600px) {\n .e { y: 2 }\n @supports (z: 1) { f { z: 3 } }\n"
        "}\ng { h: 4; &:hover { i: 5 } @media print { j: 6 } k: 7 }\n@font-face { src: url(l) }\n@import 'm';"
        "@keyframes n { from { o: 8 } }"
    )
    assert [(one.selectors, one.conditions, one.nested, one.line) for one in read.rules] == [
        (("a", "b:is(c, d)"), (), False, 1),
        ((".e",), ("media (width >= 600px)",), False, 3),
        (("f",), ("media (width >= 600px)", "supports (z: 1)"), False, 4),
        (("g",), (), False, 6),
        (("&:hover",), (), True, 6),
        (("g",), ("media print",), True, 6),
    ]
    assert [one.name for one in read.rules[3].declarations] == ["h", "k"]
    assert [(one.name, one.prelude) for one in read.at_rules] == [
        ("media", "(width >= 600px)"),
        ("supports", "(z: 1)"),
        ("media", "print"),
        ("font-face", ""),
        ("import", "'m'"),
        ("keyframes", "n"),
    ]
    assert read.at_rules[3].declarations == (Declaration("src", "url(l)", False, 7),)


@pytest.mark.parametrize(
    "broken",
    ["x { color: red", "} }", "x { color }", "@media {", "x { y: (", "; ;", "@", "x { } }", "{}"],
)
def test_what_is_broken_does_not_take_the_rules_before_it_along(broken: str) -> None:
    assert sheet(f"a {{ b: 1 }} {broken}").rules[0].selectors == ("a",)


def test_a_stray_brace_does_not_end_the_sheet() -> None:
    assert [one.selectors for one in sheet("} a { b: 1 } } c { d: 2 }").rules][-1] == ("c",)


@given(STYLES)
@example("a{" * 3000)
@example("@media x{" * 3000)
@example("a{b:(" * 3000)
def test_nothing_is_too_broken_to_be_read(text: str) -> None:
    for rule in sheet(text).rules:
        assert all(rule.selectors)
        assert all(one.name == one.name.strip() for one in rule.declarations)
    declarations(text)


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_what_is_written_is_what_is_read(said: dict[str, str]) -> None:
    style = "; ".join(f"{name}: {value}" for name, value in said.items())
    wanted = [(name, " ".join(value.split())) for name, value in said.items()]
    assert names(style) == wanted
    if said:
        assert [
            (one.name, one.value) for one in sheet(f"p {{ {style} }}").rules[0].declarations
        ] == wanted


def test_a_list_is_cut_outside_brackets_and_quotes() -> None:
    assert split("a:is(b, c), [d='e,f'] , g", ",") == ["a:is(b, c)", "[d='e,f']", "g"]
    assert split('"a, b", c', ",") == ['"a, b"', "c"]


def test_the_sheets_of_the_sample_are_read_whole() -> None:
    edition = next(iter(sample_mails().values()))
    styles = [part.partition("</style>")[0] for part in edition.html.split("<style")[1:]]
    for text in (part.partition(">")[2] for part in styles):
        read = sheet(text)
        wanted = text.count("{") - text.count("@media")
        assert len(read.rules) == wanted
