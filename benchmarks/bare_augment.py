"""Augmenting without Labelstream: a bare loop, and the way that Azaion documents.

Both draw the same transforms from the same recipe as we do, and do them with the same functions. The bare loop
has its images in memory and throws away what it makes: no boxes, no hashes, no archive, no store. It is what the
hardware gives. Azaion's way reads each image from a file and writes each variant to one, in a pool of threads.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from augmenter import light
from augmenter import transforms as kinds
from augmenter.geometry import draw_turn
from augmenter.recipe import load_recipe

Pixels = np.ndarray[Any, Any]

RECIPE = load_recipe("default")
SHARED = 8  # images that a process takes at a time


def bare_pool(processes: int, files: Sequence[bytes]) -> ProcessPoolExecutor:
    """Start processes that have the images in memory."""
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, spawn, initializer=_begin, initargs=(tuple(files),))
    list(pool.map(_bare, range(processes * 4)))  # so that each process is up
    return pool


def run_bare(pool: ProcessPoolExecutor, images: int) -> float:
    """Make the variants of every image; return the seconds that it took."""
    began = time.perf_counter()
    made = sum(pool.map(_bare, range(images), chunksize=SHARED))
    seconds = time.perf_counter() - began
    assert made == images * RECIPE.count, "not every variant was made"
    return seconds


def run_files(threads: int, inputs: Sequence[Path], folder: Path) -> float:
    """Make the variants of every image, a file each, in threads; return the seconds that it took."""
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        made = sum(pool.map(lambda path: _to_files(path, folder), inputs))
    seconds = time.perf_counter() - began
    assert made == len(inputs) * (RECIPE.count + 1), "not every variant was made"
    return seconds


def _begin(files: tuple[bytes, ...]) -> None:
    cv2.setNumThreads(1)
    _FILES.extend(files)


_FILES: list[bytes] = []  # of a process


def _bare(number: int) -> int:
    """Decode an image, make and encode its variants; return how many."""
    pixels = simplejpeg.decode_jpeg(_FILES[number], colorspace="BGR")
    return sum(1 for variant in range(RECIPE.count) if _encoded(_transformed(pixels, number, variant)))


def _encoded(pixels: Pixels) -> bytes:
    quality, subsampling = RECIPE.jpeg_quality, str(RECIPE.jpeg_subsampling)
    return bytes(simplejpeg.encode_jpeg(pixels, quality, colorspace="BGR", colorsubsampling=subsampling))


def _to_files(path: Path, folder: Path) -> int:
    """Read an image, write it and its variants; return how many."""
    pixels = cv2.imread(str(path))
    assert pixels is not None
    cv2.imwrite(str(folder / path.name), pixels)
    for variant in range(1, RECIPE.count + 1):
        target = folder / f"{path.stem}_{variant}.jpg"
        cv2.imwrite(str(target), _transformed(pixels, int(path.stem), variant))
        target.with_suffix(".txt").write_text("0 0.5 0.5 0.2 0.2\n")
    return RECIPE.count + 1


def _transformed(pixels: Pixels, number: int, variant: int) -> Pixels:
    """Draw what is done to a variant, as the recipe says, and do it to the pixels."""
    rng = np.random.default_rng((number, variant))
    (group,) = RECIPE.variants
    drawn = [transform for transform in group.transforms if rng.random() < transform.p]
    height, width = pixels.shape[:2]
    done = draw_turn([one for one in drawn if isinstance(one, kinds.Geometric)], rng, width, height).image(pixels)
    for transform in drawn:
        match transform:
            case kinds.BrightnessContrast():
                done = light.brightness_contrast(done, transform, rng)
            case kinds.HueSaturation():
                done = light.hue_saturation(done, transform, rng)
            case kinds.MotionBlur():
                done = light.motion_blur(done, transform, rng)
    return done
