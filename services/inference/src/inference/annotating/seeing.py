"""What a model's answer about an image becomes: boxes in the words of the project. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from labelstream.annotating import Failed
from labelstream.classes import ClassSchema
from labelstream.client import Detection, Prediction
from labelstream.labels import DECIMALS
from labelstream.values import Sha256, Value
from labelstream.wire.limits import MAX_BOXES

_SMALLEST = 10.0**-DECIMALS  # a side that would be stored as 0


class SeenBox(Value):
    """A box that a model drew: centre and size as fractions of the image."""

    name: str = Field(description="as the project's class schema spells it")
    confidence: float
    x: float
    y: float
    w: float
    h: float

    def as_message(self) -> dict[str, Any]:
        """Return the box as an annotation message spells it."""
        return {"class": self.name, **self.model_dump(exclude={"name"})}


class Seen(Value):
    """What a model saw in an image."""

    file: str
    medium: str | None
    key: str = Field(description="where the image lies in the incoming bucket")
    sha256: Sha256
    model: str
    boxes: tuple[SeenBox, ...] = Field(description="the most confident first")
    foreign: tuple[tuple[str, float], ...] = Field((), description="classes that the project has not, and confidences")

    def above(self, confidence: float) -> tuple[SeenBox, ...]:
        """Return the boxes that are published."""
        return tuple(box for box in self.boxes if box.confidence >= confidence)[:MAX_BOXES]

    def skipped(self, confidence: float) -> Mapping[str, int]:
        """Return how many boxes would be published, were their classes known."""
        return Counter(name for name, sure in self.foreign if sure >= confidence)


class Portion(Value):
    """What became of some images of the list, in its order."""

    seen: tuple[Seen, ...]
    failed: tuple[Failed, ...]


def boxes_of(prediction: Prediction, schema: ClassSchema) -> tuple[tuple[SeenBox, ...], tuple[tuple[str, float], ...]]:
    """Return an answer's boxes with the project's classes, and the rest; letter case does not matter."""
    boxes: list[SeenBox] = []
    foreign: list[tuple[str, float]] = []
    for found in prediction.detections:
        class_id = schema.id_of(found.name)
        if class_id is None:
            foreign.append((found.name, found.confidence))
        elif (box := _box(found, schema.classes[class_id])) is not None:
            boxes.append(box)
    return tuple(boxes), tuple(foreign)


def _box(found: Detection, name: str) -> SeenBox | None:
    """Return a box as it is inside the image; None when nothing of it is."""
    corners = (found.normalized.x1, found.normalized.y1, found.normalized.x2, found.normalized.y2)
    x1, y1, x2, y2 = (min(max(value, 0.0), 1.0) for value in corners)
    if min(x2 - x1, y2 - y1) < _SMALLEST:
        return None
    x, y, w, h = (round(value, DECIMALS) for value in ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
    return SeenBox(name=name, confidence=found.confidence, x=x, y=y, w=w, h=h)
