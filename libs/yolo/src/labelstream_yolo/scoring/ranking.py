"""The detections of one class in the order of their confidence, as average precision needs them.

Most detections of a validation meet nothing at any threshold. They are wrong everywhere and stand for nothing but a
count between the others, so they are kept apart: what is cumulated again and again is short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelstream_yolo.scoring.boxes import Bools, Floats, Ints
from labelstream_yolo.scoring.matching import RANGES
from labelstream_yolo.scoring.pool import Pool


@dataclass(frozen=True)
class Ranking:
    """The detections of a class, the surest first; its true boxes by image. Rows: those that overlap a true box."""

    of_image: Ints  # (rows,)
    confidences: Floats  # (rows,)
    right: Bools  # (thresholds, rows)
    ignored: Bools  # (thresholds, rows)
    wrong_of_image: Ints  # (w,) of the detections that meet nothing
    wrong_confidences: Floats  # (w,)
    wrong_before: Ints  # (rows,) how many of them stand before each row
    truths: Ints  # (images,) true boxes

    @property
    def boxes(self) -> int:
        """How many true boxes there are to find."""
        return int(self.truths.sum())

    def at(self, confidence: float) -> tuple[int, int]:
        """Count what is right and what is wrong at or above `confidence`, at the first threshold."""
        rows = self.confidences >= confidence
        right = int((self.right[0] & rows).sum())
        counted = int((~self.ignored[0] & rows).sum())
        return right, counted - right + int((self.wrong_confidences >= confidence).sum())


def ranked(pool: Pool, class_id: int, area: str = "all", only: Ints | None = None) -> Ranking:
    """Rank the detections of a class, in a range of areas, in all images or `only` in those with these numbers."""
    chosen = np.isin(np.arange(len(pool.images)), only) if only is not None else np.ones(len(pool.images), dtype=bool)
    number = RANGES.index(area)
    mine = np.flatnonzero((pool.class_ids == class_id) & chosen[pool.of_image])
    mine = mine[np.argsort(-pool.confidences[mine], kind="stable")]
    is_row = pool.place[mine] >= 0
    is_wrong = ~is_row & pool.within[number, mine]
    rows, wrong = mine[is_row], mine[is_wrong]
    true = (pool.truth_class_ids == class_id) & pool.truth_within[number] & chosen[pool.truth_of_image]
    return Ranking(
        of_image=pool.of_image[rows],
        confidences=pool.confidences[rows],
        right=pool.right[number][:, pool.place[rows]],
        ignored=pool.ignored[number][:, pool.place[rows]],
        wrong_of_image=pool.of_image[wrong],
        wrong_confidences=pool.confidences[wrong],
        wrong_before=np.cumsum(is_wrong)[is_row],
        truths=np.bincount(pool.truth_of_image[true], minlength=len(pool.images)),
    )
