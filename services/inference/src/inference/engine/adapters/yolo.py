"""The numeric ends of a YOLO detector, the same for every backend: its input tensor and its raw output."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from inference.engine.contract import Prepared
from inference.engine.geometry import Floats, Found, Letterbox, Pixels, Size
from labelstream.bundle import Thresholds

PADDING = np.float32(114 / 255)  # the grey that the network was trained with
MOST_CANDIDATES = 30_000  # suppression is quadratic; the best ones decide


def to_tensor(image: Pixels, side: int) -> Prepared:
    """Letterbox an image (height, width, 3) BGR into (3, side, side) RGB, 0 to 1."""
    height, width = image.shape[:2]
    fit = Letterbox.of(Size(width, height), side)
    inner = (fit.inner.width, fit.inner.height)
    resized = image if inner == (width, height) else cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    tensor = np.full((3, side, side), PADDING, np.float32)
    rows, columns = slice(fit.top, fit.top + inner[1]), slice(fit.left, fit.left + inner[0])
    for channel in range(3):
        np.divide(resized[:, :, 2 - channel], np.float32(255), out=tensor[channel, rows, columns])
    return Prepared(tensor, fit)


def to_detections(raw: Floats, letterbox: Letterbox, thresholds: Thresholds) -> Found:
    """Read (4 + classes, candidates): centre, size and scores; suppress overlaps within each class."""
    scores = raw[4:].max(axis=0)  # (candidates,)
    kept = np.flatnonzero(scores > thresholds.confidence)
    if len(kept) > MOST_CANDIDATES:
        kept = kept[np.argsort(-scores[kept], kind="stable")[:MOST_CANDIDATES]]
    scores = scores[kept]
    classes = raw[4:, kept].argmax(axis=0)
    centre, size = raw[:2, kept].T, raw[2:4, kept].T  # (n, 2) each, pixels of the square
    corner = centre - size / 2
    rectangles = np.concatenate([corner, size], axis=1).astype(np.float64)
    best = _suppress(rectangles, scores, classes, thresholds)
    boxes = np.concatenate([corner, corner + size], axis=1)[best]
    return Found(letterbox.to_image(boxes), scores[best], classes[best])


def _suppress(rectangles: np.ndarray, scores: Floats, classes: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    if not len(scores):
        return np.zeros(0, np.int64)
    # Its stubs ask for lists, and arrays are what it is fast with.
    suppress: Any = cv2.dnn.NMSBoxesBatched
    picked = suppress(rectangles, scores, classes.astype(np.int32), 0.0, thresholds.iou)
    return np.asarray(picked, np.int64).ravel()[: thresholds.max_detections]
