"""What the scenes' things stand on: meadows, sand and tarmac, roads, water, bushes and stones."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from labelstream_cli.scenes.silhouettes import Colour, Points, circle, shade

Picture = npt.NDArray[np.float32]  # (height, width, 3) blue, green, red, 0 to 255
Mask = npt.NDArray[np.uint8]  # (height, width), 255 inside

SURFACES: tuple[Colour, ...] = ((58, 104, 84), (74, 118, 128), (104, 146, 172), (96, 98, 100), (70, 86, 110))
WATER: tuple[Colour, ...] = ((122, 92, 46), (110, 104, 62), (92, 70, 40))
FINER = 2  # drawn so many times larger than shown, and scaled down: that smooths the edges
_SHIFT = 4  # cv2 takes coordinates in sixteenths of a pixel


@dataclass(frozen=True)
class Ground:
    """A drawn piece of land, and where it is water."""

    picture: Picture
    water: Mask


def fill(picture: Picture | Mask, outline: Points, colour: Colour | float) -> None:
    """Fill a polygon given in pixels of the scene."""
    points = np.round(outline * FINER * 2**_SHIFT).astype(np.int32)
    cv2.fillPoly(picture, [points], colour, cv2.LINE_8, _SHIFT)


def draw_ground(rng: np.random.Generator, side: int, tint: Colour | None = None) -> Ground:
    """Draw a square of `side` pixels; `tint` is laid over the land, such as snow."""
    base = SURFACES[rng.integers(len(SURFACES))]
    picture = np.empty((side * FINER, side * FINER, 3), np.float32)
    picture[:] = base
    _fields(rng, picture, side)
    if rng.random() < 0.55:
        _road(rng, picture, side)
    if tint is not None:
        picture = picture * 0.35 + np.array(tint, np.float32) * 0.65
    water = _water(rng, picture, side) if rng.random() < 0.5 else np.zeros(picture.shape[:2], np.uint8)
    for _ in range(int(rng.integers(2, 9))):
        _stone(rng, picture, side)
    _texture(rng, picture)
    return Ground(picture, water)


def bush(rng: np.random.Generator, picture: Picture, x: float, y: float, radius: float) -> None:
    """Draw a bush or the top of a tree."""
    green = shade((48, 96, 62), rng.uniform(0.55, 1.15))
    for layer, size in enumerate((1.0, 0.7, 0.4)):
        angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        reach = radius * size * rng.uniform(0.75, 1.1, len(angles))
        outline = np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], axis=1)
        fill(picture, outline, shade(green, 1 + 0.18 * layer))


def _fields(rng: np.random.Generator, picture: Picture, side: int) -> None:
    for _ in range(int(rng.integers(0, 4))):
        centre, angle = rng.uniform(0, side, 2), rng.uniform(0, np.pi)
        along = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(25, 80)
        across = np.array([-np.sin(angle), np.cos(angle)]) * rng.uniform(20, 60)
        outline = np.array(
            [centre + along + across, centre + along - across, centre - along - across, centre - along + across]
        )
        colour = shade(SURFACES[rng.integers(len(SURFACES))], rng.uniform(0.8, 1.2))
        fill(picture, outline, colour)
        for step in np.linspace(-0.9, 0.9, int(rng.integers(4, 12))):
            middle = centre + across * step
            furrow = np.array(
                [middle - along, middle + along, middle + along + across * 0.03, middle - along + across * 0.03]
            )
            fill(picture, furrow, shade(colour, 0.88))


def _road(rng: np.random.Generator, picture: Picture, side: int) -> None:
    angle, centre, half = rng.uniform(0, np.pi), rng.uniform(0.25, 0.75, 2) * side, rng.uniform(9, 14)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    far = along * side * 2
    edge = across * half
    tarmac = np.array([centre - far + edge, centre + far + edge, centre + far - edge, centre - far - edge])
    fill(picture, tarmac, shade((92, 92, 94), rng.uniform(0.7, 1.2)))
    for step in np.arange(-side * 1.5, side * 1.5, 14):
        start = centre + along * step
        dash = np.array(
            [
                start - across * 0.7,
                start + along * 7 - across * 0.7,
                start + along * 7 + across * 0.7,
                start + across * 0.7,
            ]
        )
        fill(picture, dash, (205, 210, 214))


def _water(rng: np.random.Generator, picture: Picture, side: int) -> Mask:
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.15, 0.25) * side
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) - side / 2
    along, across = columns * np.cos(angle) + rows * np.sin(angle), rows * np.cos(angle) - columns * np.sin(angle)
    shore = offset + 5 * np.sin(across / rng.uniform(9, 22) + rng.uniform(0, 6)) + 3 * np.sin(across / 5)
    waves = 5 * np.sin(along / 2.1 + 2 * np.sin(across / 7))
    depth, waves = _finer(along - shore), _finer(waves)
    wet = depth > 0
    colour = np.array(WATER[rng.integers(len(WATER))], np.float32)
    picture[wet] = colour + waves[wet][:, None]
    picture[np.abs(depth) < 1.6] = (176, 190, 196)
    return wet.astype(np.uint8) * 255


def _finer(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    larger: npt.NDArray[np.float32] = cv2.resize(values, None, fx=FINER, fy=FINER, interpolation=cv2.INTER_LINEAR)
    return larger


def _stone(rng: np.random.Generator, picture: Picture, side: int) -> None:
    x, y = rng.uniform(0, side, 2)
    outline = circle(rng.uniform(1.2, 3.6), x, y, 7) + rng.uniform(-0.8, 0.8, (7, 2))
    fill(picture, outline, shade((128, 132, 136), rng.uniform(0.5, 1.4)))


def _texture(rng: np.random.Generator, picture: Picture) -> None:
    height, width = picture.shape[:2]
    noise = np.zeros((height, width), np.float32)
    for cells, strength in ((6, 16.0), (28, 9.0), (110, 6.0)):
        coarse = rng.normal(0, strength, (cells, cells)).astype(np.float32)
        noise += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture += noise[..., None]
