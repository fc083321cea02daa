"""The figures of the page: statistics as plots."""

from __future__ import annotations

import math
from itertools import pairwise

from markupsafe import Markup

from labelstream_datasets.pages import figures, percent
from labelstream_datasets.pages.figures import Bar
from labelstream_datasets.statistics.model import BoxFigures, Histogram, Statistics
from labelstream_datasets.statistics.shapes import FRACTIONS


def of(statistics: Statistics) -> dict[str, Markup]:
    """Draw what the page shows."""
    boxes = statistics.boxes
    return {
        "sides": _sides(boxes.sides),
        "aspects": _aspects(boxes.aspects),
        "per_image": _per_image(boxes),
        "centres": figures.heatmap(boxes.centres, "boxes"),
    }


def _sides(found: Histogram) -> Markup:
    bars = [
        Bar(count, f"{percent(low)} to {percent(high)} of the image's side")
        for (low, high), count in zip(pairwise(found.edges), found.counts, strict=True)
    ]
    ticks = {_place(found, at): percent(at) for at in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)}
    small, medium = FRACTIONS
    return figures.histogram(bars, ticks, {_place(found, small): "medium", _place(found, medium): "large"})


def _aspects(found: Histogram) -> Markup:
    bars = [
        Bar(count, f"{low:.2f} to {high:.2f}")
        for (low, high), count in zip(pairwise(found.edges), found.counts, strict=True)
    ]
    ticks = {_place(found, 2.0**power): f"1:{2**-power}" if power < 0 else f"{2**power}:1" for power in range(-3, 4)}
    return figures.histogram(bars, ticks, {_place(found, 1): "square"})


def _per_image(boxes: BoxFigures) -> Markup:
    found = boxes.per_image
    spans = [(int(low), int(high) - 1) for low, high in pairwise(found.edges)]
    names = [f"{low}" if low == high else f"{low}–{high}" for low, high in spans]
    names[-1] = f"{spans[-1][0]}+"
    last = max((number for number, count in enumerate(found.counts) if count), default=0)
    shown = max(5, last + 1)
    bars = [Bar(count, f"{name} boxes") for name, count in zip(names, found.counts, strict=True)][:shown]
    every = -(-shown // 12)
    ticks = {number + 0.5: name for number, name in enumerate(names[:shown]) if number % every == 0}
    return figures.histogram(bars, ticks)


def _place(found: Histogram, value: float) -> float:
    """Return where a value stands, in bars from the left; the edges grow by one factor."""
    first, last = math.log(found.edges[0]), math.log(found.edges[-1])
    return (math.log(value) - first) / (last - first) * len(found.counts)
