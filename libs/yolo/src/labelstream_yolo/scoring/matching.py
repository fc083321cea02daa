"""Which detection meets which true box of one image, as COCO decides it.

The detections choose in the order of their confidence. Each takes the free box of its class that it overlaps most, if
that is enough; the last one among equals. For a range of areas, the boxes outside are ignored: a detection takes such
a box only when there is no other, and is then neither right nor wrong, like one outside the range that meets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelstream_yolo.scoring.boxes import Bools, Detections, Floats, Image, Ints, areas, overlaps

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of the IoU, as COCO makes them: the same floats
RANGES = ("all", "small", "medium", "large")
LIMITS = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])  # COCO's, square pixels, both ends within


@dataclass(frozen=True)
class Matches:
    """The detections of one image that overlap a true box of their class, and what each is worth.

    The first axes of `right` and `ignored` are the ranges of areas and the thresholds.
    """

    near: Ints  # (k,) which detections; all others meet nothing at any threshold
    right: Bools  # (ranges, thresholds, k)
    ignored: Bools  # (ranges, thresholds, k)
    met: Ints  # (k,) the true box at the first threshold, whatever its area; -1: none


def within(corners: Floats) -> Bools:
    """Say which boxes lie in which range of areas: (ranges, n)."""
    size = areas(corners)
    return (size >= LIMITS[:, :1]) & (size <= LIMITS[:, 1:])


def match(image: Image, found: Detections) -> Matches:
    """Match the detections, which are sorted from the surest, with the true boxes of the image."""
    iou = overlaps(found.corners, image.corners)  # (n, m)
    candidates = (iou >= THRESHOLDS[0]) & (found.class_ids[:, None] == image.class_ids[None, :])
    near = np.flatnonzero(candidates.any(axis=1))
    iou, candidates = iou[near], candidates[near]
    counts = within(image.corners)  # (ranges, m)
    met = np.stack([_choose(iou, candidates, counts[0])] * len(RANGES))  # (ranges, thresholds, k)
    for number in np.flatnonzero(_matters(candidates, counts)):
        met[number] = _choose(iou, candidates, counts[number])
    nothing = met < 0
    counted = np.append(counts, np.zeros((len(RANGES), 1), dtype=bool), axis=1)[
        np.arange(len(RANGES))[:, None, None], met
    ]
    outside = ~within(found.corners[near])[:, None, :]
    return Matches(near=near, right=counted, ignored=np.where(nothing, outside, ~counted), met=met[0, 0])


def _matters(candidates: Bools, counts: Bools) -> Bools:
    """Say for which ranges of areas a detection may choose between a box that counts and one that is ignored."""
    inside = np.any(candidates[None] & counts[:, None, :], axis=2)
    outside = np.any(candidates[None] & ~counts[:, None, :], axis=2)
    return np.asarray(np.any(inside & outside, axis=1))


def _choose(iou: Floats, candidates: Bools, counts: Bools) -> Ints:
    """Let each detection in turn take a true box; return whose it took, or -1: (thresholds, k)."""
    met = np.full((len(THRESHOLDS), len(iou)), -1)
    free = np.ones((len(THRESHOLDS), iou.shape[1]), dtype=bool)
    every = np.arange(len(THRESHOLDS))
    for number, (overlap, possible) in enumerate(zip(iou, candidates, strict=True)):
        boxes = np.flatnonzero(possible)[::-1]  # the last among equals goes first
        may = free[:, boxes] & (overlap[boxes] >= THRESHOLDS[:, None])
        worth = (overlap[boxes] + 2 * counts[boxes]) * may  # any box that counts goes before one that is ignored
        best = worth.argmax(axis=1)
        takes = may[every, best]
        taken = boxes[best]
        met[takes, number] = taken[takes]
        free[every[takes], taken[takes]] = False
    return met
