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
        ("sign it by 20 November", ["BR301"]),
        ("monitor releases in Q2 2024", ["BR301"]),
        ("compare your invoice with that of October 2026", []),
        ("read again the contract that you signed in 2024", []),
        ("read the audit published on 3 November 2026", []),
        ("decide by 29 February 2026", ["BR306"]),
    ],
)
def test_actions_are_due_between_the_mail_and_the_next_one(
    action: str, expected: list[str]
) -> None:
    assert codes(dated(action=action), day=DAY) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bought by Broadcom in 2023, it grew.", []),
        ("It was founded by Jo in 2019.", []),
        ("Founded by Jo in 2019, it is small.", []),
        ("The head is due to leave on 1 May 2026.", []),
        ("The head, due to leave on 1 May 2026, stays.", []),
        ("They sold it through March 2026.", []),
        ("Prices before October 2025 were lower.", []),
        ("Until 2024 it was free.", []),
        ("Until 2024 it cost nothing.", []),
        ("The mine shut before 2025.", []),
        ("It will replace the rule that the Senate passed on 3 May 2024.", []),
        ("The deal ends a row that began in March 2025.", []),
        ("The law applies to all, entered into force on 1 August 2024.", []),
        ("The call was open until 12 November 2026.", []),
        ("The deadline is 20 November.", ["BR302"]),
        ("The deadline for claims is Friday, 20 November 2026.", ["BR302"]),
        ("The offer is open until 3 May 2024.", ["BR302"]),
        ("The sale runs until the end of October 2026.", ["BR302"]),
        ("It applies from 1 November 2026.", ["BR302"]),
        ("It will be removed on 20 November 2026.", ["BR302"]),
        ("It will be removed by 20 November 2026.", ["BR302"]),
        ("It ends on Friday, 20 November 2026.", ["BR302"]),
        ("It expires 20 November.", ["BR302"]),
        ("Vendors must comply by 3 May 2024.", ["BR302"]),
        ("It is expected by 3 May 2024.", []),
        ("She said it is open until 3 May 2024.", []),
        ("It will be cheaper than it was in 2024.", []),
        ("Version 9 will appear on 20 November 2026.", ["BR302"]),
        ("They will review what was open since 3 May 2024.", []),
        ("The offer will last through October 2026.", ["BR302"]),
        ("It is the largest sale since 2019.", []),
        ("It is larger than in 2024.", []),
        ("They will cut the price that they set in March 2025.", []),
        ("It can read what is from before 2024.", []),
        ("The update will fix a bug found on 3 May 2026.", []),
        ("It may have begun by May 2024.", []),
        ("Many will recall the outage on 20 November 2026.", []),
        ("Firms must report by 2 August 2025.", ["BR302"]),
        ("The vendor is now owned by Broadcom in 2023.", []),
        ("It starts on 25 November 2026.", []),
        ("Nothing is known of what they paid in 2024.", []),
        ("Prices are lower than before 2025.", []),
        ("It will sell the unit it bought in 2023.", []),
        ("It is used by half of what shops there are in 2024.", []),
        ("It opens in 2024 with a bang.", ["BR302"]),
        ("Whatever is sold before 2025 is exempt.", []),
        ("It began on 3 May 2024.", []),
        ("It must be registered; it has been open since 3 May 2024.", []),
        ("It starts on 23 November 2026.", ["BR302"]),
        ("It ends on 31 November 2026.", ["BR306"]),
        ("It was fine. It is open until 3 May 2024.", ["BR302"]),
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
        ("It falls this week.", "", []),  # the week of the mail
        ("It falls by the end of the year.", "", []),
        ("It falls next week.", "", ["BR303"]),
        ("It fell yesterday.", "", ["BR303"]),
        ("Tell them within 72 hours.", "", []),  # counts from what it is about
        ("It falls on Friday.", "2026-11-20", ["BR303"]),
        ("Meta said on Monday that it fell.", "2026-11-20", ["BR303"]),  # the 16th
        ("Meta said on Friday that it fell.", "2026-11-23", []),  # the 20th to both
        ("On Friday, Meta launched it.", "2026-11-23", []),
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


