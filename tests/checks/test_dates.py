"""Stale dates: everything is resolved against the day on which readers get the mail."""

from __future__ import annotations

from datetime import date

import pytest

from newsletter.briefs import due_date, impossible_dates, named_dates
from newsletter.checks.dates import holiday
from tests.checks.publication import brief_findings

DAY = date(2026, 11, 24)  #: a Tuesday; the next issue goes out on 1 December


def dated(text: str = "", action: str = "read it", written: str = "") -> str:
    front = f"---\ndate: {written}\n---\n\n" if written else ""
    return (
        f"{front}# Tollgate changes its prices\n\n{text or 'Lead.'} (per A)\n\n## Our Take\n\nT.\n\n"
        f"## Why it matters\n\nW.\n\n## Do this week\n\n- Everyone: {action}.\n"
    )


def codes(text: str, **how: object) -> list[str]:
    return [one.code for one in brief_findings(text, **how)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("decide by Q2 2024", ["BR301"]),
        ("decide by 23 November 2026", ["BR301"]),
        ("decide by 24 November 2026", []),
        ("decide by 1 December 2026", []),
        ("decide by 2 December 2026", ["BR305"]),
        ("decide by Friday", []),  # counts from the day of sending
        ("compare last month's figures", []),  # looks back: no deadline
        ("decide by 31 November 2026", ["BR306"]),
        ("decide in 2026-W47", ["BR301"]),
    ],
)
def test_actions_are_due_between_the_mail_and_the_next_one(
    action: str, expected: list[str]
) -> None:
    assert codes(dated(action=action), day=DAY) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The offer is open until 3 May 2024.", ["BR302"]),
        ("Version 9 will appear on 20 November 2026.", ["BR302"]),
        ("It starts on 23 November 2026.", ["BR302"]),
        ("It starts on 25 November 2026.", []),
        ("It began on 3 May 2024.", []),
        ("It must be registered; it has been open since 3 May 2024.", []),
        ("They will review what was open since 3 May 2024.", []),
        ("It ends on 31 November 2026.", ["BR306"]),
    ],
)
def test_announced_dates_that_have_passed_are_told(text: str, expected: list[str]) -> None:
    assert codes(dated(text), day=DAY) == expected


@pytest.mark.parametrize(
    ("text", "written", "expected"),
    [
        ("The price falls tomorrow.", "2026-11-12", ["BR303"]),
        ("The price falls tomorrow.", "2026-11-24", []),
        ("The price falls by Friday.", "2026-11-23", []),  # the same Friday
        ("The price falls by Friday.", "2026-11-19", ["BR303"]),
        ("The price fell yesterday.", "2026-11-23", ["BR303"]),
        ("The price falls next month.", "2026-11-12", []),
        ("The price falls next month.", "2026-10-30", ["BR303"]),
        ("The price falls tomorrow.", "", ["BR303"]),
        ("What works today may fail.", "", []),
    ],
)
def test_words_that_mean_another_day_to_readers_are_told(
    text: str, written: str, expected: list[str]
) -> None:
    assert codes(dated(text, written=written), day=DAY) == expected


def test_both_meanings_are_said() -> None:
    (found,) = brief_findings(dated("The price falls tomorrow.", written="2026-11-12"), day=DAY)
    assert "2026-11-13" in found.message
    assert "2026-11-25" in found.message
    assert (found.line, found.column) == (7, 17)


def test_in_the_inbox_nobody_knows_the_day_and_dates_count_from_today() -> None:
    text = dated("The price falls tomorrow.", action="decide by 3 May 2024", written="2026-11-12")
    (found,) = brief_findings(text, day=DAY, in_issue=False, following=None)
    assert (found.code, found.message) == (
        "BR301", "the action's date (2024-05-03) has passed already (today is 2026-11-24)",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "day", "name"),
    [
        ("DE", date(2026, 12, 25), True), ("DE", date(2026, 11, 18), False),
        ("DE-SN", date(2026, 11, 18), True), ("US", date(2026, 11, 26), True),
        ("", date(2026, 12, 25), False),
    ],
)  # fmt: skip
def test_holidays_are_those_of_the_place(place: str, day: date, name: bool) -> None:
    assert bool(holiday(place, day)) is name


def test_an_action_due_on_a_holiday_is_told_with_its_name() -> None:
    found = brief_findings(
        dated(action="sign by 25 December 2026"), day=DAY, following=None, holidays="DE"
    )
    assert [one.code for one in found] == ["BR304"]
    assert "Christmas Day" in found[0].message


# -- other languages -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "text", "end"),
    [
        ("de", "bis zum 4. Dezember 2026", date(2026, 12, 4)),
        ("de", "bis 4. Dez. 2026", date(2026, 12, 4)),
        ("de", "bis 04.12.2026", date(2026, 12, 4)),
        ("de", "bis Freitag", date(2026, 11, 27)),
        ("de", "bis Freitag, 4. Dezember 2026", date(2026, 12, 4)),
        ("de", "morgen", date(2026, 11, 25)),
        ("de", "diese Woche", date(2026, 11, 29)),
        ("de", "im nächsten Monat", date(2026, 12, 31)),
        ("de", "in KW 50 2026", date(2026, 12, 13)),
        ("de", "im 2. Quartal 2024", date(2024, 6, 30)),
        ("de", "in Q2 2024", date(2024, 6, 30)),
        ("de", "bis Ende 2027", date(2027, 12, 31)),
        ("de", "im März 2027", date(2027, 3, 31)),
        ("fr", "avant le 4 décembre 2026", date(2026, 12, 4)),
        ("fr", "d’ici le 1er décembre", date(2026, 12, 1)),
        ("fr", "avant vendredi", date(2026, 11, 27)),
        ("fr", "demain", date(2026, 11, 25)),
        ("fr", "la semaine prochaine", date(2026, 12, 6)),
        ("fr", "au T2 2024", date(2024, 6, 30)),
        ("fr", "avant le 04/12/2026", date(2026, 12, 4)),
        ("es", "4 diciembre 2026", date(2026, 12, 4)),
        ("es", "Q2 2024", date(2024, 6, 30)),
    ],
)
def test_dates_are_read_in_the_publications_language(language: str, text: str, end: date) -> None:
    assert due_date(f"Tun {text}.", DAY, language) == end


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "am 04.12.2026"), ("de", "by Friday"), ("es", "mañana"), ("de", "der Mai war kühl")],
)
def test_what_is_no_date_in_a_language_is_none(language: str, text: str) -> None:
    assert named_dates(text, DAY, language) == []


def test_a_deadline_comes_before_another_date_in_german() -> None:
    text = "laut Bericht vom 3. Mai 2026 bis zum 4. Dezember 2026 prüfen"
    assert due_date(text, DAY, "de") == date(2026, 12, 4)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("by 31 November 2026", ["31 November 2026"]), ("2026-02-30", ["2026-02-30"]),
     ("30 February", ["30 February"]), ("29 February", []), ("28 February 2026", [])],
)  # fmt: skip
def test_days_that_do_not_exist(text: str, wrong: list[str]) -> None:
    assert impossible_dates(text) == wrong
