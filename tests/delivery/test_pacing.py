"""How fast messages may leave, by a clock of the test's own."""

from __future__ import annotations

from copy import deepcopy
from datetime import date

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from newsletter.config import SendingSettings
from newsletter.db import Database
from newsletter.delivery.chance import share_of
from newsletter.delivery.ledger import Claim
from newsletter.delivery.pacing import Limit, Pacing, Pool
from newsletter.delivery.retries import Retries


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    most=st.integers(1, 50),
    seconds=st.sampled_from([1.0, 60.0, 3600.0]),
    steps=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 60)), max_size=60),
)
def test_a_limit_is_never_passed_in_any_window_of_its_length(
    most: int, seconds: float, steps: list[tuple[float, int]]
) -> None:
    limit, now, left = Limit(most, seconds), 500.0, []
    for share, wanted in steps:
        now += share * seconds
        taken = min(wanted, limit.room(now))
        if taken:
            limit.take(now, taken)
            left += [now] * taken
        assert sum(at > now - seconds for at in left) <= most
        if not limit.room(now):
            later = deepcopy(limit)  # asking makes it forget
            assert later.room(now + limit.wait(now) + 1e-6) > 0


def claims(*domains: str) -> list[Claim]:
    return [Claim(n, 1, domain) for n, domain in enumerate(domains, 1)]


def pool(settings: SendingSettings, clock: Clock, **options: object) -> Pool:
    pacing = Pacing(settings, clock=clock, today=lambda: date(2026, 12, 2))
    return Pool(pacing, **({"batch": 1, "one_edition": False} | options))  # type: ignore[arg-type]


def numbers(batches: list[list[Claim]]) -> list[int]:
    return [claim.n for batch in batches for claim in batch]


def test_without_limits_everything_that_has_room_goes_in_order() -> None:
    one = pool(SendingSettings(), Clock())
    one.add(claims(*["a.example"] * 5))
    assert numbers(one.pick(3)) == [1, 2, 3]
    assert numbers(one.pick(9)) == [4, 5]


def test_a_domain_at_its_limit_lets_others_pass() -> None:
    clock = Clock()
    settings = SendingSettings(
        domains={"slow.example": {"limits": ["2/minute"]}, "few.example": {"connections": 1}}
    )
    one = pool(settings, clock)
    one.add(claims(*["slow.example"] * 3, *["few.example"] * 2, *["any.example"] * 2))
    assert numbers(one.pick(9)) == [1, 2, 4, 6, 7]
    assert numbers(one.pick(9)) == []
    assert one.blocked
    one.pacing.landed("few.example")
    assert numbers(one.pick(9)) == [5]
    clock.now += 62
    assert numbers(one.pick(9)) == [3]


def test_a_second_is_spread_evenly() -> None:
    clock = Clock()
    one = pool(SendingSettings(limits=["100/second"]), clock)
    one.add(claims(*["a.example"] * 300))
    went = 0
    for _ in range(100):
        clock.now += 0.01
        picked = len(numbers(one.pick(50)))
        assert picked <= 10
        went += picked
    assert 90 <= went <= 100


def test_warming_up_is_by_the_day() -> None:
    settings = SendingSettings(warm_up=[10, 25, 100], warm_up_from=date(2026, 12, 1))
    clock, day = Clock(), [date(2026, 12, 2)]
    pacing = Pacing(settings, clock=clock, today=lambda: day[0])
    assert pacing.room(999) == 25
    pacing.leaves(20)
    assert pacing.room(999) == 5
    day[0] = date(2026, 12, 3)
    assert pacing.room(999) == 80  # yesterday evening's still count
    day[0] = date(2026, 12, 4)
    assert pacing.room(999) == 999


def test_what_left_before_this_run_counts() -> None:
    pacing = Pacing(SendingSettings(limits=["10/hour"]), clock=Clock())
    assert pacing.longest == 3600
    pacing.remember([(3599, 4), (10, 3)])
    assert pacing.room(99) == 3


def test_a_complaint_halves_the_rate_and_it_rises_again() -> None:
    clock = Clock()
    pacing = Pacing(SendingSettings(), clock=clock)
    pacing.slow_down(100)
    pacing.leaves(pacing.room(99))
    clock.now += 0.1
    assert pacing.room(99) <= 5
    clock.now += 30
    pacing.room(99)
    assert pacing.room(99) == 99
    pacing.rest(5)
    assert pacing.room(99) == 0
    assert pacing.wait() == pytest.approx(5)
    clock.now += 5
    assert pacing.room(99) == 99


def test_a_batch_of_one_edition_comes_together() -> None:
    one = pool(SendingSettings(), Clock(), batch=3, one_edition=True)
    one.add([Claim(n, n % 2, "a.example") for n in range(1, 9)])
    batches = one.pick(7)
    assert [len({claim.edition for claim in batch}) for batch in batches] == [1, 1]
    assert [len(batch) for batch in batches] == [3, 3]
    assert one.pick(7) == []  # more may come
    one.more = False
    assert sorted(numbers(one.pick(7))) == [7, 8]


@given(attempts=st.integers(1, 2000))
def test_waits_double_up_to_the_longest(attempts: int) -> None:
    retries = Retries(30, 900, 86_400)
    expected = min(900, 30 * 2 ** min(attempts - 1, 10))
    assert 0.8 * expected <= retries.wait(attempts) <= 1.2 * expected


def test_shares_are_drawn_alike_on_every_database(database: Database) -> None:
    with database.read() as connection:
        numbers = sa.text(
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 20000) "
            "SELECT n FROM t"
        ).columns(sa.column("n", sa.Integer))
        each = numbers.cte("each")
        drawn = connection.scalars(
            sa.select(each.c.n).where(share_of(each.c.n, 48, 0.2, 0.3)).order_by(each.c.n)
        ).all()
    assert drawn[:5] == FIRST_DRAWN
    assert 0.09 < len(drawn) / 20_000 < 0.11
    assert 0.4 < sum(n % 2 for n in drawn) / len(drawn) < 0.6


FIRST_DRAWN = [36, 43, 52, 61, 68]
