"""Who was taken for whom: every box of an image paired with at most one of the other side, at IoU 0.5."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labelstream_yolo.scoring.boxes import Floats, Ints, overlaps
from labelstream_yolo.scoring.matching import THRESHOLDS
from labelstream_yolo.scoring.pool import Pool
from labelstream_yolo.scoring.values import Confusion


def confused(pool: Pool, names: Sequence[str], confidence: float) -> Confusion:
    """Count, at or above `confidence`, as what each true box was found: as its class, as another, or not at all.

    A box that was found as what it is stays with its detection; the rest then meet what they overlap most.
    """
    background = len(names)
    counts = np.zeros((background + 1, background + 1), dtype=np.int64)
    starts = np.cumsum([0, *(len(found.class_ids) for found in pool.found)])
    for image, found, start in zip(pool.images, pool.found, starts, strict=False):
        sure = int((found.confidences >= confidence).sum())  # they are sorted
        met = pool.met[start : start + sure].copy()
        rest = np.setdiff1d(np.arange(len(image.class_ids)), met)
        wrong = np.flatnonzero(met < 0)
        met[wrong] = _nearest(overlaps(found.corners[wrong], image.corners[rest]), rest)
        true = np.append(image.class_ids, background)[met]  # -1 is the last: the background
        np.add.at(counts, (true, found.class_ids[:sure]), 1)
        missed = np.setdiff1d(rest, met)
        np.add.at(counts[:, background], image.class_ids[missed], 1)
    return Confusion(names=tuple(names), counts=tuple(tuple(int(count) for count in row) for row in counts))


def _nearest(iou: Floats, rest: Ints) -> Ints:
    """Give each detection in turn the free box of `rest` that it overlaps most; -1: none enough."""
    met = np.full(len(iou), -1)
    free = iou.copy()
    for number in np.flatnonzero(iou.max(axis=1, initial=0) >= THRESHOLDS[0]):
        best = int(free[number].argmax())
        if free[number, best] >= THRESHOLDS[0]:
            met[number] = rest[best]
            free[:, best] = 0
    return met
