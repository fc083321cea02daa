"""A new model's first minutes: what it does worse than the one before it sends it back.

Requests that it failed over are counted, and its forward runs are compared with those of the model before it, alone
runs with alone runs and those beside others with those beside others. Whether it really is the slower one, and not the
machine or the load another one since then, is found out by both running the same image in turn before it goes back.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

from inference.engine.detecting import Detected
from inference.serving.duel import CalledOff, Slowdown
from inference.serving.models import Gone, Models, ServingModel

LEAST_FAILURES = 3  # fewer may be an accident
LEAST_RUNS = 20  # of each model under one load, before their medians are compared
REMEMBERED = 101  # runs under one load, the newest

FAILED, SLOW, DIED = "probation.failed", "probation.slow", "probation.died"

Duel = Callable[[ServingModel, ServingModel], Awaitable[Slowdown]]


@dataclass(frozen=True)
class Terms:
    """When a model goes back."""

    seconds: float = 180
    worst_slowdown: float = 2.0  # its median time over that of the model before
    worst_failures: float = 0.01  # of the requests that it was asked


class Verdict(NamedTuple):
    """Why a model goes back."""

    rule: str
    reason: str


@dataclass
class Pace:
    """How long the newest forward runs of a model took, in milliseconds."""

    alone: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    beside: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))  # other work

    def take(self, detected: Detected) -> None:
        """Remember one answer's; of a tiled image, the mean of its looks."""
        (self.alone if detected.alone else self.beside).append(detected.timings_ms.forward / detected.tiles)

    @property
    def is_known(self) -> bool:
        """Say whether there are enough runs under some load."""
        return max(len(self.alone), len(self.beside)) >= LEAST_RUNS

    def slowdown(self, before: Pace) -> float | None:
        """Return the ratio of medians to `before`, under the load where it is worst; None: nothing to compare."""
        loads = ((self.alone, before.alone), (self.beside, before.beside))
        ratios = [
            statistics.median(ours) / max(statistics.median(theirs), 1e-6)
            for ours, theirs in loads
            if min(len(ours), len(theirs)) >= LEAST_RUNS
        ]
        return max(ratios, default=None)

    def forget(self) -> None:
        """Start anew."""
        self.alone.clear()
        self.beside.clear()


@dataclass
class _Trial:
    """One model on probation."""

    model: ServingModel
    answered: int = 0
    failed: int = 0
    verdict: Verdict | None = None
    is_suspected: bool = False  # of being slow; a duel finds out
    acquitted: bool = False  # by a duel for which nothing but the want of older runs was the reason
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Probation:
    """Watches answers, as an observer; sends a new model back at once when it fails, or is far slower."""

    def __init__(self, models: Models, terms: Terms, duel: Duel) -> None:
        self._models = models
        self._terms = terms
        self._duel = duel
        self._paces: WeakKeyDictionary[ServingModel, Pace] = WeakKeyDictionary()
        self._trials: dict[str, _Trial] = {}

    @property
    def is_held(self) -> bool:
        """Say whether new models are on probation at all."""
        return self._terms.seconds > 0

    def begin(self, model: ServingModel) -> None:
        """Put `model`, which answers for its project from now on, on probation; an older one's ends without a verdict.

        What runs meanwhile is called `sit`.
        """
        project = model.manifest.project
        superseded = self._trials.pop(project, None)
        if superseded is not None:
            superseded.woken.set()
        if self._models.before(project) is not None:
            self._trials[project] = _Trial(model)

    def on_trial(self, project: str) -> ServingModel | None:
        """Return the model whose probation has no end yet that anybody was told of; it may have gone back already."""
        trial = self._trials.get(project)
        return trial.model if trial else None

    def answered(self, model: ServingModel, detected: Detected, *, usual: bool) -> None:  # noqa: ARG002
        """Note an answer, and when there is reason to doubt the model's pace, have it looked at."""
        self._paces.setdefault(model, Pace()).take(detected)
        trial = self._trials.get(model.manifest.project)
        if trial is None or trial.model is not model:
            return
        trial.answered += 1
        if not trial.is_suspected and self._is_suspect(trial):
            trial.is_suspected = True
            trial.woken.set()

    def failed(self, model: ServingModel, error: Exception) -> None:
        """Note a failure; when they are too many, the model before answers from now on."""
        trial = self._trials.get(model.manifest.project)
        if trial is None or trial.model is not model:
            return
        trial.failed += 1
        asked = trial.answered + trial.failed
        if trial.failed >= LEAST_FAILURES and trial.failed > self._terms.worst_failures * asked:
            reason = f"it failed over {trial.failed} of {asked} images, at last with {type(error).__name__}: {error}"
            self._send_back(trial, Verdict(FAILED, reason))

    async def sit(self, model: ServingModel) -> Verdict | None:
        """Wait for the end of a probation that has begun; return why `model` went back.

        None: it stays, and what stood behind it is gone; or a newer one took its place.
        """
        trial = self._trials.get(model.manifest.project)
        if trial is None or trial.model is not model:
            return None
        try:
            async with asyncio.timeout(self._terms.seconds):
                while trial.verdict is None and self._is_on(trial):
                    await trial.woken.wait()
                    trial.woken.clear()
                    if trial.is_suspected and trial.verdict is None and self._is_on(trial):
                        await self._look_at_pace(trial)
        except TimeoutError:
            pass
        if trial.verdict is None and self._is_on(trial):
            self._models.release(model)
        if self._is_on(trial):
            del self._trials[model.manifest.project]
        return trial.verdict

    def _is_on(self, trial: _Trial) -> bool:
        return self._trials.get(trial.model.manifest.project) is trial

    def _is_suspect(self, trial: _Trial) -> bool:
        """Say whether the runs of a model are slow, or there are none of the model before to compare with."""
        before = self._models.before(trial.model.manifest.project)
        if before is None:
            return False
        ours, theirs = self._paces[trial.model], self._paces.setdefault(before, Pace())
        slowdown = ours.slowdown(theirs)
        if slowdown is None:
            return ours.is_known and not theirs.is_known and not trial.acquitted
        return slowdown > self._terms.worst_slowdown

    async def _look_at_pace(self, trial: _Trial) -> None:
        """Let both models run in turn; send the new one back if it is as slow as it looks."""
        before = self._models.before(trial.model.manifest.project)
        if before is None:
            return
        try:
            slowdown = await self._duel(trial.model, before)
        except CalledOff as off:
            trial.is_suspected = False
            if off.model is trial.model and not isinstance(off.error, Gone):
                self.failed(trial.model, off.error)
            return
        if trial.verdict is None and self._is_on(trial) and slowdown.ratio > self._terms.worst_slowdown:
            self._send_back(trial, Verdict(SLOW, slowdown.in_words(before.manifest.model)))
            return
        trial.is_suspected, trial.acquitted = False, True
        self._paces[trial.model].forget()  # ask again when it has been slow for another while

    def _send_back(self, trial: _Trial, verdict: Verdict) -> None:
        if self._models.revert(trial.model, *verdict) is not None:
            trial.verdict = verdict
            trial.woken.set()
