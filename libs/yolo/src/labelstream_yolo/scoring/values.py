"""What is known of a detector once it was measured on a split."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labelstream.events.training import Interval
from labelstream.values import Split, Value

SliceKind = Literal["mode", "size", "source"]


class Score(Value):
    """Average precision as COCO defines it (101 points, IoU 0.50 to 0.95), and what holds at the operating point."""

    images: int
    boxes: int = Field(description="true boxes")
    map50: float | None = Field(description="null: there are no true boxes to find")
    map50_95: float | None
    precision: float | None = Field(description="at the evaluation's confidence, mean over the classes")
    recall: float | None = Field(description="at the evaluation's confidence, mean over the classes")
    map50_interval: Interval | None = None
    map50_95_interval: Interval | None = None


class ClassScore(Score):
    """The score of one class; its curve is precision at recalls 0, 0.01 … 1, at IoU 0.5."""

    class_id: int
    name: str
    curve: tuple[float, ...] = ()


class SliceScore(Score):
    """The score on a part of the split: boxes of a weather mode or a size, or images of one source medium."""

    by: SliceKind
    name: str


class Confusion(Value):
    """Who was taken for whom, at IoU 0.5 and the evaluation's confidence."""

    names: tuple[str, ...] = Field(description="the classes; the last row and column are the background")
    counts: tuple[tuple[int, ...], ...] = Field(description="(classes + 1)², rows: true, columns: predicted")


class Found(Value):
    """A box in an image, true or predicted."""

    class_id: int
    corners: tuple[float, float, float, float] = Field(description="x1 y1 x2 y2, fractions of the image's sides")
    confidence: float | None = Field(None, description="null: a true box")
    hit: bool = Field(True, description="a predicted box that meets a true one, or a true one that was met")


class ImageResult(Value):
    """One image's boxes at the operating point."""

    image: str = Field(description="file name in the split's folder of images")
    quality: float = Field(
        description="0 … 1: F1 of the image's boxes, weighed by the IoU of its hits; sorts the best from the worst"
    )
    truths: tuple[Found, ...]
    boxes: tuple[Found, ...] = Field(description="at or above the operating confidence")


class Evaluation(Value):
    """A detector, measured on a split."""

    split: Split
    score: Score
    confidence: float = Field(description="the operating point: where the mean F1 of the classes is best")
    classes: tuple[ClassScore, ...]
    slices: tuple[SliceScore, ...]
    confusion: Confusion
    resamples: int = Field(description="bootstrap samples of the images behind each interval")


class Comparison(Value):
    """Another model, measured on the same images in the same run."""

    model: str
    evaluation: Evaluation
    difference: float = Field(description="mAP50 of the new weights less the other model's")
    difference_interval: Interval | None = Field(None, description="of pairs: both models on the same resampled images")
    unknown_classes: tuple[str, ...] = Field(
        (), description="classes of the dataset that the other model does not know"
    )


class Tested(Value):
    """Everything that a training's test says; the content of `evaluation.json`."""

    model: Evaluation
    champion: Comparison | None = None
    champion_missing: str | None = Field(None, description="why the model in service could not be measured")
    images: tuple[ImageResult, ...] = Field((), description="the best and the worst, sorted from the best")
