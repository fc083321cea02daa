"""The newest answers of one model; what they hold is counted when somebody asks."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from inference.drift.distance import Counts
from inference.engine.geometry import Floats, Found
from labelstream.bundle import CONFIDENCE_BINS

_NO_SCORES, _NO_CLASSES = np.zeros(0, np.float32), np.zeros(0, np.int64)


class Window:
    """Keeps the last `size` answers: to take one costs next to nothing."""

    def __init__(self, size: int, classes: int) -> None:
        """Start empty, for a model of so many classes."""
        self._scores: deque[Floats] = deque(maxlen=size)  # one answer each
        self._classes: deque[npt.NDArray[np.int64]] = deque(maxlen=size)
        self._kinds = classes

    @property
    def images(self) -> int:
        """How many answers are in it."""
        return len(self._scores)

    def take(self, found: Found) -> None:
        """Keep an answer, in the place of the oldest when it is full."""
        self._scores.append(found.scores.copy())  # a view would hold on to what the network gave
        self._classes.append(found.classes.copy())

    def confidences(self) -> Counts:
        """Count detections by confidence, (bins,)."""
        scores = np.concatenate([_NO_SCORES, *self._scores])
        bins = np.minimum((scores * CONFIDENCE_BINS).astype(np.intp), CONFIDENCE_BINS - 1)
        return np.bincount(bins, minlength=CONFIDENCE_BINS)

    def classes(self) -> Counts:
        """Count detections by class, (classes,)."""
        return np.bincount(np.concatenate([_NO_CLASSES, *self._classes]), minlength=self._kinds)
