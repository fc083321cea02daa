"""Draws what was found into an image: boxes, names and confidences, readable at every size."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import cv2
import numpy as np

from inference.engine.geometry import Found, Pixels
from labelstream.errors import Rejected

QUALITY = 92  # of the JPEG
LONGEST_SIDE = 65_500  # pixels; of what libjpeg writes
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GOLDEN = 0.618_033_988_75  # its multiples, without their whole part, lie far from each other
_SMALLEST_SCALE = 0.4  # of the font: below nobody can read it
_LONGEST_NAME = 40

Colour = tuple[int, int, int]  # BGR


def draw(image: Pixels, found: Found, names: tuple[str, ...]) -> bytes:
    """Draw into `image`, the most confident on top; return it as a JPEG file. Raises Rejected when none is so large."""
    if max(image.shape[:2]) > LONGEST_SIDE:
        raise Rejected(
            "image.too_long_to_draw",
            f"the image is {image.shape[1]} × {image.shape[0]} pixels; a JPEG file has {LONGEST_SIDE} a side at most",
            "Ask for the boxes alone, or send the image in parts.",
        )
    width = max(1, round(min(image.shape[:2]) / 300))
    scale = max(_SMALLEST_SCALE, min(image.shape[:2]) / 1200)
    for box, score, class_id in reversed(list(zip(found.boxes, found.scores, found.classes, strict=True))):
        left, top, right, bottom = (round(float(value)) for value in box)
        colour = colour_of(int(class_id))
        cv2.rectangle(image, (left, top), (right, bottom), colour, width, cv2.LINE_AA)
        _label(image, f"{_plain(names[class_id])} {score:.2f}", (left, top), colour, scale)
    _, file = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return file.tobytes()


@lru_cache(maxsize=1024)
def colour_of(class_id: int) -> Colour:
    """Return the colour of a class: always the same, and unlike those of its neighbours."""
    hue = (class_id * _GOLDEN) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 0.9 if class_id % 2 else 1.0)
    return round(blue * 255), round(green * 255), round(red * 255)


def _label(image: Pixels, text: str, corner: tuple[int, int], colour: Colour, scale: float) -> None:
    """Write on a ground of the box's colour: above the corner, or below it at the upper edge; never outside."""
    height, width = image.shape[:2]
    thickness = max(1, round(scale * 1.5))
    (wide, high), below = cv2.getTextSize(text, _FONT, scale, thickness)
    pad = max(1, high // 4)
    left = max(0, min(corner[0], width - wide - 2 * pad))
    top = corner[1] - high - below - 2 * pad
    top = max(0, min(corner[1], height - high - below - 2 * pad) if top < 0 else top)
    right, bottom = left + wide + 2 * pad, top + high + below + 2 * pad
    cv2.rectangle(image, (left, top), (right, bottom), colour, cv2.FILLED)
    light = np.dot(colour, (0.114, 0.587, 0.299)) > 140
    ink = (0, 0, 0) if light else (255, 255, 255)
    cv2.putText(image, text, (left + pad, top + pad + high), _FONT, scale, ink, thickness, cv2.LINE_AA)


def _plain(name: str) -> str:
    """Return a name without what can't be drawn."""
    shown = "".join(each if each.isprintable() else "?" for each in name)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 3]}..."
