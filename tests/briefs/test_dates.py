"""The deadline that an action names is the day on which the named period ends."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.briefs import due_date, named_dates

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
        ("before 2027", date(2027, 12, 31)),
        ("on 24 and 25 November 2026", date(2026, 11, 25)),
        ("check Q3 2026 figures by 1 December 2026", date(2026, 12, 1)),
        ("from 1 November 2026 until 3 December 2026", date(2026, 12, 3)),
        ("by 31 February 2026", date(2026, 2, 28)),  # the month is named all the same
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
    ["by 2026-02-30", "in 2026-W60", "by Q5 2026", "1/12/2026", "the 2026 budget", "version 3.2026",
     "27.11.2026", "in Q4", "May we go", "March on", "room 2027"],
)  # fmt: skip
def test_what_is_not_clearly_a_date_is_none(text: str) -> None:
    assert due_date(text) is None


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


@given(st.text(alphabet="0123456789 -WQHbyanuFebMfridthswk,.", max_size=40), st.dates())
def test_nothing_that_looks_like_a_date_raises(text: str, anchor: date) -> None:
    due_date(text, anchor)
