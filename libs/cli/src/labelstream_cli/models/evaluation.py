"""What the commands about models read of a training's `evaluation.json`; the trainer writes more than this."""

from __future__ import annotations

from pydantic import ValidationError

from labelstream.blobs.ports import Blobs
from labelstream.blobs.rewriting import read_rewritten
from labelstream.errors import Rejected
from labelstream.events.training import Interval, TrainingFinished
from labelstream.values import Value


class ClassScore(Value):
    """A class in the test."""

    class_id: int
    name: str
    images: int = 0
    boxes: int = 0
    map50: float | None = None
    map50_95: float | None = None
    precision: float | None = None
    recall: float | None = None
    map50_interval: Interval | None = None
    map50_95_interval: Interval | None = None


class Found(Value):
    """A box in an image, true or predicted."""

    class_id: int
    corners: tuple[float, float, float, float]  # x1 y1 x2 y2, fractions of the image's sides
    confidence: float | None = None
    hit: bool = True


class ImageResult(Value):
    """What was found in one test image, and what is there."""

    image: str  # file name in the test's folder
    quality: float
    truths: tuple[Found, ...] = ()
    boxes: tuple[Found, ...] = ()


class Evaluation(Value):
    """A detector on the test."""

    classes: tuple[ClassScore, ...] = ()
    confidence: float = 0.0  # the operating point


class _Champion(Value):
    evaluation: Evaluation


class Tested(Value):
    """A training's test: the new weights, and the champion's on the same images."""

    model: Evaluation
    champion: _Champion | None = None
    images: tuple[ImageResult, ...] = ()


async def read_evaluation(data: Blobs, trained: TrainingFinished | None) -> Tested | str:
    """Return a training's evaluation, or why there is none. Raises Unavailable."""
    if trained is None:
        return "its training is not in training-events"
    if trained.evaluation is None:
        return "its training left none"
    try:
        return Tested.model_validate_json(await read_rewritten(data, trained.evaluation))
    except Rejected as error:
        return error.reason
    except ValidationError:
        return f"{trained.evaluation.key} is no evaluation"
