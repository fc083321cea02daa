"""Large images in overlapping tiles, so that small objects keep enough pixels; what all tiles show becomes one answer.

An object that a tile's edge cuts lies whole in a neighbour as long as it is smaller than the overlap; one that is
larger than a tile is found in the whole image, which is looked at as well. After Akyon et al., "Slicing Aided Hyper
Inference" (ICIP 2022).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.engine.geometry import Floats, Found, Size
from labelstream.bundle import Thresholds
from labelstream.errors import Rejected

MOST_TILES = 100
LEAST_SIDE, MOST_OVERLAP = 64, 0.5
CUT_PX = 2.0  # a box that ends so near to a tile's inner edge goes on beyond it
MOST_FOUND = 3000  # finds that are compared with each other; the most confident ones decide
SAME = 0.5  # of the smaller box, inside the other one: then a cut box is a part of it


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image, in its pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Tiling:
    """How images are cut."""

    side: int  # of a tile, in pixels of the image
    overlap: float = 0.2  # of a tile's side is seen by its neighbour, too

    def tiles(self, image: Size) -> list[Tile]:
        """Return the tiles of an image, evenly spread; none when it fits into one. Raises Rejected for too many."""
        if image.width <= self.side and image.height <= self.side:
            return []
        columns, rows = self._starts(image.width), self._starts(image.height)
        if len(columns) * len(rows) > MOST_TILES:
            raise Rejected(
                "tiles.too_many",
                f"{image.width} × {image.height} pixels in tiles of {self.side} are {len(columns) * len(rows)} tiles; "
                f"{MOST_TILES} are the most",
                "Ask for larger tiles, less overlap, or send the image smaller.",
            )
        width, height = min(self.side, image.width), min(self.side, image.height)
        return [Tile(left, top, width, height) for top in rows for left in columns]

    def _starts(self, length: int) -> list[int]:
        if length <= self.side:
            return [0]
        count = math.ceil((length - self.side) / (self.side * (1 - self.overlap))) + 1
        return [round(number * (length - self.side) / (count - 1)) for number in range(count)]


def merge(whole: Found, pieces: Iterable[tuple[Tile, Found]], image: Size, thresholds: Thresholds) -> Found:
    """Join what was found in the whole image and in its tiles, each in its own pixels, into one answer.

    Boxes that lie whole in their tile are better than cut ones; of two finds of one object the better and then the more
    confident one stays.
    """
    boxes, scores, classes, cut = [whole.boxes], [whole.scores], [whole.classes], [np.zeros(len(whole), bool)]
    for tile, found in pieces:
        moved = found.boxes + np.array([tile.left, tile.top] * 2, np.float32)
        boxes.append(moved)
        scores.append(found.scores)
        classes.append(found.classes)
        cut.append(_is_cut(moved, tile, image))
    every = Found(np.concatenate(boxes), np.concatenate(scores), np.concatenate(classes))
    likely = np.argsort(-every.scores, kind="stable")[:MOST_FOUND]
    every = Found(every.boxes[likely], every.scores[likely], every.classes[likely])
    kept = _best(every, np.concatenate(cut)[likely], thresholds.iou)
    kept = kept[np.argsort(-every.scores[kept], kind="stable")][: thresholds.max_detections]
    return Found(every.boxes[kept], every.scores[kept], every.classes[kept])


def _is_cut(boxes: Floats, tile: Tile, image: Size) -> npt.NDArray[np.bool_]:
    """Say of each box (n, 4) whether it reaches an edge of its tile that is not one of the image."""
    right, bottom = tile.left + tile.width, tile.top + tile.height
    cut: npt.NDArray[np.bool_] = (
        ((tile.left > 0) & (boxes[:, 0] <= tile.left + CUT_PX))
        | ((tile.top > 0) & (boxes[:, 1] <= tile.top + CUT_PX))
        | ((right < image.width) & (boxes[:, 2] >= right - CUT_PX))
        | ((bottom < image.height) & (boxes[:, 3] >= bottom - CUT_PX))
    )
    return cut


def _best(found: Found, cut: npt.NDArray[np.bool_], iou: float) -> npt.NDArray[np.intp]:
    """Return which finds stay: whole ones first, the most confident first."""
    waiting = np.lexsort((-found.scores, cut))
    areas = np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        corner = np.maximum(found.boxes[waiting, :2], found.boxes[best, :2])
        size = np.clip(np.minimum(found.boxes[waiting, 2:], found.boxes[best, 2:]) - corner, 0, None)
        shared = np.prod(size, axis=1)
        either = areas[waiting] + areas[best] - shared
        smaller = np.minimum(areas[waiting], areas[best])
        again = (shared > iou * either) | (cut[waiting] & (shared > SAME * smaller))
        waiting = waiting[~(again & (found.classes[waiting] == found.classes[best]))]
    return np.array(kept, np.intp)
