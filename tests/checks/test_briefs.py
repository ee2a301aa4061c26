"""Rules of one brief: each finds its example and says where, and leaves alone what only looks like it."""

from __future__ import annotations

import time
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
     ("On TBD.", "TBD"), ("The day is TBC.", "TBC"), ("It starts (TBC) soon.", "(TBC)"),
     ("It costs ??? euros.", "???"), ("See [insert link].", "[insert link]"), ("By XXX.", "XXX")],
)  # fmt: skip
def test_placeholders_are_found_at_their_very_place(text: str, placeholder: str) -> None:
    found = brief_findings(a_brief(body=f"First.\n\n{text} (per A)"))
    column = text.index(placeholder) + 1
    assert places(found) == [("BR112", 5, column)]
    assert placeholder in found[0].message


@pytest.mark.parametrize(
    "text",
    ["The TKX-9 chip ships.", "A [link](https://a.example) here.", "Tomasz tk is fine.", "What?",
     "TK Maxx opens.", "TBC Bank grows.", "A loan from TBC. More.", "TBD Media writes.", "It fits size XXX.",
     "At Super Bowl XXX.", "Really???", "See https://a.example/TK/x."],
)  # fmt: skip
def test_what_only_looks_like_a_placeholder_is_none(text: str) -> None:
    assert "BR112" not in codes(brief_findings(a_brief(body=f"{text} (per A)")))


def test_initials_are_looked_for_where_they_are_placeholders() -> None:
    text = a_brief(body="Die TK zahlt, TBD auch; TODO: fragen (per A).")
    assert places(brief_findings(text, language="de")) == [("BR112", 3, 25)]


@pytest.mark.parametrize("language", ["nl", "ja", "es"])
def test_a_language_without_words_of_its_own_is_not_read_as_english(language: str) -> None:
    text = a_brief(
        body="It is arguably a game changer on TK; FIXME, lorem ipsum (per A).",
        action="Execs: de prijzen; check the one, and then sign the other; ask it.",
    )
    found = brief_findings(text, language=language)
    assert codes(found) == ["BR112", "BR112"]
    assert [one.message.partition('" ')[0] for one in found] == ['"FIXME', '"lorem ipsum']


def test_todo_is_a_word_of_spanish() -> None:
    text = "TODO incluido, dice. TODO: preguntar."
    found = brief_findings(a_brief(body=f"{text} (per A)"), language="es")
    assert places(found) == [("BR112", 3, text.index("TODO:") + 1)]


def test_a_place_is_a_whole_word_and_each_occurrence_has_its_own() -> None:
    text = "ATKins reports TK now, and TK again (per A)."
    found = brief_findings(a_brief(body=text))
    assert places(found) == [("BR112", 3, 16), ("BR112", 3, 28)]


def test_paragraphs_that_are_alike_are_two() -> None:
    found = brief_findings(a_brief(body="It ends TK.\n\nIt ends TK.\n\n(per A)"))
    assert places(found) == [("BR112", 3, 9), ("BR112", 5, 9)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("It ends **at the\nend** of the day.", ("BR114", 3, 11)),  # marks in the phrase, two lines
        ("> Said on\n> a day TK.", ("BR112", 4, 9)),
        ("- One.\n- It ends TK.", ("BR112", 4, 11)),
        ("See [TK of](https://a.example/of) TKTK.", ("BR112", 3, 6)),
        ("A [link](https://a.example/TK) TK.", ("BR112", 3, 32)),
        ("One \\*star &amp; TK.", ("BR112", 3, 18)),
        ('![An hour](images/a.png "At TK.")', ("BR112", 3, 29)),
        ("![TK](images/a.png)", ("BR112", 3, 3)),
        ("A cafe\u0301 of TK.", ("BR112", 3, 12)),  # the accent stands apart
    ],
)
def test_a_place_is_found_behind_marks_breaks_and_addresses(
    body: str, expected: tuple[str, int, int]
) -> None:
    assert places(brief_findings(a_brief(body=f"{body}\n\n(per A)")))[0] == expected


def test_a_place_in_plain_text_that_a_mail_program_wrapped() -> None:
    text = (
        "Our Take: A fair price.\nWhy it matters: Budgets close.\nTollgate cuts its prices\n"
        "This is a long line that a mail program broke, and it goes on to\n"
        "the end, which is TK (per A).\nDo this week\nExecs: sign it.\n"
    )
    assert places(brief_findings(text)) == [("BR112", 5, 19)]


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
        ("Slack", "on Black Friday", False), ("Slack", "Black Rock", False), ("Slack", "SLACK", True),
        ("Notion", "a Motion to approve", False), ("Stripe", "the Strips", False), ("Notion", "Notoin", True),
        ("Linear", "the Lineal", True), ("OpenTable", "an open table", False), ("Quillon", "quill on", False),
        ("Harbor Ledger", "HarborLedger", True), ("iPhone", "Phone them", False),
    ],
)  # fmt: skip
def test_names_that_are_nearly_right_are_told(name: str, wrong: str, found: bool) -> None:
    told = brief_findings(a_brief(body=f"They asked {wrong} today (per A)."), names=[name])
    assert (codes(told) == ["BR117"]) is found, told


