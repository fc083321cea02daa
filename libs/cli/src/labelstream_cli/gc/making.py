"""Trainings and models of one project, and which datasets they need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from labelstream.events.base import Event
from labelstream.events.model import ModelExported, ModelPromoted, ModelRefused, ModelWithdrawn
from labelstream.events.training import (
    TrainingCancelled,
    TrainingFailed,
    TrainingFinished,
    TrainingRequested,
)
from labelstream.values import Position


@dataclass
class Making:
    """A fold over `training-events` and `model-events`. The newest of anything stands last."""

    waiting: dict[str, str] = field(default_factory=dict)  # training that is not over → dataset
    finished: dict[str, str] = field(default_factory=dict)  # training with weights → dataset
    answered: set[str] = field(default_factory=set)  # trainings that were exported, or refused in every format
    models: dict[str, str] = field(default_factory=dict)  # exported model → dataset
    withdrawn: set[str] = field(default_factory=set)
    promoted: str | None = None

    def fold(self, _offset: int, event: Event) -> None:
        """Take one event into account."""
        match event:
            case TrainingRequested():
                self.waiting[event.job] = event.dataset.id
            case TrainingFinished():
                self.waiting.pop(event.job, None)
                self.finished[event.job] = event.dataset.id
            case TrainingFailed() | TrainingCancelled():
                self.waiting.pop(event.job, None)
            case ModelExported():
                self.answered.add(event.job)
                self.models[event.model] = event.dataset_id
            case ModelRefused(format=None):
                self.answered.add(event.job)
            case ModelPromoted():
                self.promoted = event.model
            case ModelWithdrawn():
                self.withdrawn.add(event.model)

    @staticmethod
    def places(event: Event) -> Iterator[Position]:
        """Yield the places in other streams that an event speaks of."""
        if isinstance(event, TrainingRequested | TrainingFinished):
            yield event.dataset.cut
        if isinstance(event, ModelExported | ModelRefused):
            yield event.input

    def datasets(self, keep_models: int | None) -> dict[str, str]:
        """Return the datasets that are needed, and by what.

        `keep_models`: only so many of the newest models, and the one that is promoted; None: all. One that was
        withdrawn needs nothing any more, unless it is still the promoted one.
        """
        standing = [model for model in self.models if model not in self.withdrawn]
        kept = standing if keep_models is None else standing[len(standing) - min(keep_models, len(standing)) :]
        needed: dict[str, str] = {}
        for job, dataset in self.waiting.items():
            needed.setdefault(dataset, f"the training {job[:12]} is not over")
        for job, dataset in self.finished.items():
            if job not in self.answered:
                needed.setdefault(dataset, f"the training {job[:12]} waits for its model")
        for model in kept:
            needed.setdefault(self.models[model], f"the model {model[:12]} was made of it")
        if self.promoted in self.models:
            needed.setdefault(self.models[self.promoted], f"the model {self.promoted[:12]} is promoted")
        return needed

    def doubts(self) -> Iterator[str]:
        """Yield what can't be, unless a part of a stream is gone."""
        if self.promoted is not None and self.promoted not in self.models:
            yield f"model-events promotes the model {self.promoted}, but not that it was exported"
