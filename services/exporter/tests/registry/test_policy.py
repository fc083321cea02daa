"""The policy's verdicts, each with its numbers."""

from __future__ import annotations

import pytest

from exporter.registry.policy import PromotionPolicy, Verdict, on_better, on_first
from labelstream.champions import Compared
from labelstream.events.training import Interval, Metrics

from .registry_world import exported, metrics

OLD = metrics(0.5, {"car": 0.6, "truck": 0.4})


def against(new: Metrics, old: Metrics = OLD, **more: object) -> Compared:
    return Compared("c4" * 16, new, old, **{"how": "measured", **more})


def judged(new: Metrics, policy: PromotionPolicy | None = None, **more: object) -> Verdict:
    return on_better(against(new, **more), policy or PromotionPolicy())


def test_a_better_model_is_promoted_with_both_figures_in_the_reason() -> None:
    verdict = judged(metrics(0.53, {"car": 0.6, "truck": 0.46}))
    assert verdict.promote
    assert verdict.reason == (
        "mAP50-95 0.530 against 0.500 of model c4c4c4c4c4c4 on the same 40 test images (+0.030), "
        "and no class fell by more than 0.05"
    )


@pytest.mark.parametrize("gain", [0.0, -0.02], ids=["equal", "worse"])
def test_without_a_gain_it_is_not_promoted(gain: float) -> None:
    verdict = judged(metrics(0.5 + gain, {"car": 0.6, "truck": 0.4}))
    assert not verdict.promote
    assert verdict.reason.endswith(": a gain is asked")


@pytest.mark.parametrize(("reached", "promote"), [(0.519, False), (0.52, True), (0.53, True)], ids=str)
def test_the_gain_that_is_asked_for_is_enough_and_less_is_not(reached: float, promote: bool) -> None:
    verdict = judged(metrics(reached), PromotionPolicy(min_gain=0.02))
    assert verdict.promote is promote
    assert promote or "a gain of at least 0.02 is asked" in verdict.reason


def test_a_class_that_falls_too_far_keeps_a_better_model_from_service() -> None:
    verdict = judged(metrics(0.55, {"car": 0.8, "truck": 0.3}))
    assert not verdict.promote
    assert "but a class may fall by 0.05 at most: truck from 0.400 to 0.300" in verdict.reason


def test_a_class_may_fall_by_the_limit_itself() -> None:
    assert judged(metrics(0.55, {"car": 0.8, "truck": 0.35})).promote


def test_a_fall_within_the_champions_interval_is_chance() -> None:
    found = against(metrics(0.55, {"car": 0.8, "truck": 0.3}))
    wide, narrow = {"truck": Interval(low=0.25, high=0.5)}, {"truck": Interval(low=0.35, high=0.45)}
    assert on_better(found, PromotionPolicy(), wide).promote
    verdict = on_better(found, PromotionPolicy(), narrow)
    assert not verdict.promote
    assert "truck from 0.400 to 0.300, below 0.350 … 0.450" in verdict.reason


def test_intervals_of_other_images_excuse_nothing() -> None:
    found = against(metrics(0.55, {"car": 0.8, "truck": 0.3}), how="published", note="each on its own test")
    assert not on_better(found, PromotionPolicy(), {"truck": Interval(low=0.1, high=0.5)}).promote


def test_a_class_that_the_new_test_does_not_show_has_fallen_altogether() -> None:
    verdict = judged(metrics(0.7, {"car": 0.7}), unmeasured={"bus": 0.31})
    assert not verdict.promote
    assert "bus from 0.310 to not tested" in verdict.reason
    assert judged(metrics(0.7, {"car": 0.7}), unmeasured={"bus": 0.03}).promote


def test_of_many_fallen_classes_the_deepest_three_are_named() -> None:
    old = metrics(0.5, {f"class {n}": 0.6 for n in range(5)})
    new = metrics(0.6, {f"class {n}": 0.5 - n / 100 for n in range(5)})
    reason = judged(new, old=old).reason
    assert "class 4 from 0.600 to 0.460; class 3" in reason
    assert reason.endswith("class 2 from 0.600 to 0.480 and 2 more")


def test_figures_of_different_images_are_compared_and_said_to_be() -> None:
    verdict = judged(metrics(0.6), how="published", note="each on its own test (40 and 30 images: none was measured)")
    assert verdict.promote
    assert "each on its own test (40 and 30 images" in verdict.reason


def test_a_first_model_that_finds_nothing_is_not_promoted() -> None:
    verdict = on_first(exported("a", 0.004), PromotionPolicy())
    assert verdict == (False, "the project's first model, mAP50-95 0.004: at least 0.01 is asked of it")
    assert on_first(exported("a", 0.01), PromotionPolicy()).promote


def test_where_promotion_is_by_hand_the_verdict_says_what_may_serve() -> None:
    by_hand = PromotionPolicy(promotion="by-hand")
    verdict = judged(metrics(0.6), by_hand)
    assert not verdict.promote
    assert verdict.reason.startswith("it may serve (mAP50-95 0.600 against 0.500")
    assert verdict.reason.endswith("but promotion is by hand here")
    assert not on_first(exported("a", 0.5), by_hand).promote
    assert "a gain is asked" in judged(metrics(0.4), by_hand).reason
