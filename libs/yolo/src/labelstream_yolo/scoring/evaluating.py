"""A detector's evaluation on a split: its scores, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labelstream.values import Split
from labelstream_yolo.scoring.boxes import Detections, Floats, Image
from labelstream_yolo.scoring.confusion import confused
from labelstream_yolo.scoring.operating import operating_point, precision_recall
from labelstream_yolo.scoring.pool import Pool, pooled
from labelstream_yolo.scoring.precision import curves
from labelstream_yolo.scoring.resampled import average_precisions
from labelstream_yolo.scoring.resampling import Resampling, interval
from labelstream_yolo.scoring.slicing import Key, Slices, sliced
from labelstream_yolo.scoring.values import ClassScore, Evaluation, Score, SliceScore


@dataclass(frozen=True)
class Evaluated:
    """An evaluation, and what it was made of."""

    evaluation: Evaluation
    pool: Pool
    map50: Floats  # (resamples,) of the whole split


def evaluated(
    split: Split,
    names: Sequence[str],
    images: Sequence[Image],
    detections: Sequence[Detections],
    resampling: Resampling,
) -> Evaluated:
    """Evaluate what was found in each image; `names` are the classes, by id."""
    pool = pooled(images, detections)
    slices = sliced(pool, names)
    confidence = operating_point([slices.rankings[key] for key in slices.whole])
    figures = _Figures(slices, confidence, _resampled(slices, resampling))
    whole = slices.whole
    evaluation = Evaluation(
        split=split,
        score=figures.score(whole, len(images)),
        confidence=confidence,
        classes=tuple(figures.of_class(class_id, name) for class_id, name in enumerate(names)),
        slices=tuple(
            SliceScore(by=some.by, name=some.name, **_fields(figures.score(some.keys, some.images)))
            for some in slices.slices
        ),
        confusion=confused(pool, names, confidence),
        resamples=resampling.count,
    )
    return Evaluated(evaluation, pool, figures.samples(whole)[0])


class _Figures:
    """The scores of rankings and of their means."""

    def __init__(self, slices: Slices, confidence: float, resamples: dict[Key, Floats]) -> None:
        self._slices = slices
        self._resamples = resamples  # (2, resamples) each: AP at IoU 0.5, mean AP
        self._curves = {key: curves(ranking) for key, ranking in slices.rankings.items()}
        self._operating = {key: precision_recall(ranking, confidence) for key, ranking in slices.rankings.items()}

    def score(self, keys: Sequence[Key], images: int) -> Score:
        """Return the mean score of some rankings."""
        if not keys:
            return Score(images=images, boxes=0, map50=None, map50_95=None, precision=None, recall=None)
        samples = self.samples(keys)
        map50 = float(np.mean([self._curves[key][0] for key in keys]))
        map50_95 = float(np.mean([self._curves[key] for key in keys]))
        precision, recall = np.mean([self._operating[key] for key in keys], axis=0)
        return Score(
            images=images,
            boxes=self._slices.boxes(keys),
            map50=map50,
            map50_95=map50_95,
            precision=float(precision),
            recall=float(recall),
            map50_interval=interval(map50, samples[0]),
            map50_95_interval=interval(map50_95, samples[1]),
        )

    def of_class(self, class_id: int, name: str) -> ClassScore:
        """Return the score of one class; without figures when it has no true box."""
        keys = [key for key in self._slices.whole if key[1] == class_id]
        score = self.score(keys, self._slices.images_with(keys))
        curve = tuple(round(float(value), 5) for value in self._curves[keys[0]][0]) if keys else ()
        return ClassScore(class_id=class_id, name=name, curve=curve, **_fields(score))

    def samples(self, keys: Sequence[Key]) -> Floats:
        """Return the resamples' means over those rankings that have true boxes in the resample, (2, resamples)."""
        each = np.stack([self._resamples[key] for key in keys]) if keys else np.full((1, 2, 1), np.nan)
        known = ~np.isnan(each)
        sums, counts = np.where(known, each, 0).sum(axis=0, dtype=np.float64), known.sum(axis=0)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _resampled(slices: Slices, resampling: Resampling) -> dict[Key, Floats]:
    samples: dict[Key, list[Floats]] = {key: [] for key in slices.rankings}
    for weights in resampling.weights():
        for key, ranking in slices.rankings.items():
            precisions = average_precisions(ranking, weights)
            samples[key].append(np.stack([precisions[0], precisions.mean(axis=0)]))
    return {key: np.concatenate(some, axis=1) for key, some in samples.items()}


def _fields(score: Score) -> dict[str, object]:
    return {name: getattr(score, name) for name in Score.model_fields}
