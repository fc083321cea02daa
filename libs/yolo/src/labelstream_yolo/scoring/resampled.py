"""Average precision of many resamples of the images at once.

A ranking is cut into steps, and what each image adds up to each step is counted once: a matrix. What all images of
a resample add up to is then its product with how often each is in the resample, so a thousand resamples are a few
products of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelstream_yolo.scoring.boxes import Bools, Floats, Ints
from labelstream_yolo.scoring.precision import RECALLS, curves
from labelstream_yolo.scoring.ranking import Ranking

MOST_STEPS = 100  # twice as many move the ends of an interval by a fiftieth of its width at most


@dataclass(frozen=True)
class Counts:
    """What some images add up to each step."""

    images: Ints  # (n,)
    sums: Floats  # (steps, n)

    @classmethod
    def of(cls, of_image: Ints, step: Ints, steps: int) -> Counts:
        """Count what belongs to an image and a step each."""
        inside = step < steps  # what comes after the last step changes nothing
        images, place = np.unique(of_image[inside], return_inverse=True)
        counts = np.bincount(step[inside] * len(images) + place, minlength=steps * len(images))
        return cls(images, np.cumsum(counts.reshape(steps, len(images)), axis=0, dtype=np.float32))

    def of_resamples(self, weights: Floats) -> Floats:
        """Return the sums of each resample, (steps, resamples)."""
        return np.asarray(self.sums @ weights[self.images])


def average_precisions(ranking: Ranking, weights: Floats) -> Floats:
    """Return the AP of each resample, (thresholds, resamples); NaN where a resample has no true box.

    weights: (images, resamples), how often each image is in each resample. Where there are more right detections than
    steps, the AP is a little off, by nearly the same in each resample: by what it is off when every image counts once.
    """
    steps = _Steps(ranking)
    everything = np.ones((len(weights), 1), dtype=weights.dtype)
    off = steps.average_precisions(everything) - curves(ranking).mean(axis=1, keepdims=True)
    return np.asarray(steps.average_precisions(weights) - off)


class _Steps:
    """A ranking, cut after right detections."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking
        ends = np.flatnonzero(ranking.right.any(axis=0))
        chosen = np.linspace(0, len(ends) - 1, min(len(ends), MOST_STEPS)).round().astype(np.intp)
        self._ends = ends[chosen]
        self._step = np.searchsorted(self._ends, np.arange(len(ranking.of_image)))

    def average_precisions(self, weights: Floats) -> Floats:
        ranking = self._ranking
        boxes = ranking.truths.astype(weights.dtype) @ weights
        numbers = np.arange(len(ranking.wrong_of_image))
        step = np.searchsorted(ranking.wrong_before[self._ends], numbers, side="right")
        wrong = Counts.of(ranking.wrong_of_image, step, len(self._ends)).of_resamples(weights)
        nothing_ignored = not ranking.ignored.any()
        counted = self._sums(~ranking.ignored[0], weights) + wrong
        found = []
        for right, ignored in zip(ranking.right, ranking.ignored, strict=True):
            if not nothing_ignored:
                counted = self._sums(~ignored, weights) + wrong
            found.append(_average(self._sums(right, weights), counted, boxes))
        return np.where(boxes > 0, np.stack(found), np.nan)

    def _sums(self, rows: Bools, weights: Floats) -> Floats:
        counts = Counts.of(self._ranking.of_image[rows], self._step[rows], len(self._ends))
        return counts.of_resamples(weights)


def _average(right: Floats, counted: Floats, boxes: Floats) -> Floats:
    """Return the AP of each resample from its sums at each step, (steps, resamples)."""
    precision = right / np.maximum(counted, 1)
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    recall = right.astype(np.float64) / np.maximum(boxes, 1)
    reached = np.searchsorted(RECALLS, recall, side="right")  # how many recalls
    reached[1:] -= reached[:-1].copy()
    return np.asarray((reached * best).sum(axis=0) / len(RECALLS))
