"""How far two mixes are apart: the Jensen-Shannon distance, without what chance alone would make of it.

It is the square root of the Jensen-Shannon divergence in bits (J. Lin, Divergence measures based on the Shannon
entropy, IEEE Transactions on Information Theory 37, 1991): 0 for the same mix, 1 for two that share nothing. The
population stability index would be the other choice, but a class that only one side has makes it infinite, or a
matter of the constant that is put in the place of zero; and below the threshold of confidence all bins are empty.

Two samples of one mix are not alike. Of the divergence that this gives, its expected value is taken off, which is that
of a chi-squared test, (kinds - 1) (1 / n + 1 / m), over 8 ln 2. Drawn samples of one mix, three boxes an image, from 50
test images and 300 live ones: 0.15 without this in the median and 0.06 with it, 0.14 in the worst of twenty.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

LEAST = 100  # detections on either side, usually; fewer say nothing


def distance(one: Counts, other: Counts, least: int = LEAST) -> float | None:
    """Return how far the mixes of two counts (kinds,) are apart, from 0 to 1; None where one of them has too little."""
    n, m = int(one.sum()), int(other.sum())
    if min(n, m) < max(1, least):
        return None
    p, q = one / n, other / m
    divergence = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
    kinds = int(np.count_nonzero(one + other))
    by_chance = (kinds - 1) * (1 / n + 1 / m) / (8 * math.log(2))
    return math.sqrt(max(0.0, divergence - by_chance))


def _entropy(mix: npt.NDArray[np.float64]) -> float:
    """Return it in bits."""
    there = mix[mix > 0]
    return float(-(there * np.log2(there)).sum())
