"""What is scored: the images of a split with their true boxes, and what a detector found in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Image:
    """An image and its true boxes."""

    name: str
    width: int
    height: int
    medium: str  # the photo or video that it came from
    corners: Floats  # (n, 4) x1 y1 x2 y2, pixels
    class_ids: Ints  # (n,)


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image."""

    corners: Floats  # (n, 4) x1 y1 x2 y2, pixels of the original image
    class_ids: Ints  # (n,)
    confidences: Floats  # (n,)

    def surest(self, limit: int) -> Detections:
        """Return the `limit` surest, the surest first; among equals the order stays."""
        order = np.argsort(-self.confidences, kind="stable")[:limit]
        return Detections(self.corners[order], self.class_ids[order], self.confidences[order])


def areas(corners: Floats) -> Floats:
    """Return the areas of boxes, (n,), in square pixels."""
    sides = corners[:, 2:] - corners[:, :2]
    return np.asarray(sides[:, 0] * sides[:, 1])


def overlaps(some: Floats, others: Floats) -> Floats:
    """Return the IoU of each of `some` (n, 4) with each of `others` (m, 4): (n, m)."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(high - low, 0)
    common = sides[..., 0] * sides[..., 1]
    union = areas(some)[:, None] + areas(others)[None, :] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=common > 0))
