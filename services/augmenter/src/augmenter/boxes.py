"""Boxes of a variant, as albumentations moved and clipped them: dropped when too small, rounded once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labelstream.labels import DECIMALS, Box

_UNIT = 10**DECIMALS


@dataclass(frozen=True)
class Minimum:
    """What a box must keep to stay in a variant; both are fractions."""

    area: float = 0.0  # of the image
    side: float = 0.0  # of the image's width and height


def settle(class_id: int, corners: Iterable[float], least: Minimum) -> Box | None:
    """Return the box of `corners` (x1, y1, x2, y2, fractions of the image), or None when it is too small.

    Its size is an even number of millionths: so its centre is a whole one, and rounding never
    pushes a corner out of the image.
    """
    x1, y1, x2, y2 = (round(min(max(float(value), 0.0), 1.0) * _UNIT) for value in corners)
    w, h = (x2 - x1) // 2 * 2, (y2 - y1) // 2 * 2
    if w <= 0 or h <= 0 or w * h < least.area * _UNIT * _UNIT or min(w, h) < least.side * _UNIT:
        return None
    return Box(class_id=class_id, x=(x1 + w // 2) / _UNIT, y=(y1 + h // 2) / _UNIT, w=w / _UNIT, h=h / _UNIT)
