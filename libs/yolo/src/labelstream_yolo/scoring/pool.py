"""All images of a split in flat arrays: the detections sorted, matched, ready to be counted in any way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labelstream_yolo.scoring.boxes import Bools, Detections, Floats, Image, Ints
from labelstream_yolo.scoring.matching import RANGES, THRESHOLDS, Matches, match, within

MOST = 300  # detections of an image over all classes: what a YOLO validation asks for


@dataclass(frozen=True)
class Pool:
    """The boxes of a split, image after image, and in each image the surest detection first."""

    images: tuple[Image, ...]
    found: tuple[Detections, ...]  # of each image
    of_image: Ints  # (d,) the image of each detection
    class_ids: Ints  # (d,)
    confidences: Floats  # (d,)
    within: Bools  # (ranges, d)
    place: Ints  # (d,) where the detection stands in `right` and `ignored`; -1: it meets nothing at any threshold
    right: Bools  # (ranges, thresholds, k)
    ignored: Bools  # (ranges, thresholds, k)
    met: Ints  # (d,) the true box, counted within its image, at the first threshold; -1: none
    truth_of_image: Ints  # (t,)
    truth_class_ids: Ints  # (t,)
    truth_within: Bools  # (ranges, t)


def pooled(images: Sequence[Image], detections: Sequence[Detections]) -> Pool:
    """Match every image. As many detections of an image count as the fullest image has boxes, but 300 at least."""
    most = max([MOST, *(len(image.class_ids) for image in images)])
    found = tuple(some.surest(most) for some in detections)
    matches = [match(image, some) for image, some in zip(images, found, strict=True)]
    place, met = _places(found, matches)
    shape = (len(RANGES), len(THRESHOLDS), 0)
    no_matches = np.zeros(shape, dtype=bool)
    return Pool(
        images=tuple(images),
        found=found,
        of_image=np.repeat(np.arange(len(found)), [len(some.class_ids) for some in found]),
        class_ids=_joined_numbers([some.class_ids for some in found]),
        confidences=np.concatenate([np.zeros(0), *(some.confidences for some in found)]),
        within=within(_joined_corners([some.corners for some in found])),
        place=place,
        right=np.concatenate([no_matches, *(some.right for some in matches)], axis=2),
        ignored=np.concatenate([no_matches, *(some.ignored for some in matches)], axis=2),
        met=met,
        truth_of_image=np.repeat(np.arange(len(images)), [len(image.class_ids) for image in images]),
        truth_class_ids=_joined_numbers([image.class_ids for image in images]),
        truth_within=within(_joined_corners([image.corners for image in images])),
    )


def _places(found: Sequence[Detections], matches: Sequence[Matches]) -> tuple[Ints, Ints]:
    starts = np.cumsum([0, *(len(some.class_ids) for some in found)])
    near = _joined_numbers([some.near + start for some, start in zip(matches, starts, strict=False)])
    place, met = np.full(starts[-1], -1), np.full(starts[-1], -1)
    place[near] = np.arange(len(near))
    met[near] = _joined_numbers([some.met for some in matches])
    return place, met


def _joined_numbers(parts: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, dtype=np.intp), *parts])


def _joined_corners(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.zeros((0, 4)), *parts])
