"""How far two mixes are apart, as a number that somebody can set a limit to."""

from __future__ import annotations

import numpy as np
import pytest

from inference.drift.distance import LEAST, distance

MIX = np.array([0.5, 0.3, 0.15, 0.05])


def drawn(size: int, mix: np.ndarray = MIX, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).multinomial(size, mix)


def test_the_same_mix_is_not_apart_whatever_was_counted():
    assert distance(np.array([500, 300, 0]), np.array([5000, 3000, 0])) == 0


def test_mixes_that_share_nothing_are_as_far_apart_as_can_be():
    assert distance(np.array([100_000, 0]), np.array([0, 100_000])) == pytest.approx(1, abs=1e-3)


def test_a_known_pair_has_the_distance_that_its_definition_gives():
    one, other = np.array([9_000_000, 1_000_000]), np.array([5_000_000, 5_000_000])
    # m = (0.7, 0.3): H(m) 0.88129, H(one) 0.46900, H(other) 1; divergence 0.14679 bits
    assert distance(one, other) == pytest.approx(0.14679**0.5, abs=1e-4)


def test_it_does_not_matter_which_side_is_which():
    one, other = drawn(300), drawn(700, MIX[::-1])
    assert distance(one, other) == distance(other, one)


def test_a_class_that_only_one_side_has_is_no_reason_for_infinity():
    assert 0.05 < distance(np.array([900, 100]), np.array([1000, 0])) < 0.4


@pytest.mark.parametrize("size", [LEAST, 1000])
def test_samples_of_one_mix_are_near_and_those_of_another_far(size):
    same = [distance(drawn(size, seed=seed), drawn(2000, seed=100 + seed)) for seed in range(50)]
    moved = [distance(drawn(size, MIX[::-1], seed), drawn(2000, seed=100 + seed)) for seed in range(50)]
    assert np.median(same) < 0.05
    assert max(same) < 0.2
    assert min(moved) > 0.35


@pytest.mark.parametrize("sides", [(LEAST - 1, 1000), (1000, LEAST - 1), (0, 0)], ids=["live", "tested", "nothing"])
def test_too_little_on_either_side_says_nothing(sides):
    assert distance(drawn(sides[0]), drawn(sides[1])) is None
