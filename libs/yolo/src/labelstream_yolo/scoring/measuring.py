"""Measures a detector on the images of a split, and another one on the very same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labelstream.values import Split
from labelstream_yolo.scoring.boxes import Detections, Image
from labelstream_yolo.scoring.evaluating import Evaluated, evaluated
from labelstream_yolo.scoring.examples import examples
from labelstream_yolo.scoring.resampling import Resampling, interval
from labelstream_yolo.scoring.values import Comparison, Tested

RESAMPLES = 1000


@dataclass(frozen=True)
class Other:
    """What another detector found in the same images, in the same classes."""

    model: str
    detections: Sequence[Detections]
    unknown_classes: tuple[str, ...] = ()  # that it can't find


def measured(
    split: Split,
    names: Sequence[str],
    images: Sequence[Image],
    detections: Sequence[Detections],
    other: Other | None = None,
    resamples: int = RESAMPLES,
) -> Tested:
    """Evaluate what a detector, and maybe another, found in each of `images`; `names` are the classes, by id.

    The order of the images does not matter.
    """
    order = sorted(range(len(images)), key=lambda number: images[number].name)
    sorted_images = [images[number] for number in order]
    resampling = Resampling.of(sorted_images, resamples)

    def evaluate(found: Sequence[Detections]) -> Evaluated:
        return evaluated(split, names, sorted_images, [found[number] for number in order], resampling)

    ours = evaluate(detections)
    champion = _compared(ours, evaluate(other.detections), other) if other is not None else None
    return Tested(model=ours.evaluation, champion=champion, images=examples(ours.pool, ours.evaluation.confidence))


def _compared(ours: Evaluated, theirs: Evaluated, other: Other) -> Comparison:
    difference = (ours.evaluation.score.map50 or 0.0) - (theirs.evaluation.score.map50 or 0.0)
    return Comparison(
        model=other.model,
        evaluation=theirs.evaluation,
        difference=difference,
        difference_interval=interval(difference, ours.map50 - theirs.map50, least=-1),
        unknown_classes=other.unknown_classes,
    )
