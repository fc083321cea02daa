from __future__ import annotations

import numpy as np
import pytest

from exporter.engine.agreement import Found, agreement_of, iou


def found(*boxes: tuple[float, float, float, float, float, int]) -> Found:
    rows = np.array(boxes, dtype=np.float64).reshape(-1, 6)
    return Found(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), height=100, width=200)


def agreement(one: Found, other: Found, confidence: float = 0.25):
    return agreement_of([(one, other)], confidence)


def test_equal_answers_agree_completely():
    same = found((10, 10, 50, 50, 0.9, 0), (60, 10, 90, 40, 0.6, 1))
    assert agreement(same, same).model_dump() == {
        "images": 1,
        "boxes": 2,
        "unmatched": 0,
        "max_box_px": 0.0,
        "max_score": 0.0,
    }


def test_the_largest_differences_of_matched_pairs_are_told():
    one = found((10, 10, 50, 50, 0.9, 0), (60, 10, 90, 40, 0.6, 1))
    other = found((10, 10, 50, 53, 0.88, 0), (60, 10, 91, 40, 0.65, 1))
    told = agreement(one, other)
    assert told.max_box_px == pytest.approx(3)
    assert told.max_score == pytest.approx(0.05)


def test_a_box_of_another_class_or_elsewhere_is_unmatched_on_both_sides():
    one = found((10, 10, 50, 50, 0.9, 0), (60, 10, 90, 40, 0.6, 1))
    other = found((10, 10, 50, 50, 0.9, 1), (160, 10, 190, 40, 0.6, 1))
    assert agreement(one, other).unmatched == 4


def test_one_box_is_matched_to_one_only():
    one = found((10, 10, 50, 50, 0.9, 0))
    other = found((10, 10, 50, 50, 0.9, 0), (11, 10, 50, 50, 0.8, 0))
    assert agreement(one, other).unmatched == 1
    assert agreement(one, other).max_box_px == 0


def test_the_best_overlap_is_matched_first():
    one = found((10, 10, 50, 50, 0.9, 0), (14, 10, 54, 50, 0.8, 0))
    other = found((14, 10, 54, 50, 0.8, 0), (10, 10, 50, 50, 0.9, 0))
    assert agreement(one, other).max_box_px == 0


@pytest.mark.parametrize(("score", "unmatched"), [(0.255, 0), (0.27, 1)])
def test_a_lone_box_at_the_threshold_does_not_count(score, unmatched):
    assert agreement(found((10, 10, 50, 50, score, 0)), found()).unmatched == unmatched
    assert agreement(found(), found((10, 10, 50, 50, score, 0))).unmatched == unmatched


def test_images_without_any_box_agree():
    assert agreement_of([(found(), found())] * 3, 0.25).images == 3


def test_overlap_is_shared_area_over_joined_area():
    one = np.array([[0.0, 0, 10, 10]])
    other = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [5, 5, 5, 5]])
    assert iou(one, other)[0] == pytest.approx([1, 1 / 3, 0, 0])
