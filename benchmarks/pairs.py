"""Measuring two ways of doing the same work in turn, so that whatever else the machine does hits both."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Run = Callable[[], Awaitable[float]]  # does the work once; returns the seconds that it took, preparations left out
Ratio = Literal["ratio_to_ceiling", "ratio_to_bare", "ratio_to_best_peer"]

OURS = "ours"


@dataclass(frozen=True)
class Contest:
    """One piece of work, done our way and by others.

    `ratio_to_ceiling` and `ratio_to_best_peer` compare rates (higher is better for us), `ratio_to_bare`
    compares times (lower is better for us). Of several others, the fastest of a round counts.
    """

    name: str
    ours: Run
    others: Mapping[str, Run]
    amount: float  # how much work one run does
    unit: str  # of the amount, such as "messages"
    ratio: Ratio = "ratio_to_ceiling"
    warm_up: bool = True  # False where one run takes minutes, and the first is like any other

    def __post_init__(self) -> None:
        if not self.others or OURS in self.others:
            raise ValueError(f"{self.name}: name at least one other, and none of them {OURS!r}")


@dataclass(frozen=True)
class Spread:
    """The least, the middle and the greatest of several values."""

    least: float
    median: float
    greatest: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Summarise at least one value."""
        return cls(min(values), statistics.median(values), max(values))


@dataclass(frozen=True)
class Result:
    """What the rounds of a contest showed."""

    contest: Contest
    rounds: tuple[dict[str, float], ...]  # the seconds of each side

    @property
    def ratio(self) -> Spread:
        """The contest's ratio, taken within each round."""
        return Spread.of([ratio_of(self.contest.ratio, seconds) for seconds in self.rounds])

    def rate(self, side: str) -> Spread:
        """The amount of work a second of one side."""
        return Spread.of([self.contest.amount / seconds[side] for seconds in self.rounds])


def ratio_of(ratio: Ratio, seconds: Mapping[str, float]) -> float:
    """Return the ratio of one round, from the seconds of ours and of the others."""
    best_other = min(taken for side, taken in seconds.items() if side != OURS)
    return seconds[OURS] / best_other if ratio == "ratio_to_bare" else best_other / seconds[OURS]


async def measure(contest: Contest, pairs: int, told: Callable[[str], None] = lambda _: None) -> Result:
    """Warm every side up once, if need be, then run `pairs` rounds; who goes first changes from round to round."""
    if pairs < 1:
        raise ValueError("at least one round is needed")
    sides = {OURS: contest.ours, **contest.others}
    rounds = []
    for number in range(0 if contest.warm_up else 1, pairs + 1):
        told(f"{contest.name}: round {number} of {pairs}" if number else f"{contest.name}: warm-up")
        order = list(sides) if number % 2 else list(sides)[::-1]
        rounds.append({side: await sides[side]() for side in order})
    return Result(contest, tuple(rounds[-pairs:]))
