"""Average precision as COCO defines it, at 101 recalls."""

from __future__ import annotations

import numpy as np

from labelstream_yolo.scoring.boxes import Floats
from labelstream_yolo.scoring.ranking import Ranking

RECALLS = np.linspace(0, 1, 101)  # as COCO makes them: the same floats


def curves(ranking: Ranking) -> Floats:
    """Return the best precision at or beyond each of the 101 recalls, (thresholds, 101): its mean is the AP.

    There has to be a true box.
    """
    right = np.cumsum(ranking.right, axis=1)
    counted = np.cumsum(~ranking.ignored, axis=1) + ranking.wrong_before
    precision = right / np.maximum(counted, 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.pad(best, ((0, 0), (0, 1)))  # a recall that is never reached has precision 0
    recall = right / ranking.boxes
    return np.stack([some[np.searchsorted(seen, RECALLS)] for some, seen in zip(best, recall, strict=True)])
