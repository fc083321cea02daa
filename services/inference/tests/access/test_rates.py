"""Token buckets: how often somebody may ask, and how much is remembered of whom."""

from __future__ import annotations

import pytest

from inference.access.rates import Rates


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_minutes_worth_may_come_at_once_and_then_one_by_one(clock: Clock) -> None:
    rates = Rates(clock)
    assert [rates.take("a", 6) for _ in range(8)] == [None] * 6 + [10, 10]
    clock.now_s += 9.5
    assert rates.take("a", 6) == 1
    clock.now_s += 0.5
    assert rates.take("a", 6) is None
    assert rates.take("a", 6) == 10


def test_nobody_pays_for_another(clock: Clock) -> None:
    rates = Rates(clock)
    assert [rates.take("a", 1), rates.take("a", 1), rates.take("b", 1)] == [None, 60, None]


def test_what_is_saved_up_is_never_more_than_a_minutes_worth(clock: Clock) -> None:
    rates = Rates(clock)
    rates.take("a", 3)
    clock.now_s += 3600
    assert [rates.take("a", 3) for _ in range(4)] == [None, None, None, 20]


def test_who_is_refused_is_not_counted_and_so_not_locked_out(clock: Clock) -> None:
    rates = Rates(clock)
    rates.take("a", 1)
    assert {rates.take("a", 1) for _ in range(100)} == {60}
    clock.now_s += 60
    assert rates.take("a", 1) is None


def test_of_many_only_those_who_came_last_are_remembered(clock: Clock) -> None:
    rates = Rates(clock, most=2)
    for who in ("a", "b", "a", "c"):
        rates.take(who, 2)
    assert len(rates) == 2
    assert rates.take("a", 2) == 30
    assert [rates.take("b", 2), rates.take("b", 2)] == [None, None]
