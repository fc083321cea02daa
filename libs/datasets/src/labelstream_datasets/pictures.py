"""Boxes with their names, drawn into a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Rgb = tuple[int, int, int]
Line = Literal["solid", "dashed", "crossed"]  # crossed: solid, with both diagonals
_GOLDEN = 0.618034  # of the colour circle: neighbours in the class list get colours far apart
_DARK, _LIGHT = (16, 16, 16), (255, 255, 255)


@dataclass(frozen=True)
class Marked:
    """A box to draw, in pixels of the picture."""

    class_id: int
    text: str
    corners: tuple[float, float, float, float]
    line: Line = "solid"

    def scaled(self, by: float) -> Marked:
        """Return the box for a picture that was scaled."""
        x1, y1, x2, y2 = (value * by for value in self.corners)
        return replace(self, corners=(x1, y1, x2, y2))


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
        self._outline(box, colour)
        if not box.text:
            return
        left, top, right, bottom = self.canvas.textbbox((0, 0), box.text, font=self.font)
        wide, high = right - left + 6, bottom - top + 6
        x = max(0.0, min(box.corners[0], self.size[0] - wide))
        y = box.corners[1] - high if box.corners[1] >= high else box.corners[1]
        self.canvas.rectangle((x, y, x + wide, y + high), fill=colour)
        self.canvas.text((x + 3 - left, y + 3 - top), box.text, font=self.font, fill=_readable_on(colour))

    def _outline(self, box: Marked, colour: Rgb) -> None:
        x1, y1, x2, y2 = box.corners
        if box.line == "crossed":
            for diagonal in ((x1, y1, x2, y2), (x1, y2, x2, y1)):
                self.canvas.line(diagonal, fill=colour, width=max(1, self.width // 2))
        if box.line != "dashed":
            self.canvas.rectangle(box.corners, outline=colour, width=self.width)
            return
        for a, b in _dashes(x1, x2, self.width):
            for y in (y1, y2):
                self.canvas.line((a, y, b, y), fill=colour, width=self.width)
        for a, b in _dashes(y1, y2, self.width):
            for x in (x1, x2):
                self.canvas.line((x, a, x, b), fill=colour, width=self.width)


def _dashes(start: float, end: float, width: int) -> Iterator[tuple[float, float]]:
    """Cut a side into dashes, one at each end."""
    whole = max(1, round((end - start) / (width * 5)))
    step = (end - start) / (whole * 5 - 2) if whole > 1 else 0
    if not step:
        yield start, end
        return
    for number in range(whole):
        yield start + number * 5 * step, start + (number * 5 + 3) * step


def _readable_on(colour: Rgb) -> Rgb:
    red, green, blue = colour
    return _DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 130 else _LIGHT