@pytest.mark.parametrize(
    "text",
    ["Apply it now.", "Black Friday is near.", "Motion to approve it.", "Strips of it.", "Liner notes.",
     "He asked. Quilts sell."],
)  # fmt: skip
def test_the_first_word_of_a_sentence_is_no_slip_of_a_name(text: str) -> None:
    names = ["Apple", "Slack", "Notion", "Stripe", "Linear", "Quilty"]
    assert (
        brief_findings(a_brief(body=f"{text} (per A)", action=f"Execs: check. {text}"), names=names)
        == []
    )


def test_a_name_at_the_start_is_read_by_the_name_elsewhere() -> None:
    text = "Quilon cuts prices. {} said so (per A)."
    assert brief_findings(a_brief(body=text.format("They")), names=["Quillon"]) == []
    found = brief_findings(a_brief(body=text.format("Quillon")), names=["Quillon"])
    assert places(found) == [("BR117", 3, 1)]


def test_a_word_that_the_brief_has_in_lower_case_is_no_name() -> None:
    text = "They met at a quillion, the Quillion of old (per A)."
    assert brief_findings(a_brief(body=text), names=["Quillon"]) == []
    told = brief_findings(a_brief(body=text.replace("a quillion", "home")), names=["Quillon"])
    assert codes(told) == ["BR117"]


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
        ("the prices", "the"), ("By Friday", "By"), ("Apply the patch", "Apply"), ("Reply to BT", "Reply"),
        ("Quickly reply", "reply"), ("Carefully, ask", "ask"), ("Over lunch, ask legal", "ask"),
        ("If you use Quillon, say so", "say"), ("By Friday ask finance", "ask"), ("First, ask", "ask"),
    ],
)  # fmt: skip
def test_the_word_with_which_a_request_begins(action: str, first: str) -> None:
    assert first_word(action) == first


@pytest.mark.parametrize(
    "word",
    ["compare", "Re-test", "rerun", "prioritise", "unpin", "double-check", "say", "ping", "red-team",
     "Comply", "Supply", "Rely", "ringfence", "refinance", "beware"],
)  # fmt: skip
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
        ("Rotate keys. Work stops on Friday. Access ends today", False),
        ("Rotate keys. Access will end. Support on Monday ends", False),
        ("Rotate keys. Ask finance for a plan. Check the logs", True),
        ("Read www.ask.example/a.check; sign it", False),
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


def test_a_label_that_markdown_reads_as_text_is_told() -> None:
    text = (
        "---\nactions: {}\n---\n\n# Tollgate cuts its prices\n\nIt does (per A).\n\nOur Take: A fair price.\n"
        "So what: Budgets close.\n\nDo this week:\n- Execs: sign it.\n"
    )
    found = [one for one in brief_findings(text) if one.code < "BR105"]
    assert places(found) == [("BR102", 9, 1), ("BR103", 10, 1), ("BR104", 12, 1)]
    assert '"So what:" in this line was read as text' in found[1].message
    assert "(**So what:**)" in found[1].message


def test_a_sentence_of_the_body_is_no_label() -> None:
    text = "# Tollgate cuts its prices\n\nOur take is low (per A).\n\nIts next step: talks.\n"
    found = [one for one in brief_findings(text) if one.code < "BR105"]
    assert places(found) == [(code, 1, 1) for code in ("BR102", "BR103", "BR104")]


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


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de", ["Am 3. Dezember kommt die 2. Auflage.", "Es kostet 30.", "Das ist fair."]),
        ("en", ["Version 3. 7 is out.", "It has 30.", "Good."]),
        ("en", ["Acme Inc.", "Said so.", "Acme Co. Ltd did not."]),
        ("en", ["At 5 p.m.", "The room, at 6 p.m. Friday or 7 p.m. CET."]),
        ("en", ["J. Anderson met the U.S. Treasury of the U.S.", "The end."]),
        ("ja", ["価格が下がる。", "次は何か？", "「はい。」", "終わり！", "以上"]),
    ],
)
def test_full_stops_that_end_a_sentence_and_others(language: str, expected: list[str]) -> None:
    joined = ("" if language == "ja" else " ").join(expected)
    assert list(sentences(joined, language)) == expected


def test_words_are_not_counted_where_no_spaces_part_them() -> None:
    long = "値段 " * 45 + "。" + "機械学習基盤整備計画推進委員会 " * 60 + "。"
    counted = {"BR115", "BR116"}
    assert counted <= set(codes(brief_findings(a_brief(body=long), language="fi")))
    for language in ("ja", "zh-Hant"):
        assert not counted & set(codes(brief_findings(a_brief(body=long), language=language)))


@pytest.mark.parametrize(
    "piece",
    ["1", "1,,", "111,", "a", "!", "?", "[add ", '"', "on, ", "only ", "\u00a0", "; check", ", and ask ",
     "TK. ", "Github ", "a'", ". ", "https://a.example/x "],
)  # fmt: skip
def test_a_hostile_page_costs_what_any_page_does(piece: str) -> None:
    page = "x" + piece * (40_000 // len(piece)) + "x"
    text = a_brief(body=page, take=page, why=page, action=f"Execs: {page}")
    start = time.process_time()
    brief_findings(text, names=["GitHub", "Slack"])
    assert time.process_time() - start < 6  # a second; what is quadratic takes a minute


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
