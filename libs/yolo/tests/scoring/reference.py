"""What pycocotools says of the same boxes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from labelstream_yolo.scoring.boxes import Detections, Image


def coco_precision(
    images: Sequence[Image], detections: Sequence[Detections], classes: int, most: int = 300
) -> np.ndarray:
    """Return the precision at each threshold, recall, class and range of areas, (10, 101, classes, 4); -1: no boxes.

    COCO's own figures count 100 detections of an image and class; here it is `most`, as a YOLO validation has it.
    """
    truths = [
        _annotation(number, class_id, corners)
        for number, image in enumerate(images)
        for class_id, corners in zip(image.class_ids, image.corners, strict=True)
    ]
    found = [
        _annotation(number, class_id, corners) | {"score": float(confidence)}
        for number, some in enumerate(detections)
        for class_id, corners, confidence in zip(some.class_ids, some.corners, some.confidences, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(truths, len(images), classes), _coco(found, len(images), classes), "bbox")
        evaluation.params.maxDets = [most]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][..., 0]


def mean_precision(precision: np.ndarray) -> tuple[float, float]:
    """Return mAP50 and mAP50-95 over all areas."""
    every = precision[..., 0]
    known = (every > -1).all(axis=(0, 1))
    return float(every[0][:, known].mean()), float(every[..., known].mean())


def _annotation(number: int, class_id: int, corners: Sequence[float]) -> dict:
    left, top, right, bottom = map(float, corners)
    width, height = right - left, bottom - top
    box = [left, top, width, height]
    return {"image_id": number, "category_id": int(class_id), "bbox": box, "area": width * height, "iscrowd": 0}


def _coco(annotations: Sequence[dict], images: int, classes: int) -> COCO:
    dataset = COCO()
    dataset.dataset = {
        "images": [{"id": number} for number in range(images)],
        "categories": [{"id": class_id} for class_id in range(classes)],
        "annotations": list(_numbered(annotations)),
    }
    dataset.createIndex()
    return dataset


def _numbered(annotations: Sequence[dict]) -> Iterator[dict]:
    for number, annotation in enumerate(annotations, 1):  # 0 means nothing to pycocotools
        yield annotation | {"id": number}
