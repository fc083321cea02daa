"""How far the answers of an exported model are from those of the trained weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

MATCHING_IOU = 0.5  # two boxes that overlap less are different finds
THRESHOLD_SLACK = 0.01  # a score this close to the confidence threshold may fall on either side of it
PX_OF_SCORE = 100.0  # a score that is off by 0.01 is as bad as a corner that is off by a pixel: so are the limits


@dataclass(frozen=True)
class Found:
    """What one model finds in one image, most confident first."""

    boxes: NDArray[np.float64]  # (n, 4) xyxy, pixels of the original image
    scores: NDArray[np.float64]  # (n,)
    classes: NDArray[np.int64]  # (n,)
    height: int
    width: int

    def above(self, confidence: float) -> Found:
        """Return what is at least so certain."""
        sure = self.scores >= confidence
        return replace(self, boxes=self.boxes[sure], scores=self.scores[sure], classes=self.classes[sure])


@dataclass(frozen=True)
class Deviation:
    """How far two answers about one image are apart."""

    boxes: int  # of the trained weights
    unmatched: int  # boxes of either side without a partner
    box_px: float  # largest corner difference of a matched pair, in pixels of the network's square
    score: float  # largest score difference of a matched pair


def deviation(trained: Found, exported: Sequence[Found], confidence: float, side: int) -> Deviation:
    """Compare what the trained weights find in an image with each answer of the exported model; the worst counts.

    A box that only one side has counts as unmatched, unless its score is within `THRESHOLD_SLACK` of `confidence`.
    Boxes are compared in pixels of the square of `side` that the network sees: images of any size are measured alike.
    """
    each = [_between(trained.above(confidence), answer.above(confidence), confidence, side) for answer in exported]
    return Deviation(
        boxes=each[0].boxes,
        unmatched=max(one.unmatched for one in each),
        box_px=max(one.box_px for one in each),
        score=max(one.score for one in each),
    )


def worst_of(deviations: Sequence[Deviation]) -> int:
    """Return which is the worst: with the most unmatched boxes; among equals, where boxes and scores moved most."""
    return max(
        range(len(deviations)),
        key=lambda n: (deviations[n].unmatched, deviations[n].box_px + PX_OF_SCORE * deviations[n].score, -n),
    )


def _between(trained: Found, exported: Found, confidence: float, side: int) -> Deviation:
    matches = match(trained, exported)
    scale = side / max(trained.width, trained.height)
    alone = _alone(trained, [i for i, _ in matches], confidence) + _alone(exported, [j for _, j in matches], confidence)
    return Deviation(
        boxes=len(trained.scores),
        unmatched=alone,
        box_px=_largest(np.abs(trained.boxes[i] - exported.boxes[j]).max() for i, j in matches) * scale,
        score=_largest(abs(trained.scores[i] - exported.scores[j]) for i, j in matches),
    )


def match(one: Found, other: Found) -> list[tuple[int, int]]:
    """Pair boxes of the same class one to one, those that overlap most first; return their indices."""
    overlap = iou(one.boxes, other.boxes)
    overlap[one.classes[:, None] != other.classes[None, :]] = 0.0
    matches: list[tuple[int, int]] = []
    while overlap.size and overlap.max() >= MATCHING_IOU:
        i, j = divmod(int(overlap.argmax()), overlap.shape[1])
        matches.append((i, j))
        overlap[i, :] = overlap[:, j] = 0.0
    return matches


def iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the overlap of every box of `one` (n, 4) with every box of `other` (m, 4), as (n, m)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    sizes = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(axis=1) for b in (one, other)]
    union = sizes[0][:, None] + sizes[1][None, :] - shared
    overlap: NDArray[np.float64] = shared / np.where(union > 0, union, 1.0)
    return overlap


def _alone(found: Found, matched: list[int], confidence: float) -> int:
    alone = np.delete(found.scores, matched)
    return int((alone >= confidence + THRESHOLD_SLACK).sum())


def _largest(values: Iterable[float]) -> float:
    return float(max(values, default=0.0))
