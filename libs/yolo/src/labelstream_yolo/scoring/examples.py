"""The images that a detector did best and worst on, to be looked at."""

from __future__ import annotations

import numpy as np

from labelstream_yolo.scoring.boxes import Detections, Floats, Image, Ints, overlaps
from labelstream_yolo.scoring.pool import Pool
from labelstream_yolo.scoring.values import Found, ImageResult

BEST = WORST = 12  # images


def examples(pool: Pool, confidence: float) -> tuple[ImageResult, ...]:
    """Return the best and the worst images, sorted from the best; among equals, those with more boxes go outwards."""
    starts = np.cumsum([0, *(len(found.class_ids) for found in pool.found)])
    results = []
    for number, (image, found) in enumerate(zip(pool.images, pool.found, strict=True)):
        sure = int((found.confidences >= confidence).sum())  # they are sorted
        met = pool.met[starts[number] : starts[number] + sure]
        results.append((number, _quality(image, found.corners[:sure], met), met))
    busy = [len(image.class_ids) for image in pool.images]
    from_best = sorted(results, key=lambda result: (-result[1], -busy[result[0]]))
    best = from_best[:BEST]
    from_worst = sorted(from_best[BEST:], key=lambda result: (result[1], -busy[result[0]]))
    chosen = [*best, *reversed(from_worst[:WORST])]
    return tuple(_result(pool.images[number], pool.found[number], quality, met) for number, quality, met in chosen)


def _quality(image: Image, corners: Floats, met: Ints) -> float:
    """Return F1 with hits weighed by their IoU; 1 where there is nothing and nothing was found."""
    boxes = len(image.class_ids) + len(corners)
    hits = np.flatnonzero(met >= 0)
    iou = overlaps(corners[hits], image.corners[met[hits]]).diagonal()
    return float(2 * iou.sum() / boxes) if boxes else 1.0


def _result(image: Image, found: Detections, quality: float, met: Ints) -> ImageResult:
    was_met = np.isin(np.arange(len(image.class_ids)), met)
    truths = [
        Found(class_id=int(class_id), corners=_fractions(corners, image), hit=bool(hit))
        for class_id, corners, hit in zip(image.class_ids, image.corners, was_met, strict=True)
    ]
    boxes = [
        Found(
            class_id=int(found.class_ids[number]),
            corners=_fractions(found.corners[number], image),
            confidence=round(float(found.confidences[number]), 4),
            hit=bool(meets >= 0),
        )
        for number, meets in enumerate(met)
    ]
    return ImageResult(image=image.name, quality=round(quality, 4), truths=tuple(truths), boxes=tuple(boxes))


def _fractions(corners: Floats, image: Image) -> tuple[float, float, float, float]:
    left, top, right, bottom = (
        round(float(value), 5) for value in corners / (image.width, image.height, image.width, image.height)
    )
    return left, top, right, bottom
