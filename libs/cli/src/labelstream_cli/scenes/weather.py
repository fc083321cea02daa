"""What the weather does to a picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from labelstream_cli.scenes.ground import Picture

Weather = Callable[[np.random.Generator, Picture], Picture]


def _clear(rng: np.random.Generator, picture: Picture) -> Picture:
    return picture * np.float32(rng.uniform(1.0, 1.15))


def _rain(rng: np.random.Generator, picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    veil = np.zeros((height, width), np.float32)
    slant = rng.uniform(-4, 4)
    for x, y, length in zip(
        rng.uniform(0, width, 70), rng.uniform(-8, height, 70), rng.uniform(4, 10, 70), strict=True
    ):
        start, end = (round(x), round(y)), (round(x + slant), round(y + length))
        cv2.line(veil, start, end, 1.0, 1, cv2.LINE_AA)
    grey = picture * 0.62 + 22
    return grey + veil[..., None] * 62


def _snow(rng: np.random.Generator, picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    flakes = np.zeros((height, width), np.float32)
    for x, y, size in zip(
        rng.uniform(0, width, 60), rng.uniform(0, height, 60), rng.uniform(0.4, 1.4, 60), strict=True
    ):
        cv2.circle(flakes, (round(x * 16), round(y * 16)), round(size * 16), 1.0, -1, cv2.LINE_AA, 4)
    covered: Picture = picture * (1 - 0.8 * flakes[..., None]) + 245 * 0.8 * flakes[..., None]
    return covered


def _fog(rng: np.random.Generator, picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    banks = cv2.resize(rng.random((4, 4)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    density = np.clip(rng.uniform(0.25, 0.45) + 0.25 * banks, 0, 0.65)[..., None]
    veiled: Picture = picture * (1 - density) + 205 * density
    return veiled


def _night(rng: np.random.Generator, picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    lamp_x, lamp_y = rng.uniform(0, width), rng.uniform(0, height)
    lamp = np.exp(-((columns - lamp_x) ** 2 + (rows - lamp_y) ** 2) / (2 * 38.0**2))[..., None]
    cold = picture * np.array((0.46, 0.38, 0.34), np.float32)
    dark: Picture = cold + picture * lamp * np.array((0.25, 0.4, 0.46), np.float32)
    return dark + rng.normal(0, 4, picture.shape).astype(np.float32)


WEATHERS: dict[str, Weather] = {"clear": _clear, "rain": _rain, "snow": _snow, "fog": _fog, "night": _night}
