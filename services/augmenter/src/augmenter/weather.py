"""Weather that albumentations lacks, or is too slow at: its way (1280×720, one core) beside each.

Images are (height, width, 3) RGB uint8, and are never changed in place.
"""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy as np

from augmenter import transforms as kinds
from augmenter.lean import albumentations as A  # noqa: N812  # its users' custom
from augmenter.light import Image, Own, Plane, Rng, add_noise, grid, paler, spread, veiled

SNOW = (244, 248, 252)  # RGB, like all colours here
MIST = (204, 208, 212)
_RAIN_HIGH = 720  # pixels: for images so high the library's streaks are made
_MOON = (0.64, 0.80, 1.0)  # how much of red, green and blue is left at night


class Rain(A.RandomRain):  # type: ignore[misc]  # the library has no types
    """The library's rain, drawn as on an image 720 pixels high and scaled: small images get no bars, large no hairs."""

    def __init__(self, said: kinds.Rain) -> None:
        """Do what `said`, a transform of a recipe, says."""
        slant = (-said.slant_px, said.slant_px)
        super().__init__(slant_range=slant, brightness_coefficient=said.light, rain_type=said.fall, p=said.p)
        self.said = said

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw where drops fall, and how."""
        height, width = params["shape"][:2]
        by = height / _RAIN_HIGH
        as_on = {**params, "shape": (_RAIN_HIGH, max(1, round(width / by)))}
        drawn = super().get_params_dependent_on_data(as_on, data)
        return {name: value * by for name, value in drawn.items()}

    def apply(self, img: Image, **drawn: Any) -> Image:
        """Return the image with it."""
        made: Image = _rain_of(self.said, img.shape[0]).apply(img, **drawn)
        return made


@functools.lru_cache(maxsize=64)
def _rain_of(said: kinds.Rain, height: int) -> A.RandomRain:
    """Return what paints streaks of the width, and about the light, that suit an image so high."""
    by = height / _RAIN_HIGH
    wide, blurred = max(1, round(by)), 2 * round((7 * by - 1) / 2) + 1 if by > 2 / 7 else 1
    light = min(255, round(200 * blurred / (7 * wide)) + (0 if by >= 1 else 12))  # thin ones, a little more of it
    colour = (light, light, light)
    return A.RandomRain(
        drop_width=wide, drop_color=colour, blur_value=blurred, brightness_coefficient=said.light, rain_type=said.fall
    )


class Snow(Own):
    """Cover what is bright, unevenly; then let flakes fall, the near ones larger.

    A.RandomSnow with texture takes 8 to 10 times as long; its cheap way, bleach, has no flakes.
    """

    said: kinds.Snow

    def apply(self, img: Image, **_: Any) -> Image:
        """Return the image with it."""
        rng, (height, width) = self.random_generator, img.shape[:2]
        lying = _lying(img, rng.uniform(*self.said.cover), rng)
        flakes = _flakes(rng, width, height, rng.uniform(*self.said.flakes))
        seen = cv2.multiply(cv2.bitwise_not(lying), cv2.bitwise_not(flakes), scale=1 / 255)  # of the ground, past both
        return veiled(paler(img, 0.3, 0.95, 12), cv2.bitwise_not(seen), SNOW)


class Fog(Own):
    """Lay a veil over the image, in banks; often denser towards the top (A.RandomFog: 200 ms, 100 times as long)."""

    said: kinds.Fog

    def apply(self, img: Image, **_: Any) -> Image:
        """Return the image with it."""
        rng, (height, width) = self.random_generator, img.shape[:2]
        density, slope = rng.uniform(*self.said.density), rng.uniform(0, 0.5)
        down = grid(width, height)[1]
        far = 1 - slope * (down - 0.3)
        banks = 1 + 0.35 * (_clouds(rng, width, height, 4) - 0.5)
        return veiled(
            paler(img, 0.3 * density, 1), spread(np.clip(density * far * banks, 0, 0.92), width, height), MIST
        )


class Night(Own):
    """Take the light away, red first; leave a lamp's, and what the sensor makes of so little (the library has none)."""

    said: kinds.Night

    def apply(self, img: Image, **_: Any) -> Image:
        """Return the image with it."""
        rng, (height, width) = self.random_generator, img.shape[:2]
        left = 1 - rng.uniform(*self.said.darkness)
        lamp = _lamp(rng, width, height)
        values = np.arange(256) / 255
        curve = values**1.15 * left * 255  # the dark parts fade first
        tables = np.stack([np.rint(curve * share) for share in _MOON], axis=-1).astype(np.uint8)[None]
        dark = cv2.LUT(paler(img, 0.45, 1), tables)
        glow = cv2.merge([cv2.convertScaleAbs(lamp, alpha=share) for share in (1.0, 0.75, 0.35)])
        lit = cv2.add(dark, cv2.multiply(img, glow, scale=0.55 / 255))
        return add_noise(lit, rng.uniform(*self.said.noise), rng, coloured=False)


def _lying(pixels: Image, cover: float, rng: Rng) -> Plane:
    """Return how densely snow lies: on the brightest share of the image, which clouds of noise make uneven."""
    height, width = pixels.shape[:2]
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    patches = spread(0.6 * _clouds(rng, width, height, 3) + 0.4 * _clouds(rng, width, height, 12), width, height)
    score = cv2.addWeighted(grey, 0.6, patches, 0.4, 0)
    counts = np.bincount(score[::4, ::4].ravel(), minlength=256).cumsum()  # a sixteenth tells as much
    edge = int(np.searchsorted(counts, (1 - cover) * counts[-1]))  # the score that parts snow from ground
    softness = 14
    rising = 1 / (1 + np.exp((edge - np.arange(256)) / softness))
    made: Image = cv2.LUT(score, np.rint(rising * 215).astype(np.uint8))
    return made


def _flakes(rng: Rng, width: int, height: int, strength: float) -> Plane:
    flakes = np.zeros((height, width), np.uint8)
    short = min(width, height)
    for number, radius, light in ((500, 0.0016, 150), (200, 0.003, 200), (40, 0.006, 170)):
        places = rng.uniform((0, 0), (width, height), (round(number * strength), 2))
        radii = np.maximum(radius * short * rng.uniform(0.6, 1.4, len(places)), 0.5)
        for (x, y), r in zip(np.rint(places * 16).astype(int).tolist(), np.rint(radii * 16).astype(int), strict=True):
            cv2.circle(flakes, (x, y), int(r), light, cv2.FILLED, cv2.LINE_AA, 4)
    return cv2.blur(flakes, (3, 3)) if short > 400 else flakes


def _lamp(rng: Rng, width: int, height: int) -> Plane:
    across, down = grid(width, height)
    x, y, reach = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.15, 0.4)
    longer = max(width, height)
    distance = np.hypot((across - x) * width / longer, (down - y) * height / longer)
    return spread(np.exp(-((distance / reach) ** 2)) * rng.uniform(0, 1), width, height)


def _clouds(rng: Rng, width: int, height: int, number: int) -> Image:
    """Return soft noise (0 to 1) over the coarse grid, with about `number` patches along each side."""
    across, down = grid(width, height)
    noise = rng.random((number, number), np.float32)
    clouds: Image = np.clip(cv2.resize(noise, (across.shape[1], down.shape[0]), interpolation=cv2.INTER_CUBIC), 0, 1)
    return clouds
