"""The things in the scenes, seen from above: coloured polygons around (0, 0) that look along x, in pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]  # (n, 2) x and y
Colour = tuple[float, float, float]  # blue, green, red, 0 to 255
Silhouette = Callable[[np.random.Generator, Colour], list["Part"]]

DARK: Colour = (52, 48, 44)


@dataclass(frozen=True)
class Part:
    """One filled outline; later parts lie on earlier ones."""

    outline: Points
    colour: Colour


def shade(colour: Colour, by: float) -> Colour:
    """Return a colour made darker (below 1) or lighter (above 1)."""
    blue, green, red = (min(max(channel * by, 0.0), 255.0) for channel in colour)
    return blue, green, red


def rectangle(x1: float, y1: float, x2: float, y2: float, round_by: float = 0.0) -> Points:
    """Return a rectangle whose corners are cut by `round_by`."""
    cut = min(round_by, (x2 - x1) / 2, (y2 - y1) / 2)
    corners = [
        (x1 + cut, y1), (x2 - cut, y1), (x2, y1 + cut), (x2, y2 - cut),
        (x2 - cut, y2), (x1 + cut, y2), (x1, y2 - cut), (x1, y1 + cut),
    ]  # fmt: skip
    return np.array(corners, np.float64)


def circle(radius: float, x: float = 0.0, y: float = 0.0, corners: int = 28) -> Points:
    """Return a circle as a polygon."""
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def _car(rng: np.random.Generator, paint: Colour) -> list[Part]:
    length = rng.uniform(23, 31)
    half, half_width = length / 2, length * rng.uniform(0.21, 0.25)
    inset = half_width * 0.78
    return [
        Part(rectangle(-half, -half_width, half, half_width, length * 0.14), paint),
        Part(rectangle(half * 0.14, -inset, half * 0.46, inset, 1), DARK),
        Part(rectangle(-half * 0.72, -inset, -half * 0.48, inset, 1), DARK),
        Part(rectangle(-half * 0.44, -inset, half * 0.1, inset, 1), shade(paint, 1.15)),
    ]


def _plane(rng: np.random.Generator, paint: Colour) -> list[Part]:
    length = rng.uniform(42, 58)
    half, body, span = length / 2, length * 0.07, length * rng.uniform(0.42, 0.5)
    sweep = half * rng.uniform(0.15, 0.45)
    fuselage = np.array(
        [(-half, 0), (-half * 0.6, -body), (half * 0.7, -body), (half, 0), (half * 0.7, body), (-half * 0.6, body)]
    )
    wings = np.array(
        [(half * 0.3, 0), (half * 0.2 - sweep, -span), (-half * 0.02 - sweep, -span), (-half * 0.12, 0),
         (-half * 0.02 - sweep, span), (half * 0.2 - sweep, span)]
    )  # fmt: skip
    tail = np.array(
        [(-half * 0.68, 0), (-half * 0.86, -span * 0.42), (-half, -span * 0.42), (-half * 0.95, 0),
         (-half, span * 0.42), (-half * 0.86, span * 0.42)]
    )  # fmt: skip
    return [
        Part(wings, shade(paint, 0.85)),
        Part(tail, shade(paint, 0.85)),
        Part(fuselage, shade(paint, 1.2)),
        Part(rectangle(half * 0.62, -body * 0.6, half * 0.76, body * 0.6), DARK),
    ]


def _house(rng: np.random.Generator, paint: Colour) -> list[Part]:
    half = rng.uniform(16, 23)
    half_width = half * rng.uniform(0.72, 0.95)
    chimney = half * rng.uniform(-0.6, 0.3)
    return [
        Part(rectangle(-half, -half_width, half, 0), shade(paint, 1.15)),
        Part(rectangle(-half, 0, half, half_width), shade(paint, 0.68)),
        Part(rectangle(-half, -0.7, half, 0.7), shade(paint, 0.5)),
        Part(rectangle(chimney, -half_width * 0.6, chimney + 4, -half_width * 0.6 + 4), DARK),
    ]


def _silo(rng: np.random.Generator, paint: Colour) -> list[Part]:
    radius = rng.uniform(10, 16)
    return [
        Part(circle(radius), shade(paint, 0.72)),
        Part(circle(radius * 0.84), shade(paint, 1.15)),
        Part(circle(radius * 0.3, -radius * 0.2, -radius * 0.2), shade(paint, 1.4)),
        Part(rectangle(0, -1, radius * 0.95, 1), DARK),
    ]


SILHOUETTES: dict[str, Silhouette] = {
    "car": _car,
    "plane": _plane,
    "house": _house,
    "silo": _silo,
}
CLASSES = tuple(SILHOUETTES)
