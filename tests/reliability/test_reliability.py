"""The short version of the crash harness, and proof that it can find what it looks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.reliability.harness import Template, check, run
from tests.reliability.scenarios import BY_NAME


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
    records = [("a", "1"), ("b", "2"), ("b", "2"), ("c", "3"), ("c", "4"), ("x", "5")]
    lost, extra, problems = check(records, expected=["a", "b", "c", "d", "e"], excused={"e"})
    assert (lost, extra) == (1, 2)
    assert problems == [
        "1 who were never planned got a mail",
        "1 got two mails with different Message-IDs",
    ]
    assert check([("a", "1")], expected=["a"], excused=set()) == (0, 0, [])
