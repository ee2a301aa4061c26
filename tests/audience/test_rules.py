"""Rules find the same people on SQLite and PostgreSQL, and reach for nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience import Rule, count, where
from newsletter.audience.rules import DEEPEST, LONGEST
from newsletter.db import Database
from newsletter.errors import RuleError
from tests.audience.people import ASKED, FIELDS, NOW, add_person, found_by


@pytest.fixture
def crowd(database: Database) -> Database:
    """Five people who differ in every field; `none` has no fields at all."""
    people = {
        "ann": {"role": "CTO", "seats": 5.0, "since": "2026-01-15", "vip": True, "level": "senior"},
        "bob": {"role": "ml engineer", "seats": -1.5, "since": "2025-12-31", "vip": False,
                "level": "junior"},
        "cee": {"role": "Übersetzer 50%", "seats": 0.0, "since": "2026-06-01"},
        "dan": {"role": "a\\b", "seats": 12.0, "vip": True},
    }  # fmt: skip
    for name, fields in people.items():
        add_person(database, f"{name}@example.com", fields=fields, name=name.capitalize())
    add_person(
        database, "none@other.example", status="pending", language="de", consent_at=None,
        created_at=NOW.replace(year=2020),
    )  # fmt: skip
    return database


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("role = 'CTO'", "ann"),
        ("'CTO' = role", "ann"),
        ("role == 'cto'", ""),
        ("ROLE = 'CTO'", "ann"),
        ("\"role\" = 'CTO'", "ann"),
        ("role <> 'CTO'", "bob cee dan"),
        ("role != 'CTO'", "bob cee dan"),
        ("not role = 'CTO'", "bob cee dan"),
        ("role in ('CTO', 'ml engineer')", "ann bob"),
        ("role not in ('CTO', 'ml engineer')", "cee dan"),
        ("role is null", "none"),
        ("role is not null", "ann bob cee dan"),
        ("not role is null", "ann bob cee dan"),
        ("role like '%ENGINEER'", "bob"),
        ("role like 'über%'", "cee"),
        ("role like 'ÜBER%'", "cee"),
        ("role ilike 'cto'", "ann"),
        ("role like '_to'", "ann"),
        ("role not like '%e%'", "ann dan"),
        ("not role not like '%e%'", "bob cee"),
        ("role not ilike 'CTO'", "bob cee dan"),
        ("role like 'a\\b'", "dan"),
        ("role like '%50\\%'", ""),
        ("role like '%\\'", ""),
        ("role between 'A' and 'D'", "ann"),
        ("seats = 5", "ann"),
        ("seats > 0", "ann dan"),
        ("seats >= 0", "ann cee dan"),
        ("seats < 0", "bob"),
        ("seats <= -1.5", "bob"),
        ("0 < seats", "ann dan"),
        ("5 >= seats", "ann bob cee"),
        ("seats between 0 and 5", "ann cee"),
        ("seats not between 0 and 5", "bob dan"),
        ("seats in (5, 12)", "ann dan"),
        ("since >= '2026-01-15'", "ann cee"),
        ("since between '2025-12-31' and '2026-01-15'", "ann bob"),
        ("since = '2026-06-01'", "cee"),
        ("vip", "ann dan"),
        ("not vip", "bob cee none"),
        ("vip = true", "ann dan"),
        ("vip = false", "bob"),
        ("vip is null", "cee none"),
        ("level = 'senior'", "ann"),
        ("level in ('senior', 'junior')", "ann bob"),
        ("level like 'sen%'", "ann"),
        ("email = 'bob@example.com'", "bob"),
        ("email like '%@EXAMPLE.com'", "ann bob cee dan"),
        ("domain = 'other.example'", "none"),
        ("name = 'Ann'", "ann"),
        ("status = 'pending'", "none"),
        ("language = 'de'", "none"),
        ("created_at > '2026-11-19'", "ann bob cee dan"),
        ("created_at < '2026-11-20'", "none"),
        ("consent_at is null", "none"),
        ("consent_at between '2026-11-20' and '2026-11-21'", "ann bob cee dan"),
        ("consent_source = 'test'", "ann bob cee dan none"),
        ("vip and seats > 5", "dan"),
        ("vip and seats > 5 or role = 'ml engineer'", "bob dan"),
        ("vip and (seats > 5 or role = 'ml engineer')", "dan"),
        ("not (vip or seats < 0)", "cee"),  # of `none` it can't be said
        ("role = 'it''s'", ""),
        ("role = 'x'') or 1=1 --'", ""),
        ("role = '😀 :x %s {}'", ""),
    ],
)
def test_every_operator_finds_the_same_people_on_both_systems(
    crowd: Database, rule: str, found: str
) -> None:
    assert found_by(crowd, rule) == set(found.split())


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("subscriber.role = 'x'", "not tables"),
        ("other.role.x = 'x'", "not tables"),
        ("id = 1", "no field"),
        ("address_key = 'x'", "no field"),
        ("rolle = 'x'", 'Did you mean "role"?'),
        ("zzz = 'x'", "Fields: role, seats"),
        ("lower(role) = 'x'", "not allowed"),
        ("role = load_extension('x')", "not allowed"),
        ("bounced('2026-W47')", "is not allowed"),
        ("opend('2026-W47')", 'Did you mean "opened()"?'),
        ("opened('2026-W47') > 'x'", "counts issues"),
        ("opened(role)", "takes issues"),
        ("opened(opened())", "takes issues"),
        ("opened(last_n_issues())", "from 1 to"),
        ("opened(last_n_issues(0))", "from 1 to"),
        ("opened(last_n_issues(1000))", "from 1 to"),
        ("opened(last_n_issues(4), days_ago(3))", "not several"),
        ("role = days_ago(3)", "is a date"),
        ("since > days_ago(1.5)", "whole number"),
        ("since > days_ago(9999999)", "whole number"),
        ("since > days_ago(-99999)", "whole number"),
        ("since > today(1)", "nothing between"),
        ("days_ago(3)", "alone is no question"),
        ("today()", "alone is no question"),
        ("segment('boss')", 'no segment "boss"'),
        ("segment(role)", "key of a segment"),
        ("has(role, 'x')", "no list"),
        ("has(likes)", "a list and a value"),
        ("has(likes, 5)", "holds texts"),
        ("5 in likes", "holds texts"),
        ("'x' in role", "no list"),
        ("likes = 'x'", "write has(likes"),
        ("likes in ('x')", "write has(likes"),
        ("likes like 'x%'", "write has(likes"),
        ("opened", "no field"),
        ("seats > 1e999", "no number"),
        ("subscribed_days > 'x'", "without quotes"),
        ("json_extract(fields, '$.x') = 1", "not allowed"),
        ("opened('2026-W47' or 1=1)", "takes issues"),
        ("opened('x') filter (where 1)", "not allowed"),
        ("opened(distinct 'x')", "takes issues"),
        ("cast(seats as integer) = 1", "not allowed"),
        ("case when vip then true end", "not allowed"),
        ("role = (select 'x')", "not allowed"),
        ("role in (select 'x')", "not allowed"),
        ("exists (select 1)", "not allowed"),
        ("select * from subscriber", "not allowed"),
        ("role in ()", "not allowed"),
        ("role || 'x' = 'y'", "not allowed"),
        ("seats + 1 = 2", "not allowed"),
        ("seats between symmetric 5 and 1", "not allowed"),
        ("1 = 1", "not allowed"),
        ("true", "not allowed"),
        ("role glob 'x*'", "not allowed"),
        ("role regexp 'x'", "not allowed"),
        ("role = 'x' collate nocase", "not allowed"),
        ("role = ?", "not allowed"),
        ("role = :x", "not allowed"),
        ("role = null", "not allowed"),
        ("drop table subscriber", "not allowed"),
        ("role = 'x'; drop table subscriber", "semicolon"),
        ("role = 'x'; role = 'y'", "semicolon"),
        ("role = 'x' -- so", "comments"),
        ("/* so */ role = 'x'", "comments"),
        ("role = 'a' /*! or 1=1 */", "comments"),
        ("role = level", "quotes"),
        ('role = "cto"', "'cto'"),
        ("role = ‘cto’", "quotes"),
        ("role", "no question"),
        ("vip and role", "no question"),
        ("role = 5", "write '5'"),
        ("seats = 'five'", "without quotes"),
        ("seats in (1, 'two')", "without quotes"),
        ("vip = 1", "neither true nor false"),
        ("vip = 'true'", "neither true nor false"),
        ("since > '2026-02-30'", "2026-11-24"),
        ("since > 2026", "write '2026'"),
        ("created_at > 'yesterday'", "2026-11-24"),
        ("seats like '5%'", "compares texts"),
        ("level = 'seniro'", 'Did you mean "senior"?'),
        ("level in ('junior', 'boss')", "none of junior, senior"),
        ("", "empty"),
        (" \n", "empty"),
        ("role = 'a' or", "something is missing"),
        ("role = 'a", "can't be read"),
        ("(role = 'a'", "can't be read"),
        ("role = 'a')", "can't be read"),
        ("(" * 21 + "vip" + ")" * 21, "deeper than 20"),
        ("not " * 21 + "vip", "deeper than 20"),
        ("vip" + " and vip" * 401, "400 conditions"),
        ("role = '" + "x" * LONGEST + "'", "4000 is the most"),
        ("case " * 700, "can't be read"),
        ("[" * 3_000, "can't be read"),
        ("{" * 3_000, "can't be read"),
    ],
)
def test_whatever_reaches_further_or_makes_no_sense_is_refused(rule: str, says: str) -> None:
    with pytest.raises(RuleError, match=r".") as caught:
        Rule(rule, FIELDS)
    assert says in str(caught.value)
    assert "class '" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_twenty_levels_are_allowed() -> None:
    Rule("(" * DEEPEST + "vip" + ")" * DEEPEST, FIELDS)
    Rule("not " * DEEPEST + "vip", FIELDS)


def test_four_hundred_conditions_run_on_both_systems(crowd: Database) -> None:
    rule = " or ".join(["seats=5"] * 300)
    assert len(rule) < LONGEST
    assert found_by(crowd, rule) == {"ann"}


def test_values_are_bound_and_never_part_of_the_statement() -> None:
    statement = str(
        where(Rule("role = 'needle' and name like 'thread%' and seats > 77", FIELDS), ASKED)
    )
    assert not {"needle", "thread", "77"} & set(statement.replace("'", " ").split())
    assert "needle" not in statement


def test_what_a_database_can_not_hold_is_taken_out_of_a_rule(crowd: Database) -> None:
    assert found_by(crowd, "role = 'CT\ud800O'") == {"ann"}
    assert found_by(crowd, "role = 'CTO\x00'") == {"ann"}


def test_count_counts_everybody_a_rule_finds_whatever_their_status(crowd: Database) -> None:
    with crowd.read() as connection:
        assert count(connection, Rule("status in ('subscribed', 'pending')", FIELDS), ASKED) == 5


@given(st.text(max_size=80))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    try:
        Rule(text, FIELDS)
    except RuleError:
        return


fragments = st.sampled_from(
    ["role", "seats", "vip", "since", "nofield", "'x'", "5", "-1", "true", "null", "=", "<>", "<", ">=",
     "and", "or", "not", "in", "(", ")", ",", "like", "between", "is", "select", ";", "--", "*", ".",
     "'2026-01-01'", "lower", "case", "when", "end", "exists", "||", "::", "@", "[", "]", "union"]
)  # fmt: skip


@given(st.lists(fragments, max_size=14))
def test_anything_that_looks_like_a_rule_compiles_without_its_words_or_is_refused(
    words: list[str],
) -> None:
    try:
        rule = Rule(" ".join(words), FIELDS)
    except RuleError:
        return
    statement = str(where(rule, ASKED)).lower()
    assert "select" not in statement
    assert "union" not in statement


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("vip > false", "true or false"),
        ("vip between false and true", "nothing is between"),
        ("status = 'unsubscribd'", 'Did you mean "unsubscribed"'),
        ("frequency in ('daily')", "fortnightly"),
        ("lens = 'nope'", "is none of"),
        ("domain in ('Example.com')", "in lower case: 'example.com'"),
    ],
)
def test_what_could_never_be_is_a_slip(rule: str, says: str) -> None:
    with pytest.raises(RuleError, match=says):
        Rule(rule, FIELDS, ["execs"])