def test_a_weekday_on_which_something_happened_is_the_last_one() -> None:
    text = dated("Meta said on Monday that it fell.", written="2026-11-20")
    (found,) = brief_findings(text, day=DAY)
    assert '"Monday" was 2026-11-16' in found.message
    assert "is 2026-11-23 to who reads it" in found.message


def test_a_day_without_a_year_is_resolved_where_nobody_knows_the_day_of_sending() -> None:
    text = dated(action="sign it by 20 November")
    assert codes(text, day=DAY, in_issue=False, following=None) == ["BR301"]
    cleared = f"---\nactions: {{all: {{due: }}}}\n---\n\n{text}"
    assert codes(cleared, day=DAY, in_issue=False, following=None) == []


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
        ("de", "bis Ende November", date(2026, 11, 30)),
        ("de", "bis zum 20.11.", date(2026, 11, 20)),
        ("de", "bis KW 47", date(2026, 11, 22)),
        ("de", "bis Ende der Woche", date(2026, 11, 29)),
        ("de", "bis Monatsende", date(2026, 11, 30)),
        ("de", "vor 2027", date(2026, 12, 31)),
        ("de", "Mitte Dezember", date(2026, 12, 15)),
        ("de", "binnen 48 Stunden", date(2026, 11, 26)),
        ("fr", "d’ici la fin de l’année", date(2026, 12, 31)),
        ("fr", "avant fin novembre", date(2026, 11, 30)),
        ("fr", "mi-décembre", date(2026, 12, 15)),
        ("fr", "sous 48 heures", date(2026, 11, 26)),
        ("es", "antes del 20 de noviembre de 2026", date(2026, 11, 20)),
        ("es", "20 de noviembre", date(2026, 11, 20)),
        ("ja", "2026年11月20日までに", date(2026, 11, 20)),
        ("ja", "11月20日までに", date(2026, 11, 20)),
        ("es", "4 diciembre 2026", date(2026, 12, 4)),
        ("es", "Q2 2024", date(2024, 6, 30)),
    ],
)
def test_dates_are_read_in_the_publications_language(language: str, text: str, end: date) -> None:
    assert due_date(f"Tun {text}.", DAY, language) == end


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "am 04.12.2026"),
        ("de", "by Friday"),
        ("es", "mañana"),
        ("de", "der Mai war kühl"),
        ("de", "Guten Morgen"),
        ("de", "guten morgen"),
        ("de", "am Morgen danach"),
        ("fr", "Mars 2027"),
        ("de", "4. dezember 2026"),
    ],
)
def test_what_is_no_date_in_a_language_is_none(language: str, text: str) -> None:
    assert named_dates(text, DAY, language) == []


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "Das Angebot gilt bis zum 30. Juni 2026.", ["BR302"]),
        ("de", "Die neue Fassung wird am 20. November 2026 veröffentlicht.", ["BR302"]),
        ("de", "Die Frist wurde bis zum 30. Juni 2026 verlängert.", []),
        ("de", "Frist bis zum 30. Juni 2026 verlängert.", []),
        ("de", "Das Gesetz ist am 1. August 2024 in Kraft getreten.", []),
        ("de", "Vor 2020 kostete es nichts.", []),
        ("de", "Guten Morgen, liebe Leute.", []),
        ("fr", "L’offre est ouverte jusqu’au 3 mai 2026.", ["BR302"]),
        ("fr", "La nouvelle version sera publiée le 20 novembre 2026.", ["BR302"]),
        ("fr", "L’appel était ouvert jusqu’au 3 mai 2026.", []),
        ("fr", "Il est entré en vigueur le 1er août 2024.", []),
        ("es", "Está abierto hasta el 3 de mayo de 2026.", []),
    ],
)
def test_announced_dates_in_other_languages(language: str, text: str, expected: list[str]) -> None:
    found = codes(dated(text), day=DAY, language=language)
    assert [code for code in found if code.startswith("BR30")] == expected


@pytest.mark.parametrize(
    "text",
    ["den Bericht vom 3. Mai 2026 lesen", "den am 3. Mai 2026 veröffentlichten Bericht lesen",
     "prüfen, was seit Juli 2026 läuft"],
)  # fmt: skip
def test_what_a_german_action_looks_back_on_is_no_deadline(text: str) -> None:
    assert due_date(text, DAY, "de") is None


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
