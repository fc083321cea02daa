"""Boxes of a variant: clipped to the image, dropped when too small, rounded once."""

from __future__ import annotations

from labelstream.labels import DECIMALS, Box

_UNIT = 10**DECIMALS


def settle(class_id: int, corners: tuple[float, float, float, float], min_area: float) -> Box | None:
    """Return the box of `corners` (x1, y1, x2, y2 in fractions), or None when less than `min_area` is left of it.

    Its size is an even number of millionths: so its centre is a whole one, and rounding never
    pushes a corner out of the image.
    """
    x1, y1, x2, y2 = (round(min(max(v, 0.0), 1.0) * _UNIT) for v in corners)
    w, h = (x2 - x1) // 2 * 2, (y2 - y1) // 2 * 2
    if w <= 0 or h <= 0 or w * h < min_area * _UNIT * _UNIT:
        return None
    return Box(class_id=class_id, x=(x1 + w // 2) / _UNIT, y=(y1 + h // 2) / _UNIT, w=w / _UNIT, h=h / _UNIT)
