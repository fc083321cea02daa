"""Two models that run the same image in turn: whatever else the machine does hits both."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inference.serving.models import Models, ServingModel

ROUNDS = 11


class CalledOff(Exception):
    """A duel came to no end: one of the two failed, or is gone."""

    def __init__(self, model: ServingModel, error: Exception) -> None:
        super().__init__(f"{model.manifest.model}: {error}")
        self.model = model
        self.error = error


@dataclass(frozen=True)
class Slowdown:
    """What two models took for a run, in milliseconds."""

    ours_ms: float
    theirs_ms: float

    @property
    def ratio(self) -> float:
        """How many times the other's time ours is."""
        return self.ours_ms / max(self.theirs_ms, 1e-6)

    def in_words(self, other: str) -> str:
        """Say it, with the other's name."""
        return f"one run takes {self.ours_ms:.1f} ms, {self.ratio:.1f} times the {self.theirs_ms:.1f} ms of {other}"


@dataclass(frozen=True)
class Dueling:
    """Runs models against each other, in a thread beside those that answer."""

    models: Models

    async def __call__(self, ours: ServingModel, theirs: ServingModel) -> Slowdown:
        """Compare runs in turn. Raises CalledOff when one fails, or goes meanwhile."""
        return await asyncio.to_thread(self._run, ours, theirs)

    def _run(self, ours: ServingModel, theirs: ServingModel) -> Slowdown:
        times: dict[ServingModel, list[float]] = {ours: [], theirs: []}
        for turn in range(ROUNDS):
            for model in (ours, theirs) if turn % 2 else (theirs, ours):
                try:
                    with self.models.holding(model):
                        times[model].append(_run_ms(model))
                except Exception as error:  # a backend raises whatever it likes, and Gone is as good as a failure
                    raise CalledOff(model, error) from error
        return slowdown(times[ours], times[theirs])


def slowdown(ours_ms: Sequence[float], theirs_ms: Sequence[float]) -> Slowdown:
    """Compare the medians, or the best runs where they tell of a lesser difference.

    What disturbs a run only ever makes it longer: one that really is slower is so in its best run, too.
    """
    kinds: tuple[Callable[[Sequence[float]], float], ...] = (min, statistics.median)
    return min((Slowdown(kind(ours_ms), kind(theirs_ms)) for kind in kinds), key=lambda each: each.ratio)


def _run_ms(model: ServingModel) -> float:
    side = model.engine.side
    prepared = model.engine.pre_process(np.full((side, side, 3), 114, np.uint8))
    begun = time.perf_counter()
    model.engine.forward(prepared)
    return (time.perf_counter() - begun) * 1000
