"""What goes into a network and what comes out of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inference.engine.geometry import Letterbox, Size
from inference.engine.inputs import as_bytes, as_floats
from inference.engine.outputs import NoNumber, from_raw, from_suppressed
from labelstream.bundle import Thresholds

SIDE = 64
WHOLE = Letterbox.of(Size(SIDE, SIDE), SIDE)
SIZES = [(64, 64), (63, 64), (128, 40), (40, 128), (500, 3), (65, 65), (7, 5)]  # width, height


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_image_lies_in_the_square_with_grey_around_it(size: tuple[int, int]) -> None:
    image = picture(*size)
    prepared = as_bytes(image, SIDE)
    fit = prepared.letterbox
    inner = (slice(fit.top, fit.top + fit.inner.height), slice(fit.left, fit.left + fit.inner.width))
    resized = cv2.resize(image, (fit.inner.width, fit.inner.height), interpolation=cv2.INTER_LINEAR)
    assert (prepared.tensor[inner] == resized).all()
    around = np.ones((SIDE, SIDE), bool)
    around[inner] = False
    assert (prepared.tensor[around] == 114).all()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_floats_are_the_bytes_divided_by_255_with_red_first(size: tuple[int, int]) -> None:
    image = picture(*size)
    expected = as_bytes(image, SIDE).tensor[:, :, ::-1].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    assert (as_floats(image, SIDE).tensor == expected).all()


def test_a_view_into_a_larger_image_is_taken_as_it_is() -> None:
    image = picture(200, 200)
    view = image[10:110, 20:90]
    assert (as_bytes(view, SIDE).tensor == as_bytes(view.copy(), SIDE).tensor).all()


def raw_of(*boxes: tuple[float, float, float, tuple[float, ...]], candidates: int = 50) -> np.ndarray:
    """Boxes of 10 pixels at (x, y) with scores of each class, at every third candidate."""
    classes = len(boxes[0][3])
    raw = np.zeros((4 + classes, candidates), np.float32)
    for number, (x, y, size, scores) in enumerate(boxes):
        raw[:, 3 * number] = [x, y, size, size, *scores]
    return raw


def test_each_candidate_counts_in_its_best_class() -> None:
    raw = raw_of((20, 20, 10, (0.3, 0.8)), (50, 50, 10, (0.9, 0.3)))
    found = from_raw(raw, WHOLE, Thresholds(confidence=0.25))
    assert found.classes.tolist() == [0, 1]
    assert found.scores.tolist() == pytest.approx([0.9, 0.8])
    assert found.boxes.tolist() == [[45, 45, 55, 55], [15, 15, 25, 25]]


def test_overlaps_are_suppressed_within_a_class_and_not_between_classes() -> None:
    raw = raw_of((20, 20, 10, (0.9, 0)), (21, 20, 10, (0.8, 0)), (20, 21, 10, (0, 0.7)))
    found = from_raw(raw, WHOLE, Thresholds(confidence=0.25, iou=0.45))
    assert [(int(c), round(float(s), 2)) for c, s in zip(found.classes, found.scores, strict=True)] == [
        (0, 0.9),
        (1, 0.7),
    ]


def test_a_score_at_the_threshold_is_no_detection() -> None:
    assert len(from_raw(raw_of((20, 20, 10, (0.25, 0))), WHOLE, Thresholds(confidence=0.25))) == 0


@pytest.mark.parametrize("confidence", [0.0005, 0.3, 0.9, 0.9999])
def test_candidates_are_those_whose_best_score_is_above_the_threshold(confidence: float) -> None:
    rng = np.random.default_rng(4)
    raw = rng.random((9, 300), np.float32)
    raw[:2] *= 1000  # far apart: nothing is suppressed
    raw[2:4] = 1e-3
    found = from_raw(raw, Letterbox.of(Size(1000, 1000), 1000), Thresholds(confidence=confidence, max_detections=1000))
    expected = raw[4:].max(axis=0)
    assert sorted(found.scores.tolist()) == sorted(expected[expected > confidence].tolist())


def test_nothing_found_is_an_empty_answer() -> None:
    for found in (
        from_raw(np.zeros((6, 100), np.float32), WHOLE, Thresholds()),
        from_suppressed(np.zeros((300, 6), np.float32), WHOLE, Thresholds()),
    ):
        assert len(found) == 0
        assert found.boxes.shape == (0, 4)


def test_a_graph_that_suppresses_can_be_asked_for_less_but_not_for_more() -> None:
    rows = np.zeros((300, 6), np.float32)
    rows[:3] = [[10, 10, 20, 20, 0.9, 1], [13, 10, 23, 20, 0.8, 1], [40, 40, 50, 50, 0.3, 0]]
    assert len(from_suppressed(rows, WHOLE, Thresholds(confidence=0.1, iou=0.7))) == 3
    assert from_suppressed(rows, WHOLE, Thresholds(confidence=0.5, iou=0.7)).classes.tolist() == [1, 1]
    assert from_suppressed(rows, WHOLE, Thresholds(confidence=0.1, iou=0.3)).scores.tolist() == pytest.approx(
        [0.9, 0.3]
    )
    assert len(from_suppressed(rows, WHOLE, Thresholds(confidence=0.1, iou=0.7, max_detections=1))) == 1


@pytest.mark.parametrize("read", [from_raw, from_suppressed])
def test_a_score_that_is_no_number_is_a_fault_and_not_an_empty_answer(read) -> None:
    answer = np.zeros((6, 6), np.float32)
    answer[4, 4] = np.nan
    with pytest.raises(NoNumber):
        read(answer, WHOLE, Thresholds())
