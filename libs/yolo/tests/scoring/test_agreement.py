"""The same boxes give the same figures as pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from labelstream_yolo.scoring.boxes import Detections, Image
from labelstream_yolo.scoring.matching import RANGES
from labelstream_yolo.scoring.measuring import measured
from labelstream_yolo.scoring.pool import pooled
from labelstream_yolo.scoring.precision import curves
from labelstream_yolo.scoring.ranking import ranked

from .drawn import NAMES, found, image, imagined, pictures, split_of
from .reference import coco_precision, mean_precision


def ours(images: list[Image], detections: list[Detections]) -> np.ndarray:
    """Our precision in pycocotools' shape."""
    pool = pooled(images, detections)
    precision = np.full((10, 101, len(NAMES), len(RANGES)), -1.0)
    for number, area in enumerate(RANGES):
        for class_id in range(len(NAMES)):
            ranking = ranked(pool, class_id, area)
            if ranking.boxes:
                precision[:, :, class_id, number] = curves(ranking)
    return precision


@given(pictures)
@settings(max_examples=150)
def test_precision_is_pycocotools_with_equal_confidences_equal_overlaps_and_empty_images(drawn):
    images, detections = split_of(drawn)
    theirs = coco_precision(images, detections, len(NAMES))
    np.testing.assert_allclose(ours(images, detections), theirs, atol=1e-9)


@pytest.mark.parametrize("skill", [0.3, 0.8, 1.0])
def test_precision_is_pycocotools_on_boxes_between_the_pixels(skill):
    images, detections = imagined(60, seed=3, skill=skill)
    theirs = coco_precision(images, detections, len(NAMES))
    np.testing.assert_allclose(ours(images, detections), theirs, atol=1e-9)


def test_the_means_are_pycocotools():
    images, detections = imagined(60, seed=4)
    score = measured("test", NAMES, images, detections, resamples=2).model.score
    theirs = mean_precision(coco_precision(images, detections, len(NAMES)))
    assert (score.map50, score.map50_95) == pytest.approx(theirs, abs=1e-9)


def test_of_an_image_only_the_300_surest_detections_count():
    wrong = [(0, (300, 300, 310 + number, 320), 0.9) for number in range(300)]
    detections = [found((0, (0, 0, 50, 50), 0.5), *wrong)]
    images = [image((0, (0, 0, 50, 50)))]
    assert measured("test", NAMES, images, detections, resamples=2).model.score.map50 == 0
    assert mean_precision(coco_precision(images, detections, 1))[0] == 0
    fewer = [found((0, (0, 0, 50, 50), 0.5), *wrong[1:])]
    assert measured("test", NAMES, images, fewer, resamples=2).model.score.map50 == pytest.approx(1 / 300)


def test_a_fuller_image_counts_as_many_detections_as_it_has_boxes():
    places = [(20 * (number % 30), 20 * (number // 30)) for number in range(400)]
    corners = [(x, y, x + 15, y + 15) for x, y in places]
    images = [image(*((0, box) for box in corners))]
    detections = [found(*((0, box, 0.5) for box in corners))]
    assert measured("test", NAMES, images, detections, resamples=2).model.score.map50_95 == 1
