"""The report's figures: how the training went, and what a class's boxes are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from labelstream_datasets.pages.charts import MEDIUM, SMALL, Axis, Line, Mark, area, chart
from labelstream_datasets.pages.matrices import matrix
from labelstream_yolo.scoring.values import ClassScore, Confusion
from trainer.engine.contract import TrainingResult

MOST_IN_MATRIX = 80  # classes; the ones with the fewest true boxes go together beyond it
OTHERS, BACKGROUND = "others", "background"


@dataclass(frozen=True)
class Curve:
    """A figure with its title."""

    title: str
    figure: Markup


def learning_curves(result: TrainingResult) -> tuple[Curve, ...]:
    """Draw losses, validation, learning rate and speed over the epochs; best epoch and recoveries are marked."""
    history = result.history
    if not history:
        return ()
    epochs = [float(each.epoch) for each in history]
    series: dict[tuple[str, str], dict[str, list[float]]] = {
        ("Losses on train", "mean of the epoch"): {
            name: [each.losses.get(name, math.nan) for each in history] for name in history[-1].losses
        },
        ("Validation", "mAP"): {
            "mAP50": [each.map50 for each in history],
            "mAP50-95": [each.map50_95 for each in history],
        },
        ("Learning rate", "at the epoch's end"): {"learning rate": [each.learning_rate for each in history]},
        ("Speed", "images per second"): {"training": [each.images_per_s for each in history]},
    }
    return tuple(
        Curve(
            title,
            _over(result, [Line(name, list(zip(epochs, values, strict=True))) for name, values in of.items()], label),
        )
        for (title, label), of in series.items()
    )


def precision_recall(score: ClassScore, *, small: bool) -> Markup:
    """Draw a class's precision over recall at IoU 0.5."""
    last = max(1, len(score.curve) - 1)
    points = [(n / last, value) for n, value in enumerate(score.curve)]
    return area(points, f"precision over recall of {score.name}", SMALL if small else MEDIUM)


def confusion_matrix(confusion: Confusion) -> Markup:
    """Draw who was taken for whom."""
    names, counts = _gathered(confusion)
    return matrix(names, counts, "true", "predicted")


def _over(result: TrainingResult, lines: Sequence[Line], label: str) -> Markup:
    epochs = [float(each.epoch) for each in result.history]
    x = Axis.of(epochs if len(epochs) > 1 else [0, 2 * epochs[0]], "epoch", from_zero=False, whole=True)
    y = Axis.shares(label) if label == "mAP" else Axis.of([value for line in lines for _, value in line.points], label)
    best = Mark(result.best_epoch, f"best epoch {result.best_epoch}")
    again = sorted({max(x.low, float(each.epoch)) for each in result.recoveries})
    return chart(lines, x, y, [*(Mark(at, "↺", dotted=False) for at in again), best])


def _gathered(confusion: Confusion) -> tuple[list[str], list[list[int]]]:
    """Return names and counts with the background; the rarest of too many classes are summed up as one."""
    order = sorted(range(len(confusion.names)), key=lambda n: (-sum(confusion.counts[n]), n))
    kept = sorted(order[:MOST_IN_MATRIX])
    names = [confusion.names[n] for n in kept]
    place = {n: at for at, n in enumerate(kept)}
    if len(order) > len(kept):
        names.append(OTHERS)
    rest, last = len(names) - 1, len(names)
    counts = [[0] * (last + 1) for _ in range(last + 1)]
    for y, row in enumerate(confusion.counts):
        for x, count in enumerate(row):
            counts[_at(place, y, rest, last, confusion)][_at(place, x, rest, last, confusion)] += count
    return [*names, BACKGROUND], counts


def _at(place: Mapping[int, int], n: int, rest: int, last: int, confusion: Confusion) -> int:
    return last if n == len(confusion.names) else place.get(n, rest)
