"""Light and sensor, where albumentations is too slow: its way (1280×720, one core) beside each.

Images are (height, width, 3) RGB uint8, and are never changed in place.
"""

from __future__ import annotations

import functools
import math
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np

from augmenter import transforms as kinds
from augmenter.lean import albumentations as A  # noqa: N812  # its users' custom

Image = np.ndarray[Any, Any]
Plane = np.ndarray[Any, Any]  # (height, width) uint8
Rng = np.random.Generator


class Own(A.ImageOnlyTransform):  # type: ignore[misc]  # the library has no types
    """A transform of our own. It draws from the library's generator, so a compose's seed governs it too."""

    def __init__(self, said: Any) -> None:
        """Do what `said`, a transform of a recipe, says."""
        super().__init__(p=said.p)
        self.said = said


class Noise(Own):
    """Add noise to each value (A.GaussNoise: 5 times as long)."""

    said: kinds.Noise

    def apply(self, img: Image, **_: Any) -> Image:
        """Return the image with it."""
        return add_noise(img, self.random_generator.uniform(*self.said.sigma), self.random_generator)


class Shadow(Own):
    """Darken one side of a soft edge that runs through the image (A.RandomShadow: 4 to 15 times, with hard edges)."""

    said: kinds.Shadow

    def apply(self, img: Image, **_: Any) -> Image:
        """Return the image with it."""
        rng, (height, width) = self.random_generator, img.shape[:2]
        angle, strength = rng.uniform(0, 2 * math.pi), rng.uniform(*self.said.strength)
        x, y = rng.uniform(0.2, 0.8, 2)
        softness = rng.uniform(0.01, 0.05)
        across, down = grid(width, height)
        distance = (across - x) * math.cos(angle) + (down - y) * math.sin(angle)
        lit = 1 - strength / (1 + np.exp(np.clip(-distance / softness, -50, 50)))
        made: Image = cv2.multiply(img, cv2.merge([spread(lit, width, height)] * 3), scale=1 / 255)
        return made


class Glare(Own):
    """Add a bright spot near the upper border that fades over the image (A.RandomSunFlare: 40 times as long)."""

    said: kinds.Glare

    def apply(self, img: Image, **_: Any) -> Image:
        """Return the image with it."""
        rng, (height, width) = self.random_generator, img.shape[:2]
        x, y, strength = rng.uniform(0, 1), rng.uniform(-0.1, 0.3), rng.uniform(*self.said.strength)
        across, down = grid(width, height)
        distance = np.hypot((across - x) * width / max(width, height), (down - y) * height / max(width, height))
        light = strength * (0.7 * np.exp(-((distance / 0.35) ** 2)) + np.exp(-((distance / 0.08) ** 2)))
        return veiled(img, spread(np.minimum(light, 1), width, height), (255, 245, 225))


def add_noise(pixels: Image, sigma: float, rng: Rng, *, coloured: bool = True) -> Image:
    """Add normal noise: random bytes, looked up in the normal distribution's quantiles (a third of the time)."""
    shape = pixels.shape if coloured else pixels.shape[:2]
    table = np.clip(np.rint(128 + sigma * _quantiles()), 0, 255).astype(np.uint8)
    grains = cv2.LUT(rng.integers(0, 256, shape, np.uint8), table)
    made: Image = cv2.addWeighted(pixels, 1, grains if coloured else cv2.merge([grains] * 3), 1, -128)
    return made


def veiled(pixels: Image, density: Plane, colour: tuple[int, int, int]) -> Image:
    """Lay a colour (RGB) over the image, as densely as `density` says: at 255 nothing else is seen."""
    kept = cv2.multiply(pixels, cv2.merge([cv2.bitwise_not(density)] * 3), scale=1 / 255)
    laid = cv2.merge([cv2.convertScaleAbs(density, alpha=value / 255) for value in colour])
    made: Image = cv2.add(kept, laid)
    return made


def paler(pixels: Image, by: float, brightness: float, shift: float = 0) -> Image:
    """Take a share of the colour out, then scale and shift what is left."""
    grey = cv2.merge([cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)] * 3)
    made: Image = cv2.addWeighted(pixels, (1 - by) * brightness, grey, by * brightness, shift)
    return made


COARSE = 16  # soft things are computed for blocks of this many pixels, and spread


def grid(width: int, height: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the places (fractions) of the middles of coarse blocks: (1, columns) and (rows, 1)."""
    columns, rows = -(-width // COARSE), -(-height // COARSE)
    return (np.arange(columns)[None] + 0.5) / columns, (np.arange(rows)[:, None] + 0.5) / rows


def spread(coarse: np.ndarray[Any, Any], width: int, height: int) -> Plane:
    """Enlarge a coarse plane of values from 0 to 1 to the image's size, as bytes (1 → 255)."""
    made: Image = cv2.resize(np.rint(coarse * 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    return made


@functools.cache
def _quantiles() -> np.ndarray[Any, Any]:  # (256,) of the normal distribution, at the middle of each 256th
    normal = NormalDist()
    return np.array([normal.inv_cdf((number + 0.5) / 256) for number in range(256)])
