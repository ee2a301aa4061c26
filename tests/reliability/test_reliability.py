"""The short version of the crash harness, and proof that it can find what it looks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.reliability.harness import Copy, Template, check, run
from tests.reliability.scenarios import BY_NAME
from tests.reliability.sink import MISDIRECTED, UNANSWERED


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("template"), 400)


@pytest.mark.parametrize(
    "name", ["kill-often", "term", "full", "lock", "unsubscribe", "restart", "cuts-and-kills"]
)
def test_nobody_is_lost_and_nobody_mailed_twice_beyond_the_window(
    template: Template, name: str
) -> None:
    scenario = BY_NAME[name]
    kills = min(scenario.kills, 2)
    counted = run(replace(scenario, kills=kills), template, seed=48)
    assert counted.broken == []


def test_the_checker_finds_lost_doubled_and_strange_ones() -> None:
    copies = [
        *(Copy("a", "1"), Copy("b", "2"), Copy("b", "2"), Copy("c", "3"), Copy("c", "4")),
        *(Copy("x", "5"), Copy("y", "5", "", MISDIRECTED)),
    ]
    expected = ["a", "b", "c", "d", "e", "y"]
    found = check(copies, expected=expected, excused={"e"}, charged=set())
    assert (found.lost, found.doubled, found.unexplained) == (1, 2, 2)
    assert found.problems == [
        "1 who were never planned got a mail",
        "1 got two mails with different Message-IDs",
        "a Message-ID is missing, or belongs to two people",
        "1 got somebody else's mail",
    ]
    fine = check([Copy("a", "1")], expected=["a"], excused=set(), charged=set())
    assert (fine.lost, fine.doubled, fine.unexplained, fine.problems) == (0, 0, 0, [])


def test_each_duplicate_is_charged_to_the_kill_that_explains_it() -> None:
    first, second, third = ("start1", "start2", "start3")
    copies = [
        *(Copy("a", "1", first), Copy("a", "1", third)),
        *(Copy("b", "2", first), Copy("b", "2", second)),
        *(Copy("c", "3", second), Copy("c", "3", third)),
        *(Copy("d", "4", third, UNANSWERED), Copy("d", "4", third)),
        *(Copy("e", "5", third), Copy("e", "5", third)),
    ]
    found = check(copies, expected=list("abcde"), excused=set(), charged={first, second})
    assert (found.doubled, found.worst, found.unexplained) == (5, 2, 1)
