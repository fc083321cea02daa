"""How boxes are: their sizes, forms and places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from labelstream_datasets.statistics.collecting import Columns
from labelstream_datasets.statistics.model import SIZES, BoxFigures, Histogram, ImageFigures, Size

COCO_LIMITS = 32.0, 96.0  # sides, in pixels
FRACTIONS = 0.05, 0.15  # sides: what those limits are in 640 pixels
TINY_PX = 8  # a detector's finest grid: a smaller thing is less than one of its cells
GRID = 24  # cells of the map of centres, each way
MOST_SIZES = 12  # of images, that are listed
_SIDES = tuple(round(float(edge), 5) for edge in np.geomspace(0.005, 1, 25))
_ASPECTS = tuple(round(float(edge), 4) for edge in np.geomspace(1 / 8, 8, 25))
_PER_IMAGE = (*range(21), 31, 51, 101)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Boxes:
    """All boxes as arrays, one value for each."""

    class_id: Ints
    box: Floats  # (n, 4): centre and size as fractions
    image: Floats  # (n, 2): width and height of its image in pixels; NaN for unknown

    @classmethod
    def of(cls, columns: Columns) -> Boxes:
        """Take what was collected."""
        sizes = np.asarray(columns.size, np.float64).reshape(-1, 2)
        sizes[(sizes == 0).any(axis=1)] = np.nan
        return cls(
            np.asarray(columns.box_class, np.int64),
            np.asarray(columns.box, np.float64).reshape(-1, 4),
            np.repeat(sizes, np.asarray(columns.boxes, np.int64), axis=0),
        )

    @cached_property
    def sides(self) -> Floats:
        """Root of each box's area over the root of its image's."""
        roots: Floats = np.sqrt(self.box[:, 2] * self.box[:, 3])
        return roots

    @cached_property
    def pixels(self) -> Floats:
        """Width and height in the image's pixels."""
        return self.box[:, 2:] * self.image

    def trained(self, side: int) -> Floats:
        """Return width and height in training, where an image's longer side has so many pixels."""
        square = np.full_like(self.image, side)
        image = np.where(np.isnan(self.image), square, self.image)
        pixels: Floats = self.box[:, 2:] * image * (side / image.max(axis=1, initial=1, keepdims=True))
        return pixels


def box_figures(columns: Columns, boxes: Boxes, train_side: int) -> BoxFigures:
    """Return how the boxes are."""
    known = np.isfinite(boxes.image[:, 0])
    trained = boxes.trained(train_side)
    across, down = (np.clip((boxes.box[:, axis] * GRID).astype(int), 0, GRID - 1) for axis in (0, 1))
    centres = np.zeros((GRID, GRID), np.int64)
    np.add.at(centres, (down, across), 1)
    aspects = np.divide(trained[:, 0], trained[:, 1], out=np.ones(len(trained)), where=trained[:, 1] > 0)
    return BoxFigures(
        per_image=_histogram(np.asarray(columns.boxes, np.float64), _PER_IMAGE),
        sides=_histogram(boxes.sides, _SIDES),
        aspects=_histogram(aspects, _ASPECTS),
        centres=tuple(tuple(map(int, row)) for row in centres),
        sizes=sizes_of(boxes.pixels[known]),
        sizes_at=sizes_of(trained),
        fractions=_by_limits(boxes.sides, FRACTIONS),
        train_side=train_side,
        tiny=int((trained.min(axis=1, initial=np.inf) < TINY_PX).sum()),
        tiny_px=TINY_PX,
        unknown_size=int((~known).sum()),
    )


def sizes_of(pixels: Floats) -> dict[Size, int]:
    """Return how many boxes are small, medium and large by COCO's limits; `pixels` are (n, 2)."""
    return _by_limits(np.sqrt(pixels.prod(axis=1)), COCO_LIMITS)


def image_figures(columns: Columns) -> ImageFigures:
    """Return sizes and formats of the originals."""
    sizes = Counter(zip(columns.size[::2], columns.size[1::2], strict=True))
    unknown = sizes.pop((0, 0), 0)
    common = sorted(sizes.items(), key=lambda one: (-one[1], one[0]))[:MOST_SIZES]
    return ImageFigures(
        sizes=tuple((width, height, images) for (width, height), images in common),
        other_sizes=sizes.total() - sum(images for _, images in common),
        formats=dict(columns.formats.most_common()),
        bytes=columns.image_bytes,
        unknown=unknown,
    )


def _by_limits(sides: Floats, limits: tuple[float, float]) -> dict[Size, int]:
    counts = np.bincount(np.searchsorted(limits, sides, side="right"), minlength=3)
    return {size: int(count) for size, count in zip(SIZES, counts, strict=True)}


def _histogram(values: Floats, edges: Sequence[float]) -> Histogram:
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return Histogram(edges=tuple(edges), counts=tuple(map(int, np.bincount(bins, minlength=len(edges) - 1))))
