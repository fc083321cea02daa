"""Our own transforms against albumentations' for the same effect; decoders, encoders and hashing against others.

One core, one image of 1280×720, no boxes. Where a transform draws its strength, both sides draw from the same range,
anew each time. What of ours takes a third of the library's time or more should be the library's.
"""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import imagehash
import numpy as np
import simplejpeg
from PIL import Image

from augmenter import light, transforms, weather
from augmenter.lean import albumentations as A  # noqa: N812  # its users' custom
from benchmarks.pairs import Contest, Run

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
    encoded = simplejpeg.encode_jpeg(pixels, QUALITY, "RGB", colorsubsampling="420")
    works = {**_files(pixels, encoded), **_transforms(pixels)}
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

    def pillow_encodes() -> None:
        Image.fromarray(pixels).save(io.BytesIO(), "JPEG", quality=QUALITY)

    def ours_hashes() -> object:
        small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (128, 128), interpolation=cv2.INTER_AREA)
        return imagehash.phash(Image.fromarray(small))

    return {
        "decode": (
            lambda: simplejpeg.decode_jpeg(encoded, colorspace="RGB"),
            {
                "OpenCV": lambda: cv2.imdecode(raw, cv2.IMREAD_COLOR_RGB),
                "Pillow": lambda: np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")),
            },
        ),
        "encode": (
            lambda: simplejpeg.encode_jpeg(pixels, QUALITY, "RGB", colorsubsampling="420"),
            {
                "OpenCV": lambda: cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]),
                "Pillow": pillow_encodes,
            },
        ),
        "perceptual hash": (ours_hashes, {"of the whole image": lambda: imagehash.phash(Image.fromarray(pixels))}),
    }


def _transforms(pixels: Pixels) -> dict[str, tuple[Work, dict[str, Work]]]:
    def alone(transform: A.BasicTransform) -> Work:
        compose = A.Compose([transform], seed=1)
        return lambda: compose(image=pixels)

    dark = [A.RandomBrightnessContrast((-0.6, -0.4), p=1), A.ISONoise(p=1)]  # the nearest thing that it has
    rivals: dict[type[light.Own], tuple[type[Any], A.BasicTransform]] = {
        light.Noise: (transforms.Noise, A.GaussNoise((4 / 255, 16 / 255), p=1)),
        light.Shadow: (transforms.Shadow, A.RandomShadow(shadow_intensity_range=(0.3, 0.6), p=1)),
        light.Glare: (transforms.Glare, A.RandomSunFlare(p=1)),
        weather.Snow: (transforms.Snow, A.RandomSnow(method="texture", p=1)),
        weather.Fog: (transforms.Fog, A.RandomFog(fog_coef_range=(0.3, 0.7), p=1)),
        weather.Night: (transforms.Night, A.Sequential(dark, p=1)),
    }
    return {
        transforms.kind_of(said): (
            alone(own(said(kind=transforms.kind_of(said), p=1))),
            {"albumentations": alone(library)},
        )
        for own, (said, library) in rivals.items()
    }
