"""Which of two networks is faster, told by a few runs beside whatever else the machine is doing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

ROUNDS = 5
HOPELESS = 1.25  # so much slower after two runs is slower for good
ENOUGH_S = 3.0  # large networks are told apart by fewer runs
CLEARLY = 0.97  # of the champion's time: noise alone shall not choose another artifact at each start

Trial = Callable[[], float]  # runs once; returns the seconds of one image


@dataclass
class Runner:
    """A network in a race: its best run counts, as whatever disturbs a run only makes it slower."""

    trial: Trial
    best: float = field(default=float("inf"))

    def run(self) -> None:
        """Run once."""
        self.best = min(self.best, self.trial())


def beats(challenger: Runner, champion: Runner, clock: Callable[[], float] = time.monotonic) -> bool:
    """Say whether the challenger is clearly faster; they run in turns, so that a busy moment strikes both."""
    begun = clock()
    for number in range(1, ROUNDS + 1):
        challenger.run()
        champion.run()
        slower, faster = sorted((challenger.best, champion.best), reverse=True)
        if number > 1 and (slower > HOPELESS * faster or clock() - begun > ENOUGH_S):
            break
    return challenger.best < CLEARLY * champion.best
