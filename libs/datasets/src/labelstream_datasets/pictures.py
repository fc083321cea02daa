"""Boxes with their names, drawn into a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

Rgb = tuple[int, int, int]
_GOLDEN = 0.618034  # of the colour circle: neighbours in the class list get colours far apart
_DARK, _LIGHT = (16, 16, 16), (255, 255, 255)


@dataclass(frozen=True)
class Marked:
    """A box to draw, in pixels of the picture."""

    class_id: int
    text: str
    corners: tuple[float, float, float, float]

    def scaled(self, by: float) -> Marked:
        """Return the box for a picture that was scaled."""
        x1, y1, x2, y2 = (value * by for value in self.corners)
        return Marked(self.class_id, self.text, (x1, y1, x2, y2))


def colour_of(class_id: int) -> Rgb:
    """Return a class's colour; classes with near ids differ well."""
    red, green, blue = colorsys.hsv_to_rgb((0.04 + class_id * _GOLDEN) % 1, 0.8, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw(picture: Image.Image, boxes: Iterable[Marked], font_px: int | None = None) -> Image.Image:
    """Return a copy of the picture with the boxes; the least important ones come last."""
    drawn = picture.copy()
    size = font_px or max(11, round(min(picture.size) * 0.026))
    pen = _Pen(ImageDraw.Draw(drawn), ImageFont.load_default(size=size), max(2, size // 7), drawn.size)
    for box in reversed(list(boxes)):
        pen.box(box)
    return drawn


@dataclass
class _Pen:
    canvas: ImageDraw.ImageDraw
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    width: int
    size: tuple[int, int]

    def box(self, box: Marked) -> None:
        """Draw one box with its text above, or inside where there is no room above."""
        colour = colour_of(box.class_id)
        self.canvas.rectangle(box.corners, outline=colour, width=self.width)
        if not box.text:
            return
        left, top, right, bottom = self.canvas.textbbox((0, 0), box.text, font=self.font)
        wide, high = right - left + 6, bottom - top + 6
        x = max(0.0, min(box.corners[0], self.size[0] - wide))
        y = box.corners[1] - high if box.corners[1] >= high else box.corners[1]
        self.canvas.rectangle((x, y, x + wide, y + high), fill=colour)
        self.canvas.text((x + 3 - left, y + 3 - top), box.text, font=self.font, fill=_readable_on(colour))


def _readable_on(colour: Rgb) -> Rgb:
    red, green, blue = colour
    return _DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 130 else _LIGHT
