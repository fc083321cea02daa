"""Decoding, each transform, encoding and the whole default recipe, against albumentations, OpenCV and Pillow.

One core, one image of 1280×720. Where a transform draws its strength, all sides draw from the same range, anew each
time. albumentations composes only what is compared, without boxes, and hashes no image.
"""

from __future__ import annotations

import io
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A  # noqa: N812  # its users' custom
import cv2
import imagehash
import numpy as np
import simplejpeg
from PIL import Image

from augmenter import geometry, light, transforms, weather
from augmenter.recipe import load_recipe
from augmenter.render import render
from benchmarks.pairs import Contest, Run
from labelstream.events.annotation import ImageRef

WIDTH, HEIGHT = 1280, 720
TIMES = 8  # that a side does its work in one run
QUALITY = 92

Pixels = np.ndarray[Any, Any]
Work = Callable[[], object]


@asynccontextmanager
async def contests(folder: Path) -> AsyncIterator[list[Contest]]:
    """Draw the image, and pair each piece of work with its rivals."""
    del folder  # nothing is written
    cv2.setNumThreads(1)
    pixels = _drawn()
    encoded = simplejpeg.encode_jpeg(pixels, QUALITY, "BGR", colorsubsampling="420")
    works = {**_files(pixels, encoded), **_transforms(pixels), **_whole(encoded)}
    yield [
        Contest(
            name,
            _timed(ours),
            {side: _timed(work) for side, work in others.items()},
            TIMES,
            "images",
            "ratio_to_best_peer",
        )
        for name, (ours, others) in works.items()
    ]


def _timed(work: Work) -> Run:
    async def run() -> float:
        began = time.perf_counter()
        for _ in range(TIMES):
            work()
        return time.perf_counter() - began

    return run


def _drawn() -> Pixels:
    """Return an image with detail at every size, as a photograph has."""
    rng = np.random.default_rng(2026)
    image = np.full((HEIGHT, WIDTH, 3), 110, np.float32)
    for blocks, strength in ((4, 70), (16, 40), (64, 25), (256, 12)):
        noise = rng.normal(0, strength, (blocks * 9 // 16 + 1, blocks, 3)).astype(np.float32)
        image += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


def _files(pixels: Pixels, encoded: bytes) -> dict[str, tuple[Work, dict[str, Work]]]:
    raw = np.frombuffer(encoded, np.uint8)

    def pillow_encodes() -> object:
        return Image.fromarray(pixels).save(io.BytesIO(), "JPEG", quality=QUALITY)

    def ours_hashes() -> object:
        small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), (128, 128), interpolation=cv2.INTER_AREA)
        return imagehash.phash(Image.fromarray(small))

    return {
        "decode": (
            lambda: simplejpeg.decode_jpeg(encoded, colorspace="BGR"),
            {
                "OpenCV": lambda: cv2.imdecode(raw, cv2.IMREAD_COLOR),
                "Pillow": lambda: np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")),
            },
        ),
        "encode": (
            lambda: simplejpeg.encode_jpeg(pixels, QUALITY, "BGR", colorsubsampling="420"),
            {
                "OpenCV": lambda: cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]),
                "Pillow": pillow_encodes,
            },
        ),
        "perceptual hash": (ours_hashes, {"of the whole image": lambda: imagehash.phash(Image.fromarray(pixels))}),
    }


def _transforms(pixels: Pixels) -> dict[str, tuple[Work, dict[str, Work]]]:
    rng = np.random.default_rng(1)

    def ours(done_by: Callable[[Pixels, Any, np.random.Generator], Pixels], model: type[Any]) -> Work:
        drawn = model(kind=transforms.kind_of(model), p=1)
        return lambda: done_by(pixels, drawn, rng)

    def turned(model: type[Any]) -> Work:
        drawn = model(kind=transforms.kind_of(model), p=1)
        return lambda: geometry.draw_turn([drawn], rng, WIDTH, HEIGHT).image(pixels)

    def theirs(transform: A.BasicTransform) -> dict[str, Work]:
        compose = A.Compose([transform])
        return {"albumentations": lambda: compose(image=pixels)}

    return {
        "flip": (turned(transforms.Flip), theirs(A.HorizontalFlip(p=1))),
        "affine": (turned(transforms.Affine), theirs(_affine(1))),
        "brightness_contrast": (
            ours(light.brightness_contrast, transforms.BrightnessContrast),
            theirs(A.RandomBrightnessContrast(p=1)),
        ),
        "hue_saturation": (ours(light.hue_saturation, transforms.HueSaturation), theirs(A.HueSaturationValue(p=1))),
        "motion_blur": (ours(light.motion_blur, transforms.MotionBlur), theirs(A.MotionBlur((3, 7), p=1))),
        "noise": (ours(light.noise, transforms.Noise), theirs(A.GaussNoise((4 / 255, 16 / 255), p=1))),
        "compression": (
            ours(light.compression, transforms.Compression),
            theirs(A.ImageCompression(quality_range=(30, 70), p=1)),
        ),
        "shadow": (ours(light.shadow, transforms.Shadow), theirs(A.RandomShadow(p=1))),
        "glare": (ours(light.glare, transforms.Glare), theirs(A.RandomSunFlare(p=1))),
        "rain": (ours(weather.rain, transforms.Rain), theirs(A.RandomRain(p=1))),
        "snow": (ours(weather.snow, transforms.Snow), theirs(A.RandomSnow(method="texture", p=1))),
        "fog": (ours(weather.fog, transforms.Fog), theirs(A.RandomFog(p=1))),
        "night": (
            ours(weather.night, transforms.Night),
            theirs(A.Sequential([A.RandomBrightnessContrast((-0.6, -0.4), p=1), A.ISONoise(p=1)], p=1)),
        ),
    }


def _whole(encoded: bytes) -> dict[str, tuple[Work, dict[str, Work]]]:
    recipe = load_recipe("default")
    numbers = itertools.count()

    def ours() -> object:
        digest = f"{next(numbers):064x}"  # decides what is drawn
        image = ImageRef(key="i", sha256=digest, size_bytes=1, format="jpeg", width=WIDTH, height=HEIGHT)
        return render(encoded, image, (), recipe, {})

    same = [
        A.HorizontalFlip(p=0.6),
        A.RandomBrightnessContrast(p=0.4),
        _affine(0.8),
        A.MotionBlur((3, 7), p=0.1),
        A.HueSaturationValue(p=0.4),
    ]
    compose = A.Compose(same)
    compose.set_random_seed(1)

    def theirs() -> object:
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        for _ in range(recipe.count):
            made = compose(image=pixels)["image"]
            cv2.imencode(".jpg", made, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        return None

    return {"default recipe, 7 variants": (ours, {"albumentations": theirs})}


def _affine(p: float) -> A.Affine:
    angles = (-10, 10)
    return A.Affine(scale=(0.8, 1.2), rotate=(-35, 35), shear={"x": angles, "y": angles}, keep_ratio=True, p=p)
