"""Figures that can be worked out by hand."""

from __future__ import annotations

import pytest

from labelstream_yolo.scoring.boxes import Detections, Image
from labelstream_yolo.scoring.measuring import measured
from labelstream_yolo.scoring.summary import metrics_of
from labelstream_yolo.scoring.values import Evaluation

from .drawn import NAMES, found, image

HERE, THERE, ELSEWHERE = (0, 0, 100, 100), (200, 200, 300, 300), (400, 400, 500, 500)


def evaluation(images: list[Image], detections: list[Detections]) -> Evaluation:
    return measured("test", NAMES, images, detections, resamples=50).model


def test_what_finds_everything_scores_one():
    said = evaluation([image((0, HERE), (1, THERE))], [found((0, HERE, 0.9), (1, THERE, 0.6))])
    score = said.score
    assert (score.map50, score.map50_95, score.precision, score.recall) == (1, 1, 1, 1)
    assert (score.images, score.boxes) == (1, 2)
    assert said.confidence < 0.6


def test_what_finds_nothing_scores_zero():
    score = evaluation([image((0, HERE))], [found()]).score
    assert (score.map50, score.map50_95, score.precision, score.recall) == (0, 0, 0, 0)


def test_a_wrong_box_between_two_right_ones_lowers_the_second_half():
    said = evaluation([image((0, HERE), (0, THERE))], [found((0, HERE, 0.9), (0, ELSEWHERE, 0.8), (0, THERE, 0.7))])
    # up to recall 0.50 the precision is 1: 51 of the 101 recalls; then it is 2 of 3
    assert said.score.map50 == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert said.classes[0].curve[50:52] == (1.0, 0.66667)


def test_a_box_found_twice_is_wrong_once():
    said = evaluation([image((0, HERE), (0, THERE))], [found((0, HERE, 0.9), (0, HERE, 0.8))])
    assert said.score.map50 == pytest.approx(51 / 101)


def test_a_loose_box_counts_up_to_its_overlap():
    score = evaluation([image((0, HERE))], [found((0, (0, 0, 100, 60), 0.9))]).score  # an IoU of 0.6
    assert (score.map50, score.map50_95) == (1, pytest.approx(0.3))  # at 0.50, 0.55 and 0.60


def test_a_class_without_true_boxes_has_no_figures_and_stays_out_of_the_mean():
    said = evaluation([image((0, HERE))], [found((0, HERE, 0.9), (2, THERE, 0.95))])
    assert [some.map50 for some in said.classes] == [1, None, None]
    assert said.score.map50 == 1
    assert metrics_of(said).per_class == {"car": 1}


def test_without_any_true_box_there_is_no_figure():
    said = evaluation([image(), image(name="b.jpg")], [found(), found((0, HERE, 0.9))])
    assert (said.score.images, said.score.boxes, said.score.map50) == (2, 0, None)
    assert said.score.map50_interval is None
    assert metrics_of(said).map50 == 0


def test_the_operating_point_lies_amid_the_confidences_with_the_best_f1():
    images = [image((0, HERE), (0, THERE))]
    said = evaluation(images, [found((0, HERE, 0.9), (0, THERE, 0.8), (0, ELSEWHERE, 0.3))])
    assert said.confidence == pytest.approx(0.55, abs=0.01)
    assert (said.score.precision, said.score.recall) == (1, 1)


def test_a_class_that_is_silent_at_the_operating_point_has_no_precision():
    many = [(0, (60 * number, 0, 60 * number + 50, 50)) for number in range(8)]
    wrong = [(1, (60 * number, 300, 60 * number + 50, 350), 0.4) for number in range(8)]
    false_cars = [(0, (60 * number, 200, 60 * number + 50, 250), 0.35) for number in range(8)]
    cars = [(class_id, corners, 0.9) for class_id, corners in many]
    bus = (1, (0, 500, 50, 550), 0.3)
    said = evaluation([image(*many, (1, bus[1]))], [found(*cars, *wrong, *false_cars, bus)])
    assert said.confidence > 0.4
    assert (said.classes[1].precision, said.classes[1].recall) == (0, 0)
    assert said.score.precision == pytest.approx(0.5)
