"""What an annotation has to keep to. Every rule has an id that never changes its meaning."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.labels import Box, Shape
from labelstream.wire.submission import RawBox, shown

RULES = {
    "message.undecodable": "the message is AMQP 1.0 with a MessagePack body",
    "message.unknown_type": "the message says a type that is known",
    "message.malformed": "the body has the fields of its type",
    "labels.not_json": "Azaion's detections are a JSON list",
    "name.missing": "the annotation has a name",
    "image.missing": "a creation brings its image",
    "image.bytes": "the image file is not too large",
    "image.pixels": "the image does not have too many pixels",
    "image.format": "the image is a JPEG, PNG, WebP, TIFF or BMP file",
    "image.undecodable": "the image decodes",
    "image.decoder_crashed": "the image does not crash the decoder",
    "image.decoder_timeout": "the image decodes in time",
    "box.not_finite": "a box's numbers are finite",
    "box.degenerate": "a box has a width and a height",
    "box.outside": "a box lies inside the image, within a tolerance",
    "class.unknown": "a box's class is in the project's schema",
    "annotation.unknown": "an edit without an image follows its creation",
    "trust.may_not_validate": "a validation comes from an input stream that may validate",
}


@dataclass(frozen=True)
class BoxRules:
    """The rules for the boxes of one input stream."""

    schema: ClassSchema
    tolerance: float  # in sides of the image

    def shapes(self, boxes: Iterable[RawBox]) -> tuple[Shape, ...]:
        """Return the boxes as they are stored. Raises Rejected at the first that breaks a rule."""
        return tuple(self._shape(number, box) for number, box in enumerate(boxes))

    def _shape(self, number: int, raw: RawBox) -> Shape:
        _finite(number, raw)
        box = Box(
            class_id=self._class_id(number, raw.cls), x=raw.x, y=raw.y, w=raw.w, h=raw.h, confidence=raw.confidence
        )
        corners = box.corners()
        if min(corners) < -self.tolerance or max(corners) > 1 + self.tolerance:
            raise Rejected(
                "box.outside",
                f"box {number} spans {_spans(corners)} of the image's width and height",
                "Send centre and size as fractions of the image (0 to 1), after its EXIF orientation is applied.",
            )
        if min(corners) < 0 or max(corners) > 1:
            x1, y1, x2, y2 = (min(max(value, 0.0), 1.0) for value in corners)
            cut = Box.from_corners(box.class_id, x1, y1, x2, y2)
            box = cut.model_copy(update={"confidence": box.confidence})
        box = box.rounded()
        if box.w <= 0 or box.h <= 0:
            raise Rejected(
                "box.degenerate", f"box {number} is {raw.w} wide and {raw.h} high", "Leave out boxes without an area."
            )
        return box

    def _class_id(self, number: int, said: int | str) -> int:
        known = self.schema.classes
        found = self.schema.id_of(said) if isinstance(said, str) else said if 0 <= said < len(known) else None
        if found is None:
            raise Rejected(
                "class.unknown",
                f"box {number} has the class {shown(said)}",
                f"The schema {self.schema.name} (version {self.schema.version}) has: "
                + ", ".join(f"{i} {name}" for i, name in enumerate(known)),
            )
        return found


def _finite(number: int, raw: RawBox) -> None:
    values = (raw.x, raw.y, raw.w, raw.h, 0.0 if raw.confidence is None else raw.confidence)
    if not all(math.isfinite(value) for value in values):
        raise Rejected("box.not_finite", f"box {number} is {values[:4]}", "Send numbers, neither NaN nor infinite.")
    if raw.w < 0 or raw.h < 0:
        raise Rejected(
            "box.degenerate",
            f"box {number} is {raw.w} wide and {raw.h} high",
            "Send a positive width and height beside the box's centre.",
        )


def _spans(corners: tuple[float, float, float, float]) -> str:
    x1, y1, x2, y2 = corners
    return f"{x1:.4g} to {x2:.4g} and {y1:.4g} to {y2:.4g}"
