"""What comes out of a network for one image, the way that the artifact's `output` says, as detections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from inference.engine.geometry import Floats, Found, Letterbox
from labelstream.bundle import Thresholds

MOST_CANDIDATES = 30_000  # suppression is quadratic; the best ones decide
RAW, RAW_SPLIT, SUPPRESSED = "raw-yolo", "raw-yolo-split", "boxes-score-class"

Read = Callable[[Floats, Letterbox, Thresholds], Found]


class NoNumber(ArithmeticError):
    """A score is not a number: it would compare as below every threshold, and nobody would hear of it."""


def from_raw(raw: Floats, letterbox: Letterbox, thresholds: Thresholds) -> Found:
    """Read (4 + classes, candidates): centre, size and scores; suppress overlaps within each class."""
    scores = raw[4:].max(axis=0)  # (candidates,): the fastest way, of those that were timed
    kept = np.flatnonzero(_above(scores, thresholds))
    of_each, scores = raw[:, kept], scores[kept]  # (4 + classes, n), (n,)
    classes = of_each[4:].argmax(axis=0)
    if len(kept) > MOST_CANDIDATES:
        best = np.argsort(-scores, kind="stable")[:MOST_CANDIDATES]
        of_each, classes, scores = of_each[:, best], classes[best], scores[best]
    centre, size = of_each[:2].T, of_each[2:4].T  # (n, 2) each, pixels of the square
    corner = centre - size / 2
    return _suppressed(np.concatenate([corner, corner + size], axis=1), size, scores, classes, letterbox, thresholds)


def from_suppressed(rows: Floats, letterbox: Letterbox, thresholds: Thresholds) -> Found:
    """Read (n, 6): corners, score, class of what a graph left; thresholds can only take more of it away."""
    rows = rows[_above(rows[:, 4], thresholds)]
    boxes, scores, classes = rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64)
    return _suppressed(boxes, boxes[:, 2:] - boxes[:, :2], scores, classes, letterbox, thresholds)


OUTPUTS: Mapping[str, Read] = MappingProxyType({RAW: from_raw, RAW_SPLIT: from_raw, SUPPRESSED: from_suppressed})


def suppress(
    rectangles: np.ndarray, scores: Floats, classes: npt.NDArray[np.int64], thresholds: Thresholds
) -> np.ndarray:
    """Return which of the boxes (n, 4) corner and size stay, the most confident first."""
    if not len(scores):
        return np.zeros(0, np.int64)
    # Its stubs ask for lists, and arrays are what it is fast with.
    suppress: Any = cv2.dnn.NMSBoxesBatched
    picked = suppress(rectangles.astype(np.float64), scores, classes.astype(np.int32), 0.0, thresholds.iou)
    return np.asarray(picked, np.int64).ravel()[: thresholds.max_detections]


def _above(scores: Floats, thresholds: Thresholds) -> npt.NDArray[np.bool_]:
    """Say of each score (n,) whether it counts. Raises NoNumber."""
    if np.isnan(scores).any():
        raise NoNumber("a score is not a number")
    above: npt.NDArray[np.bool_] = scores > thresholds.confidence
    return above


def _suppressed(
    boxes: Floats,
    size: Floats,
    scores: Floats,
    classes: npt.NDArray[np.int64],
    letterbox: Letterbox,
    thresholds: Thresholds,
) -> Found:
    best = suppress(np.concatenate([boxes[:, :2], size], axis=1), scores, classes, thresholds)
    return Found(letterbox.to_image(boxes[best]), scores[best], classes[best])
