"""How far a figure may lie from the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelstream_yolo.scoring import resampled
from labelstream_yolo.scoring.boxes import Detections, Image
from labelstream_yolo.scoring.evaluating import evaluated
from labelstream_yolo.scoring.measuring import Other, measured
from labelstream_yolo.scoring.pool import pooled
from labelstream_yolo.scoring.precision import curves
from labelstream_yolo.scoring.ranking import ranked
from labelstream_yolo.scoring.resampling import Resampling, interval

from .drawn import NAMES, imagined, pictures, split_of


@given(pictures, st.data())
def test_an_image_that_weighs_twice_counts_as_if_it_were_there_twice(drawn, data):
    images, detections = _told_apart(*split_of(drawn))
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(images), max_size=len(images)))
    pool = pooled(images, detections)
    drawn_pool = pooled(*_repeated(images, detections, weights))
    for class_id in range(len(NAMES)):
        for area in ("all", "small"):
            ranking = ranked(pool, class_id, area)
            if not ranking.boxes:
                continue
            weighed = resampled.average_precisions(ranking, np.array(weights, dtype=np.float32)[:, None])[:, 0]
            repeated = ranked(drawn_pool, class_id, area)
            if repeated.boxes:
                np.testing.assert_allclose(weighed, curves(repeated).mean(axis=1), atol=1e-5)
            else:
                assert np.isnan(weighed).all()


def _told_apart(images: list[Image], detections: list[Detections]) -> tuple[list, list]:
    """No two confidences are equal: which of them comes first would depend on where a repeated image stands."""
    counts = np.cumsum([0, *(len(some.class_ids) for some in detections)])
    apart = [
        replace(some, confidences=some.confidences + 1e-4 * (first + np.arange(len(some.class_ids))))
        for some, first in zip(detections, counts, strict=False)
    ]
    return images, apart


def _repeated(images: list[Image], detections: list[Detections], weights: list[int]) -> tuple[list, list]:
    pairs = [
        pair for pair, weight in zip(zip(images, detections, strict=True), weights, strict=True) for _ in range(weight)
    ]
    return [some for some, _ in pairs], [some for _, some in pairs]


@pytest.mark.parametrize("area", ["all", "medium"])
def test_a_long_ranking_cut_into_steps_gives_nearly_what_it_gives_uncut(area, monkeypatch):
    images, detections = imagined(900, seed=9)
    ranking = ranked(pooled(images, detections), 0, area)
    weights = next(Resampling.of(images, 200).weights())
    in_steps = resampled.average_precisions(ranking, weights)
    monkeypatch.setattr(resampled, "MOST_STEPS", 1_000_000)
    uncut = resampled.average_precisions(ranking, weights)
    assert ranking.right[0].sum() > 200
    true = curves(ranking).mean(axis=1)
    for figure, some, other in (
        (true[0], in_steps[0], uncut[0]),
        (true.mean(), in_steps.mean(axis=0), uncut.mean(axis=0)),
    ):
        expected, said = interval(figure, other), interval(figure, some)
        little = 0.05 * (expected.high - expected.low)
        assert (said.low, said.high) == pytest.approx((expected.low, expected.high), abs=little)


def test_the_same_predictions_have_the_same_intervals_in_whatever_order_they_come():
    images, detections = imagined(40, seed=10)
    backwards = measured("test", NAMES, images[::-1], detections[::-1], resamples=100)
    assert measured("test", NAMES, images, detections, resamples=100) == backwards


def test_an_interval_holds_its_figure_and_narrows_with_more_images():
    few, many = (measured("test", NAMES, *imagined(count, seed=11), resamples=300).model for count in (40, 640))
    for said in (few, many):
        for score in (said.score, *said.classes, *said.slices):
            assert score.map50_interval.low <= score.map50 <= score.map50_interval.high
            assert score.map50_95_interval.low <= score.map50_95 <= score.map50_95_interval.high
    widths = [said.score.map50_interval.high - said.score.map50_interval.low for said in (few, many)]
    assert widths[1] < widths[0] / 2


def test_the_true_figure_lies_in_most_intervals():
    """The world is 1500 images, and each sample 100 of them."""
    world, seen = imagined(1500, seed=12)
    truth = evaluated("test", NAMES, world, seen, Resampling.of(world, 2)).evaluation.score
    held = {"map50": 0, "map50_95": 0}
    samples = 60
    for number in range(samples):
        chosen = np.random.default_rng(number).integers(0, len(world), 100)
        images = [world[some] for some in chosen]
        said = evaluated("test", NAMES, images, [seen[some] for some in chosen], Resampling(number, 100, 200))
        score = said.evaluation.score
        held["map50"] += score.map50_interval.low <= truth.map50 <= score.map50_interval.high
        held["map50_95"] += score.map50_95_interval.low <= truth.map50_95 <= score.map50_95_interval.high
    assert all(0.83 * samples <= count < samples for count in held.values()), held  # 95, but for chance


def test_a_model_does_not_differ_from_itself():
    images, detections = imagined(40, seed=13)
    said = measured("test", NAMES, images, detections, Other("champion", detections), resamples=100)
    assert said.champion.evaluation == said.model
    assert said.champion.difference == 0
    assert (said.champion.difference_interval.low, said.champion.difference_interval.high) == (0, 0)


def test_pairs_tell_models_apart_whose_own_intervals_overlap():
    images, detections = imagined(150, seed=14)
    random = np.random.default_rng(0)
    worse = [_without(some, random.random(len(some.class_ids)) < 0.93) for some in detections]
    said = measured("test", NAMES, images, detections, Other("champion", worse, ("van",)), resamples=300)
    assert said.model.score.map50_interval.low < said.champion.evaluation.score.map50_interval.high
    assert said.champion.difference == pytest.approx(said.model.score.map50 - said.champion.evaluation.score.map50)
    assert 0 < said.champion.difference_interval.low < said.champion.difference
    assert said.champion.unknown_classes == ("van",)
    assert said.champion.evaluation.score.boxes == said.model.score.boxes


def _without(found: Detections, kept: np.ndarray) -> Detections:
    return Detections(found.corners[kept], found.class_ids[kept], found.confidences[kept])


def test_without_true_boxes_there_are_no_intervals():
    assert interval(0.5, np.array([np.nan, np.nan])) is None
    assert interval(None, np.array([0.5])) is None
