"""How far answers may differ before a model is refused."""

from __future__ import annotations

import numpy as np
import pytest

from inference.engine.geometry import Found, Letterbox, Size
from inference.engine.golden import differs
from labelstream.bundle import GoldenSet, Thresholds

ALLOWED = GoldenSet(images=(), max_box_px=1.0, max_score=0.01)
THRESHOLDS = Thresholds(confidence=0.25)


def found(*detections: tuple[float, float, int]) -> Found:
    """Boxes of 10 pixels at (left, score, class)."""
    boxes = np.array([[x, 0, x + 10, 10] for x, _, _ in detections], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score, _ in detections], np.float32)
    return Found(boxes, scores, np.array([each for _, _, each in detections], np.int64))


def test_answers_within_the_tolerance_agree_in_any_order() -> None:
    expected = found((0, 0.9, 0), (50, 0.8, 1))
    assert differs(expected, found((50.9, 0.805, 1), (0.5, 0.895, 0)), ALLOWED, THRESHOLDS) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (found((1.5, 0.9, 0)), "no box of class 0 near"),
        (found((0, 0.87, 0)), "scores 0.870 where 0.900"),
        (found((0, 0.9, 1)), "no box of class 0 near"),
        (found(), "no box of class 0 near"),
        (found((0, 0.9, 0), (30, 0.7, 1)), "unexpected box of class 1 scores 0.700"),
        (found((0, 0.9, 0), (0, 0.9, 0)), "unexpected box of class 0"),
    ],
)
def test_an_answer_beyond_the_tolerance_is_named(answer: Found, said: str) -> None:
    assert said in (differs(found((0, 0.9, 0)), answer, ALLOWED, THRESHOLDS) or "")


def test_a_detection_at_the_threshold_may_come_and_go() -> None:
    assert differs(found((0, 0.255, 0)), found(), ALLOWED, THRESHOLDS) is None
    assert differs(found(), found((0, 0.255, 0)), ALLOWED, THRESHOLDS) is None
    assert differs(found(), found((0, 0.27, 0)), ALLOWED, THRESHOLDS) is not None


@pytest.mark.parametrize("size", [(64, 64), (63, 64), (640, 480), (3, 500), (1281, 721)])
def test_a_letterbox_leads_there_and_back(size: tuple[int, int]) -> None:
    fit = Letterbox.of(Size(*size), 128)
    right, bottom = fit.left + fit.inner.width, fit.top + fit.inner.height
    assert right <= 128
    assert bottom <= 128
    inner = np.array([[fit.left, fit.top, right, bottom]], np.float32)
    assert fit.to_image(inner)[0] == pytest.approx([0, 0, *size], abs=1e-3)


def test_boxes_are_clipped_to_the_image() -> None:
    fit = Letterbox.of(Size(128, 64), 128)
    assert fit.to_image(np.array([[-5, 0, 200, 200]], np.float32))[0].tolist() == [0, 0, 128, 64]
