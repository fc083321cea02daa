from __future__ import annotations

import numpy as np
import pytest

from exporter.engine.agreement import Deviation, Found, deviation, iou, worst_of

SIDE = 200  # of the network's square: as wide as the images


def found(*boxes: tuple[float, float, float, float, float, int]) -> Found:
    rows = np.array(boxes, dtype=np.float64).reshape(-1, 6)
    return Found(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), height=100, width=200)


def apart(one: Found, *others: Found, confidence: float = 0.25, side: int = SIDE) -> Deviation:
    return deviation(one, others, confidence, side)


def test_equal_answers_agree_completely():
    same = found((10, 10, 50, 50, 0.9, 0), (60, 10, 90, 40, 0.6, 1))
    assert apart(same, same) == Deviation(boxes=2, unmatched=0, box_px=0.0, score=0.0)


def test_the_largest_differences_of_matched_pairs_are_told():
    one = found((10, 10, 50, 50, 0.9, 0), (60, 10, 90, 40, 0.6, 1))
    other = found((10, 10, 50, 53, 0.88, 0), (60, 10, 91, 40, 0.65, 1))
    told = apart(one, other)
    assert told.box_px == pytest.approx(3)
    assert told.score == pytest.approx(0.05)


def test_boxes_are_compared_in_pixels_of_the_networks_square():
    one, other = found((10, 10, 50, 50, 0.9, 0)), found((10, 10, 50, 53, 0.9, 0))
    assert apart(one, other, side=100).box_px == pytest.approx(1.5)


def test_a_box_of_another_class_or_elsewhere_is_unmatched_on_both_sides():
    one = found((10, 10, 50, 50, 0.9, 0), (60, 10, 90, 40, 0.6, 1))
    other = found((10, 10, 50, 50, 0.9, 1), (160, 10, 190, 40, 0.6, 1))
    assert apart(one, other).unmatched == 4


def test_one_box_is_matched_to_one_only():
    one = found((10, 10, 50, 50, 0.9, 0))
    other = found((10, 10, 50, 50, 0.9, 0), (11, 10, 50, 50, 0.8, 0))
    assert apart(one, other).unmatched == 1
    assert apart(one, other).box_px == 0


def test_the_best_overlap_is_matched_first():
    one = found((10, 10, 50, 50, 0.9, 0), (14, 10, 54, 50, 0.8, 0))
    other = found((14, 10, 54, 50, 0.8, 0), (10, 10, 50, 50, 0.9, 0))
    assert apart(one, other).box_px == 0


@pytest.mark.parametrize(("score", "unmatched"), [(0.255, 0), (0.27, 1)])
def test_a_lone_box_at_the_threshold_does_not_count(score, unmatched):
    assert apart(found((10, 10, 50, 50, score, 0)), found()).unmatched == unmatched
    assert apart(found(), found((10, 10, 50, 50, score, 0))).unmatched == unmatched


def test_boxes_below_the_threshold_are_not_compared():
    low = found((10, 10, 50, 50, 0.2, 0))
    assert apart(low, found()) == Deviation(boxes=0, unmatched=0, box_px=0.0, score=0.0)


def test_of_several_answers_about_an_image_the_worst_counts():
    one = found((10, 10, 50, 50, 0.9, 0))
    told = apart(one, one, found(), found((10, 10, 50, 52, 0.9, 0)), found((10, 10, 50, 50, 0.8, 0)))
    assert told.unmatched == 1
    assert told.box_px == pytest.approx(2)
    assert told.score == pytest.approx(0.1)


def test_the_worst_image_has_most_unmatched_boxes_then_the_largest_differences():
    calm, moved, torn = Deviation(3, 0, 0.1, 0.01), Deviation(3, 0, 5.0, 0.02), Deviation(3, 1, 0.2, 0.0)
    assert worst_of([calm, moved, torn]) == 2
    assert worst_of([calm, moved]) == 1
    assert worst_of([calm, calm]) == 0
    assert worst_of([Deviation(0, 0, 0.0, 0.0)]) == 0


def test_overlap_is_shared_area_over_joined_area():
    one = np.array([[0.0, 0, 10, 10]])
    other = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [5, 5, 5, 5]])
    assert iou(one, other)[0] == pytest.approx([1, 1 / 3, 0, 0])
