"""Rules of one brief: each finds its example and says where, and leaves alone what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.checks import BriefRule, ReadRule, all_rules
from newsletter.checks.briefs import first_word, is_verb
from newsletter.checks.prose import grade, lists, sentences, words_of
from newsletter.findings import Finding
from tests.checks.publication import brief_findings

#: What a rule's example needs of the settings.
NEEDS: dict[str, dict[str, Any]] = {
    "BR117": {"names": ["GitHub"]},
    "BR118": {"avoid": {"utilise": "use"}},
    "BR304": {"holidays": "DE"},
}
RULES = [one for one in all_rules() if issubclass(one, BriefRule | ReadRule)]


@pytest.mark.parametrize("rule", RULES, ids=[one.code for one in RULES])
def test_every_rule_of_a_brief_finds_its_own_example(rule: type[BriefRule]) -> None:
    found = brief_findings(rule.example, **NEEDS.get(rule.code, {}))
    mine = [one for one in found if one.code == rule.code]
    assert mine, f"{rule.code} does not find its example"
    assert {one.severity for one in mine} == {rule.severity}
    assert all(one.line and one.file == "brief.md" for one in mine)


def a_brief(
    *,
    headline: str = "Tollgate cuts its prices until spring",
    take: str = "A fair offer for those who test.",
    why: str = "Budgets for next year close in December.",
    action: str = "Execs: ask for the exit clause.",
    body: str = "Tollgate lowers its prices until spring (per Harbor Ledger).",
) -> str:
    return (
        f"# {headline}\n\n{body}\n\n## Our Take\n\n{take}\n\n## Why it matters\n\n{why}\n\n"
        f"## Do this week\n\n- {action}\n- Everyone: read the offer.\n"
    )


def codes(found: list[Finding]) -> list[str]:
    return [one.code for one in found]


def places(found: list[Finding]) -> list[tuple[str, int | None, int | None]]:
    return [(one.code, one.line, one.column) for one in found]


def test_a_good_brief_has_no_findings() -> None:
    assert brief_findings(a_brief()) == []


def test_what_a_brief_lacks_is_named() -> None:
    assert codes(brief_findings("Head line here\nLead (per A).\n")) == ["BR102", "BR103", "BR104"]


def test_no_action_is_asked_for_that_an_error_held_back() -> None:
    text = "Our Take\nT.\nWhy it matters\nW.\nDo this week\nExces: go.\nH\nT.\n"
    assert "BR104" not in codes(brief_findings(text))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"headline": "x" * 91}, ["BR107"]),
        ({"headline": "x" * 90}, []),
        ({"action": "Execs: " + "go " * 41}, ["BR204"]),
        ({"action": "Execs: " + "go " * 40}, []),
        ({"take": "word " * 91 + "."}, ["BR110", "BR115"]),
        ({"body": "A few words here. " * 31 + "(per A)"}, ["BR110"]),
        ({"body": "A few words here. " * 29 + "(per A)"}, []),
        ({"why": "Tollgate cuts its prices until spring."}, ["BR111"]),
        ({"why": "A fair offer for those who test it."}, ["BR111"]),
        ({"why": "Prices that are cut come back, and budgets rarely follow them."}, []),
    ],
)
def test_lengths_and_repeats_are_measured(parts: dict[str, str], expected: list[str]) -> None:
    assert codes(brief_findings(a_brief(**parts))) == expected


@pytest.mark.parametrize(
    ("text", "placeholder"),
    [("It ends on TK.", "TK"), ("TODO: ask legal.", "TODO"), ("Lorem ipsum dolor.", "Lorem ipsum"),
     ("It costs ??? euros.", "???"), ("See [insert link].", "[insert link]"), ("By XXX.", "XXX")],
)  # fmt: skip
def test_placeholders_are_found_at_their_very_place(text: str, placeholder: str) -> None:
    found = brief_findings(a_brief(body=f"First.\n\n{text} (per A)"))
    column = text.index(placeholder) + 1
    assert places(found) == [("BR112", 5, column)]
    assert placeholder in found[0].message


@pytest.mark.parametrize(
    "text",
    ["The TKX-9 chip ships.", "A [link](https://a.example) here.", "Tomasz tk is fine.", "What?"],
)
def test_what_only_looks_like_a_placeholder_is_none(text: str) -> None:
    assert "BR112" not in codes(brief_findings(a_brief(body=f"{text} (per A)")))


def test_a_place_in_a_wrapped_paragraph_is_the_line_where_it_stands() -> None:
    text = a_brief(body="A line that goes on\nover the next one, at the end\nof the day (per A).")
    assert places(brief_findings(text)) == [("BR114", 4, 20)]


@pytest.mark.parametrize(
    ("name", "wrong", "found"),
    [
        ("GitHub", "Github", True), ("GitHub", "Git Hub", True), ("GitHub", "GitHib", True),
        ("GitHub", "GITHUB", True), ("GitHub", "GitHub", False), ("GitHub", "GitHub's", False),
        ("OpenAI", "Open AI", True), ("Harbor Ledger", "Harbour Ledger", True),
        ("Harbor Ledger", "Harbor Ledger", False), ("Tarn", "Barn", False),
        ("Apple", "apple", False), ("Apple", "Apples", False), ("Quillon", "Quilon", True),
    ],
)  # fmt: skip
def test_names_that_are_nearly_right_are_told(name: str, wrong: str, found: bool) -> None:
    told = brief_findings(a_brief(body=f"They asked {wrong} today (per A)."), names=[name])
    assert (codes(told) == ["BR117"]) is found, told


def test_the_house_style_says_what_to_write_instead() -> None:
    avoid = {"utilise": "use", "users": ""}
    text = "They utilise it; users cheer (per A)."
    found = brief_findings(a_brief(body=text), avoid=avoid)
    assert [one.message for one in found] == ['"utilise": write "use"', '"users" is not ours']


@pytest.mark.parametrize(
    ("action", "first"),
    [
        ("compare both prices", "compare"), ("Please compare them", "compare"),
        ("By Friday, ask finance", "ask"), ("If you run it, stop", "stop"),
        ("re-test your prompts", "re-test"), ("Don't sign", "sign"), ("“Freeze” it", "Freeze"),
        ("the prices", "the"), ("By Friday", "By"),
    ],
)  # fmt: skip
def test_the_word_with_which_a_request_begins(action: str, first: str) -> None:
    assert first_word(action) == first


@pytest.mark.parametrize(
    "word", ["compare", "Re-test", "rerun", "prioritise", "unpin", "double-check"]
)
def test_verbs_are_known_also_with_what_is_put_before_them(word: str) -> None:
    assert is_verb(word, lists("en").verbs, set())


@pytest.mark.parametrize("word", ["the", "prices", "your", "finance", "we", "should"])
def test_other_words_are_no_verbs(word: str) -> None:
    assert not is_verb(word, lists("en").verbs, set())


def test_further_verbs_can_be_named_and_other_languages_are_left_alone() -> None:
    text = a_brief(action="Execs: greenlight the budget.")
    assert codes(brief_findings(text)) == ["BR206"]
    assert brief_findings(text, verbs=["greenlight"]) == []
    assert "BR206" not in codes(brief_findings(text, language="de"))


@pytest.mark.parametrize(
    ("action", "several"),
    [
        ("compare both prices; ask finance; then sign", True),
        ("compare both prices and keep the results", False),
        ("read the access logs and backups", False),
        ("pin version 8, and then update, and tell your team", True),
    ],
)
def test_several_steps_in_one_are_told(action: str, several: bool) -> None:
    assert ("BR207" in codes(brief_findings(a_brief(action=f"Execs: {action}.")))) is several


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("It saves 40% (per Ledger).", []),
        ("It saves 40%.", ["BR501"]),
        ("It costs €20.", ["BR501"]),
        ("Some 11,400 projects run it.", ["BR501"]),
        ("It runs since 2026, in version 3.7.", ["BR502"]),
        ("It saves 40%, see https://ledger.example/x.", []),
    ],
)
def test_figures_want_a_source(body: str, expected: list[str]) -> None:
    assert codes(brief_findings(a_brief(body=body))) == expected


def test_a_check_can_be_off_and_as_severe_as_the_publication_wants() -> None:
    text = a_brief(body="It saves 40%.")
    assert brief_findings(text, off={"BR501": "we are sure"}) == []
    (found,) = brief_findings(text, severity={"BR501": "error"})
    assert found.severity == "error"
    assert found.blocks


def test_sentences_end_where_sentences_end() -> None:
    text = "It costs 3.5 euros, e.g. Ask Dr. Who. Then go! “Why?” Because."
    assert list(sentences(text)) == [
        "It costs 3.5 euros, e.g. Ask Dr. Who.", "Then go!", "“Why?”", "Because.",
    ]  # fmt: skip


@given(st.text(max_size=400))
def test_no_text_loses_words_between_its_sentences(text: str) -> None:
    assert words_of(" ".join(sentences(text))) == words_of(text)
    assert 1 <= grade([text]) <= 13


def test_grades_rise_with_long_words() -> None:
    easy = "The dog ran to the red house. It was late."
    hard = (
        "Organisational representatives unanimously characterised infrastructural modernisation "
        "programmes as indispensable considerations."
    )
    assert grade([easy]) < 4
    assert grade([hard]) == 13
