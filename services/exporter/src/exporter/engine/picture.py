"""Draws what two models find in one image, for somebody who has to judge a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from exporter.engine.agreement import Found, match
from exporter.engine.pixels import read_pixels

LEAST_SIDE = 640  # pixels; smaller images are enlarged, larger ones stay
TRAINED, EXPORTED = (80, 200, 60), (230, 60, 230)  # blue, green, red
WIDE, THIN = 4, 2  # pixels; where both sides draw the same box, both are seen
GREY, DARK = (200, 200, 200), (24, 24, 24)
FONT, LINE = cv2.FONT_HERSHEY_SIMPLEX, 22

Picture = NDArray[np.uint8]


def draw_difference(image: Path, trained: Found, exported: Found, name: str, names: Sequence[str], out: Path) -> None:
    """Write a PNG of `image` with both sides' boxes and a legend; `name` is the format's, `names` the classes'."""
    pixels = read_pixels(image)
    scale = max(1.0, LEAST_SIDE / max(pixels.shape[:2]))
    canvas: Picture = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    pairs = match(trained, exported)
    _draw(canvas, trained, {i for i, _ in pairs}, _Pen(TRAINED, WIDE, scale, names, above=True))
    _draw(canvas, exported, {j for _, j in pairs}, _Pen(EXPORTED, THIN, scale, names, above=False))
    legend = _legend(canvas.shape[1], len(trained.scores), len(exported.scores), name)
    if not cv2.imwrite(str(out), np.vstack([canvas, legend])):
        raise OSError(f"{out} could not be written")


@dataclass(frozen=True)
class _Pen:
    """How one side's boxes are drawn."""

    colour: tuple[int, int, int]
    thickness: int
    scale: float
    names: Sequence[str]
    above: bool  # the words stand above the box


def _draw(canvas: Picture, found: Found, paired: set[int], pen: _Pen) -> None:
    for number, (corners, score, class_id) in enumerate(zip(found.boxes, found.scores, found.classes, strict=True)):
        x1, y1, x2, y2 = (round(float(value) * pen.scale) for value in corners)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), pen.colour, pen.thickness)
        if number not in paired:
            cv2.line(canvas, (x1, y1), (x2, y2), pen.colour, pen.thickness)
            cv2.line(canvas, (x1, y2), (x2, y1), pen.colour, pen.thickness)
        bottom = max(16, y1 - 6) if pen.above else min(canvas.shape[0] - 6, y2 + 18)
        _write(canvas, f"{pen.names[int(class_id)]} {score:.3f}", (x1, bottom), pen.colour)


def _write(canvas: Picture, text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    (width, height), below = cv2.getTextSize(text, FONT, 0.5, 1)
    x, y = place
    cv2.rectangle(canvas, (x - 2, y - height - 2), (x + width + 2, y + below), DARK, cv2.FILLED)
    cv2.putText(canvas, text, place, FONT, 0.5, colour, 1, cv2.LINE_AA)


def _legend(width: int, trained: int, exported: int, name: str) -> Picture:
    lines = [
        (TRAINED, f"trained weights: {trained} boxes"),
        (EXPORTED, f"{name}: {exported} boxes"),
        (GREY, "crossed out: the other side has no such box"),
    ]
    legend: Picture = np.full((LINE * len(lines) + 8, width, 3), DARK[0], dtype=np.uint8)
    for number, (colour, text) in enumerate(lines, start=1):
        _write(legend, text, (8, LINE * number - 4), colour)
    return legend
