"""No effect twice: one batch for each range, one end for each training, one model for each finished one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import pairwise

from labelstream.events.base import Event
from labelstream.events.batch import BatchAugmented
from labelstream.events.model import ModelExported, ModelPromoted, ModelRefused
from labelstream.events.training import TrainingCancelled, TrainingFailed, TrainingFinished, TrainingRequested


def batches(events: Iterable[BatchAugmented]) -> Iterator[str]:
    """Judge whether the ranges of each recipe follow each other without a gap."""
    ends: dict[str, int] = {}
    for event in events:
        expected = ends.get(event.recipe, -1) + 1
        if event.input.first != expected:
            yield f"a batch answers {event.input.first} to {event.input.last}, and {expected} was next"
        ends[event.recipe] = max(ends.get(event.recipe, -1), event.input.last)


def trainings(events: Sequence[Event]) -> Iterator[str]:
    """Judge whether each training was requested once, and ended once at most."""
    requested = [one.job for one in events if isinstance(one, TrainingRequested)]
    ended = [one.job for one in events if isinstance(one, (TrainingFinished, TrainingFailed, TrainingCancelled))]
    yield from _twice(requested, "training {} was requested {} times")
    yield from _twice(ended, "training {} ended {} times")
    for job in sorted(set(ended) - set(requested)):
        yield f"training {job} ended, and nobody asked for it"
    for failed in (one for one in events if isinstance(one, TrainingFailed)):
        yield f"training {failed.job} failed: {failed.rule}: {failed.reason}"


def models(events: Sequence[Event], finished: Iterable[TrainingFinished]) -> Iterator[str]:
    """Judge whether each finished training became one model, and promotions have numbers of their own that rise."""
    exported = [one for one in events if isinstance(one, ModelExported)]
    yield from _twice([(one.job, one.edition) for one in exported], "model {} was exported {} times")
    yield from _twice(
        [(one.input.offset, one.edition) for one in exported], "the training's end at {} became {} models"
    )
    jobs = {one.job for one in finished}
    for model in exported:
        if model.job not in jobs:
            yield f"model {model.model} is of training {model.job}, which did not finish"
    numbers = [one.number for one in events if isinstance(one, ModelPromoted)]
    for one, after in pairwise(numbers):
        if after <= one:
            yield f"promotion {after} came after promotion {one}"
    for refused in (one for one in events if isinstance(one, ModelRefused)):
        yield f"a model of training {refused.job} was refused: {refused.rule}: {refused.reason}"


def unfinished(trained: Sequence[Event], modelled: Sequence[Event]) -> Iterator[str]:
    """Say what is still to come: trainings without an end, and ends without a model."""
    ended = {one.job for one in trained if isinstance(one, (TrainingFinished, TrainingFailed, TrainingCancelled))}
    known = {one.job for one in modelled if isinstance(one, (ModelExported, ModelRefused))}
    for requested in (one for one in trained if isinstance(one, TrainingRequested)):
        if requested.job not in ended:
            yield f"training {requested.job[:12]} has not ended"
    for finished in (one for one in trained if isinstance(one, TrainingFinished)):
        if finished.job not in known:
            yield f"training {finished.job[:12]} has no model yet"


def _twice(names: Iterable[Hashable], said: str) -> Iterator[str]:
    for name, times in Counter(names).items():
        if times > 1:
            yield said.format(name, times)
