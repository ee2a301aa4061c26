"""The deadline that an action names is the day on which the named period ends."""

from __future__ import annotations

from datetime import date
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.briefs import due_date, impossible_dates, named_dates

FRIDAY = date(2026, 11, 20)  #: the anchor


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("in Q2 2024", date(2024, 6, 30)),
        ("2024-Q4", date(2024, 12, 31)),
        ("by the end of Q1 2027", date(2027, 3, 31)),
        ("in H1 2027", date(2027, 6, 30)),
        ("by 27 November 2026", date(2026, 11, 27)),
        ("by 27th of November, 2026", date(2026, 11, 27)),
        ("by Nov. 27, 2026", date(2026, 11, 27)),
        ("by Sept 1, 2026", date(2026, 9, 1)),
        ("by Friday 27 November 2026", date(2026, 11, 27)),
        ("by close of business on Friday, 27 November 2026", date(2026, 11, 27)),
        ("by 2026-12-01", date(2026, 12, 1)),
        ("in 2026-W48", date(2026, 11, 29)),
        ("in week 53, 2026", date(2027, 1, 3)),
        ("in 2026 Q3", date(2026, 9, 30)),
        ("in February 2028", date(2028, 2, 29)),
        ("before 2027", date(2026, 12, 31)),
        ("before Q1 2027", date(2026, 12, 31)),
        ("before the end of Q1 2027", date(2027, 3, 31)),
        ("before 4 December 2026", date(2026, 12, 4)),
        ("on 24 and 25 November 2026", date(2026, 11, 25)),
        ("check Q3 2026 figures by 1 December 2026", date(2026, 12, 1)),
        ("from 1 November 2026 until 3 December 2026", date(2026, 12, 3)),
        ("by noon on 4 December 2026", date(2026, 12, 4)),
        ("by 5 pm on Friday, 4 December 2026", date(2026, 12, 4)),
        ("1–5 December 2026", date(2026, 12, 5)),
        ("December 1–5, 2026", date(2026, 12, 5)),
        ("by mid-December 2026", date(2026, 12, 15)),
    ],
)
def test_a_named_period_ends_on_its_last_day_whatever_the_anchor(text: str, end: date) -> None:
    assert due_date(f"Decide {text}.") == end
    assert due_date(f"Decide {text}.", FRIDAY) == end


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("today", date(2026, 11, 20)),
        ("tomorrow", date(2026, 11, 21)),
        ("this week", date(2026, 11, 22)),
        ("next week", date(2026, 11, 29)),
        ("this month", date(2026, 11, 30)),
        ("next month", date(2026, 12, 31)),
        ("by the end of this week", date(2026, 11, 22)),
        ("by the end of the quarter", date(2026, 12, 31)),
        ("by Friday", date(2026, 11, 20)),
        ("by Thursday", date(2026, 11, 26)),
        ("by 1 December", date(2026, 12, 1)),
        ("by January 15", date(2027, 1, 15)),
        ("by the 5th of December", date(2026, 12, 5)),
    ],
)
def test_relative_words_count_from_the_anchor_and_mean_nothing_without(
    text: str, end: date
) -> None:
    assert due_date(f"Decide {text}.", FRIDAY) == end
    assert due_date(f"Decide {text}.") is None


@pytest.mark.parametrize(
    "text",
    ["by 2026-02-30", "by 29 February 2026", "by 31 February 2026", "by early December 2026",
     "in 2026-W60", "by Q5 2026", "1/12/2026", "the 2026 budget", "version 3.2026",
     "27.11.2026", "in Q4", "May we go", "March on", "room 2027"],
)  # fmt: skip
def test_what_is_not_clearly_a_date_is_none(text: str) -> None:
    assert due_date(text) is None


TUESDAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("by EOD Friday", "2026-11-27"), ("by close of business Friday", "2026-11-27"),
        ("by this Friday", "2026-11-27"), ("through Friday", "2026-11-27"),
        ("by Friday 5 pm", "2026-11-27"), ("by next Friday", "2026-12-04"),
        ("by the end of the month", "2026-11-30"), ("by end of month", "2026-11-30"),
        ("by month-end", "2026-11-30"), ("before the end of the month", "2026-11-30"),
        ("before next week", "2026-11-29"), ("by the end of November", "2026-11-30"),
        ("by end of November", "2026-11-30"), ("by January", "2027-01-31"),
        ("before January", "2026-12-31"), ("by the end of the week", "2026-11-29"),
        ("by the end of next week", "2026-12-06"), ("by the end of the year", "2026-12-31"),
        ("by year-end", "2026-12-31"), ("by quarter-end", "2026-12-31"), ("by Q1", "2027-03-31"),
        ("by the end of Q3", "2027-09-30"), ("by week 50", "2026-12-13"),
        ("within 48 hours", "2026-11-26"), ("within 36 hours", "2026-11-26"),
        ("within 3 days", "2026-11-27"), ("within the next two weeks", "2026-12-08"),
        ("December 1–5", "2026-12-05"), ("1–5 December", "2026-12-05"),
        ("by mid-December", "2026-12-15"),
    ],
)  # fmt: skip
def test_short_ways_to_say_when(text: str, end: str) -> None:
    assert due_date(f"Decide {text}.", TUESDAY) == date.fromisoformat(end)


@pytest.mark.parametrize(
    "text",
    [
        "by early December", "by 29 February", "by 4/12/2026", "end of March", "in Q4", "in week 3",
        "within 24 hours of each breach", "40 may raise prices", "only 10 may apply", "by 10 MAY",
    ],
)  # fmt: skip
def test_what_is_no_date_with_an_anchor_either(text: str) -> None:
    assert named_dates(f"Decide {text}.", TUESDAY) == []


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("by 20 November", "2026-11-20"), ("by 25 September", "2026-09-25"),
        ("by 24 September", "2027-09-24"), ("by January 15", "2027-01-15"),
        ("by the end of October", "2026-10-31"), ("by week 47", "2026-11-22"),
    ],
)  # fmt: skip
def test_a_day_without_a_year_that_has_just_passed_is_this_years(text: str, end: str) -> None:
    assert due_date(f"Sign {text}.", TUESDAY) == date.fromisoformat(end)


def test_a_day_without_a_year_may_be_last_years_in_january() -> None:
    assert due_date("Sign by 20 December.", date(2027, 1, 5)) == date(2026, 12, 20)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        # of several the last, but none of somebody else
        ("Ask whoever signed by 3 May 2026 to re-sign by 4 December 2026.", "2026-12-04"),
        ("Tell them by 1 December 2026 and sign by 4 December 2026.", "2026-12-04"),
        ("Claim refunds on orders before 1 July 2026; the form closes on 4 December 2026.",
         "2026-12-04"),
        ("Decide by 4 December 2026 on the terms, which Ironholt offers until 31 December 2026.",
         "2026-12-04"),
        ("Send notice by 30 November 2026 for all contracts that end by 31 December 2026.",
         "2026-11-30"),
        ("Ask who will come by 4 December 2026.", "2026-12-04"),
        ("Find out who was affected by 4 December 2026.", "2026-12-04"),
        ("Write down the hours that you used in October, by 27 November 2026.", "2026-11-27"),
        # somebody has to have done it
        ("Have all keys rotated by 4 May 2026.", "2026-05-04"),
        ("All keys must be rotated before 4 May 2026.", "2026-05-04"),
        ("The deadline is 20 November.", "2026-11-20"),
        ("Deadline: 4 December 2026", "2026-12-04"),
        # no word of deadline
        ("Monitor releases in Q2 2024 before you sign.", "2024-06-30"),
        ("Monitor updated releases in Q2 2024.", "2024-06-30"),
        ("See that it is finished in Q2 2024.", "2024-06-30"),
        ("Watch for the launch expected in Q2 2024.", "2024-06-30"),
        ("Wait until after Q2 2024.", "2024-06-30"),
        ("Compare the prices in Q2 2024 before you sign.", "2024-06-30"),
        ("Budget for H1 2025.", "2025-06-30"),
        ("Join the hearing on 20 November.", "2026-11-20"),
        ("Watch the 4 December 2026 hearing.", "2026-12-04"),
    ],
)  # fmt: skip
def test_the_deadline_is_the_actions_own(text: str, end: str) -> None:
    assert due_date(text, TUESDAY) == date.fromisoformat(end)


