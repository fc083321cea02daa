"""Labels: the shapes that an annotation puts on an image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from labelstream.values import Value, digest_of

DECIMALS = 6  # a millionth of an image's side is below any annotator's hand, and survives text formats


class Box(Value):
    """An axis-aligned box: centre and size as fractions of the image's width and height."""

    shape: Literal["box"] = "box"
    class_id: int = Field(alias="class", ge=0)
    x: float
    y: float
    w: float
    h: float
    confidence: float | None = None

    @classmethod
    def from_corners(cls, class_id: int, x1: float, y1: float, x2: float, y2: float) -> Box:
        """Make a box from its corners, in fractions of the image's size."""
        return cls(class_id=class_id, x=(x1 + x2) / 2, y=(y1 + y2) / 2, w=x2 - x1, h=y2 - y1)

    def corners(self) -> tuple[float, float, float, float]:
        """Return (x1, y1, x2, y2) in fractions of the image's size."""
        return self.x - self.w / 2, self.y - self.h / 2, self.x + self.w / 2, self.y + self.h / 2

    def rounded(self) -> Box:
        """Return the box as it is stored, at `DECIMALS` decimals."""
        x, y, w, h = (round(v, DECIMALS) for v in (self.x, self.y, self.w, self.h))
        return self.model_copy(update={"x": x, "y": y, "w": w, "h": h})


Shape = Box  # the union of tagged shapes; others join it when a task needs them


def labels_digest(shapes: Iterable[Shape]) -> str:
    """Return the digest of a set of labels; order and confidence do not matter, geometry and class do."""
    return digest_of(sorted([s.shape, s.class_id, s.x, s.y, s.w, s.h] for s in (s.rounded() for s in shapes)))


def yolo_lines(shapes: Iterable[Shape]) -> str:
    """Return the labels as the lines of a YOLO label file: class, centre and size as fractions."""
    return "".join(f"{s.class_id} {s.x:.6f} {s.y:.6f} {s.w:.6f} {s.h:.6f}\n" for s in shapes)
