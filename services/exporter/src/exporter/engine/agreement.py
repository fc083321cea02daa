"""How far the answers of an exported model are from those of the trained weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelstream.events.model import Agreement

MATCHING_IOU = 0.5  # two boxes that overlap less are different finds
THRESHOLD_SLACK = 0.01  # a score this close to the confidence threshold may fall on either side of it


@dataclass(frozen=True)
class Found:
    """What one model finds in one image, most confident first."""

    boxes: NDArray[np.float64]  # (n, 4) xyxy, pixels of the original image
    scores: NDArray[np.float64]  # (n,)
    classes: NDArray[np.int64]  # (n,)
    height: int
    width: int


def agreement_of(pairs: Iterable[tuple[Found, Found]], confidence: float) -> Agreement:
    """Compare what the trained weights and the exported model find in the same images.

    A box that only one side has counts as unmatched, unless its score is within `THRESHOLD_SLACK` of `confidence`.
    """
    images = boxes = unmatched = 0
    max_box_px = max_score = 0.0
    for trained, exported in pairs:
        matches = match(trained, exported)
        images += 1
        boxes += len(trained.scores)
        unmatched += _alone(trained, [i for i, _ in matches], confidence)
        unmatched += _alone(exported, [j for _, j in matches], confidence)
        for i, j in matches:
            max_box_px = max(max_box_px, float(np.abs(trained.boxes[i] - exported.boxes[j]).max()))
            max_score = max(max_score, abs(float(trained.scores[i] - exported.scores[j])))
    return Agreement(images=images, boxes=boxes, unmatched=unmatched, max_box_px=max_box_px, max_score=max_score)


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