@pytest.mark.parametrize(
    "text",
    [
        "Compare your invoice with that of October 2026.",
        "Compare Q1 2026 with Q2 2026.",
        "Re-read the contract that you signed in 2024.",
        "If you signed a contract with Broadcom in 2024, ask for a new price.",
        "Check what has been installed since July 2026.",
        "Read the audit published on 3 November 2026.",
        "Read the 3 May 2024 report.",
        "Read the minutes dated 3 May 2026.",
        "Review the figures from Q2 2024.",
        "Ask for refunds of what was paid before 1 July 2026.",
        "Export orders placed before 1 July 2026.",
        "Refund orders placed between 1 July 2026 and 3 August 2026.",
        "Leave what you bought by 3 May 2026.",
        "Go through 2024 invoices.",
        "Read what was bought by Broadcom in 2023.",
        "Read the update announced for Q1 2027.",
        "Review what Meta announced on Monday.",
        "Use the new API from 1 December 2026.",
    ],
)
def test_what_an_action_looks_back_on_is_no_deadline(text: str) -> None:
    assert due_date(text, TUESDAY) is None


def test_without_an_anchor_only_what_is_said_to_come_is_a_deadline() -> None:
    assert due_date("Monitor releases in Q2 2024.") == date(2024, 6, 30)
    assert due_date("Read the audit published on 3 November 2026.") is None
    assert due_date("Read the 3 May 2024 report.") is None


@pytest.mark.parametrize("language", ["xx", "tlh", "xx-YY", "i-klingon", "", "-"])
def test_a_language_that_nobody_knows_has_no_months_and_the_rest(language: str) -> None:
    assert due_date("2026-12-01", None, language) == date(2026, 12, 1)
    assert named_dates("1 December 2026, by Friday", TUESDAY, language) == []


@pytest.mark.parametrize("language", ["en", "de", "fr", "ja"])
@pytest.mark.parametrize(
    "part",
    ["1", "1-", "1 to ", "by ", "by the ", "May ", "1 May ", "May 2026 ", "by Friday ", "who ", "a ",
     " ", "signed ", "20", "1.1.", "within ", "bis zum ", "d’ici ", "年"],
)  # fmt: skip
def test_long_nonsense_is_read_quickly(part: str, language: str) -> None:
    text = (part * 200_000)[:200_000]
    begun = process_time()
    named_dates(text, TUESDAY, language)
    due_date(text, TUESDAY, language)
    impossible_dates(text, language)
    assert process_time() - begun < 4  # a backtracking pattern would take minutes


def test_dates_are_told_with_their_place() -> None:
    text = "Compare Q1 2026 with 3 May 2026."
    assert [(text[named.start : named.stop], named.text) for named in named_dates(text)] == [
        ("Q1 2026", "Q1 2026"), ("3 May 2026", "3 May 2026"),
    ]  # fmt: skip


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_every_day_is_read_in_every_way_of_writing_it(day: date) -> None:
    month = f"{day:%B}"
    for text in (
        f"by {day.isoformat()}", f"by {day.day} {month} {day.year}",
        f"by {month} {day.day}, {day.year}", f"by {day.day} {month[:3]} {day.year}",
    ):  # fmt: skip
        assert due_date(text) == day


@given(st.text(max_size=80), st.none() | st.dates())
def test_no_text_and_no_anchor_raises(text: str, anchor: date | None) -> None:
    for named in named_dates(text, anchor):
        assert 0 <= named.start < named.stop <= len(text)


@given(
    st.lists(st.sampled_from(
        ["by", "before", "the", "end of", "this", "next", "week", "month", "year-end", "Q1", "2026", "May",
         "29 February", "within", "two weeks", "ſunday", "mid-", "Friday", "on", "said", "today", "31", "."]
    ), max_size=8).map(" ".join),
    st.dates() | st.sampled_from([date.min, date(1, 1, 3), date.max]),
)  # fmt: skip
def test_no_words_of_dates_raise_at_any_end_of_time(text: str, anchor: date) -> None:
    due_date(text, anchor)
    impossible_dates(text)


@given(st.text(alphabet="0123456789 -WQHbyanuFebMfridthswk,.", max_size=40), st.dates())
def test_nothing_that_looks_like_a_date_raises(text: str, anchor: date) -> None:
    due_date(text, anchor)
