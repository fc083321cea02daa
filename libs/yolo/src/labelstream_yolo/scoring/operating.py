"""The confidence at which a detector is judged as it would be used: where the mean F1 of the classes is best."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from labelstream_yolo.scoring.boxes import Floats
from labelstream_yolo.scoring.ranking import Ranking

STEPS = np.linspace(0.001, 1, 1000)
CUSTOMARY = 0.25  # where nothing is right at any confidence


def operating_point(rankings: Collection[Ranking]) -> float:
    """Return the confidence with the best mean F1; in the middle, when several are equally good.

    Each ranking has true boxes.
    """
    if not rankings:
        return CUSTOMARY
    means = np.mean([_f1(ranking) for ranking in rankings], axis=0)
    if not means.any():
        return CUSTOMARY
    best = np.flatnonzero(means >= means.max() - 1e-12)
    return round(float(STEPS[best[len(best) // 2]]), 3)


def precision_recall(ranking: Ranking, confidence: float) -> tuple[float, float]:
    """Return precision and recall at `confidence`; the precision of nothing is 0. There have to be true boxes."""
    right, wrong = ranking.at(confidence)
    return right / max(right + wrong, 1), right / ranking.boxes


def _f1(ranking: Ranking) -> Floats:
    right = _at_or_above(ranking.confidences[ranking.right[0]])
    counted = _at_or_above(ranking.confidences[~ranking.ignored[0]]) + _at_or_above(ranking.wrong_confidences)
    return np.asarray(2 * right / (counted + ranking.boxes))


def _at_or_above(confidences: Floats) -> Floats:
    """Return how many of the confidences reach each step."""
    return np.asarray(len(confidences) - np.searchsorted(np.sort(confidences), STEPS), dtype=np.float64)
