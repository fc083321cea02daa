"""Corners in pixels as others' files hold them: without the noise that stored labels' six decimals leave."""

from __future__ import annotations

from collections.abc import Sequence

Corners = tuple[float, float, float, float]

WHOLE = 0.01  # a corner so near a whole pixel is meant to lie on it
_ENOUGH = 3  # decimals of a corner elsewhere
_COCO = 4
_ALL = 9  # where fewer would leave a box without width or height


def corner_texts(corners: Corners) -> list[str]:
    """Return xmin, ymin, xmax, ymax as text: no corner is moved by more than WHOLE, no box loses its area."""
    axes = [_axis(corners[side], corners[side + 2]) for side in (0, 1)]
    (x1, x2), (y1, y2) = axes
    return [x1, y1, x2, y2]


def coco_box(corners: Corners) -> tuple[list[float], float]:
    """Return x, y, width, height, and the area, to four decimals; what these would make nothing stays as it is."""
    x1, y1, x2, y2 = corners
    width, height = x2 - x1, y2 - y1
    rounded = [round(value, _COCO) for value in (x1, y1)]
    sides = [round(value, _COCO) or value for value in (width, height)]
    return [*rounded, *sides], round(width * height, _COCO) or width * height


def _axis(low: float, high: float) -> Sequence[str]:
    found = [_text(value) for value in (low, high)]
    return found if found[0] != found[1] else [_trimmed(value, _ALL) for value in (low, high)]


def _text(value: float) -> str:
    return str(round(value)) if abs(value - round(value)) <= WHOLE else _trimmed(value, _ENOUGH)


def _trimmed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")
