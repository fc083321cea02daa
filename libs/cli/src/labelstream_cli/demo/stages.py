"""The stages of a demonstration: which one is on, how long each took, and what is to be said of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from labelstream.events.training import TrainingProgressed
from labelstream_cli.demo.state import DemoState, TrainingSeen

Standing = Literal["waits", "runs", "done"]
STAGES = ("data", "stack", "push", "receipts", "variants", "training", "export", "serving", "proof", "answers")


@dataclass(frozen=True)
class Row:
    """One stage as it stands."""

    stage: str
    standing: Standing
    said: str
    seconds: float | None


@dataclass
class Course:
    """What the demonstration itself knows of its course."""

    images: int = 0
    said: dict[str, str] = field(default_factory=dict)  # stage → what was found out, when no event says it
    training: TrainingSeen | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage."""
        self.began[name] = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - self.began[name], 1)

    def rows(self, state: DemoState) -> list[Row]:
        """Return every stage as it stands."""
        return [self._row(name, state) for name in STAGES]

    def _row(self, name: str, state: DemoState) -> Row:
        if name in self.seconds:
            return Row(name, "done", self._say(name, state), self.seconds[name])
        if name in self.began:
            return Row(name, "runs", self._say(name, state), round(time.monotonic() - self.began[name], 1))
        return Row(name, "waits", "", None)

    def _say(self, name: str, state: DemoState) -> str:
        if name in self.said:
            return self.said[name]
        if name == "receipts":
            counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(state.receipts.items()))
            return f"{state.settled} of {self.images}" + (f": {counts}" if counts else "")
        if name == "variants":
            return f"{sum(state.archives.values())} variants in {len(state.archives)} archives"
        if name == "training":
            return _training(self.training)
        return ""


def _training(seen: TrainingSeen | None) -> str:
    if seen is None:
        return "the dataset is being built"
    if seen.finished is not None:
        test = seen.finished.test
        return f"best epoch {seen.finished.best_epoch}; on {test.images} test images mAP50 {test.map50:.3f}"
    if seen.progress is None:
        samples = sum(seen.requested.dataset.samples.values())
        return f"dataset {seen.requested.dataset.id[:12]}… of {samples} samples; the first epoch runs"
    return _epoch(seen.progress)


def _epoch(at: TrainingProgressed) -> str:
    losses = " ".join(f"{name.removesuffix('_loss')} {loss:.2f}" for name, loss in at.losses.items())
    left = f", {at.eta_s:.0f} s left" if at.eta_s else ""
    return f"epoch {at.epoch} of {at.epochs}: {losses}, validation mAP50 {at.map50:.3f}{left}"
