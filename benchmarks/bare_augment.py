"""Augmenting without Labelstream: a bare loop, and the way that Azaion documents.

Both do to each image what we do: the very transforms, from the same recipe, drawn from the same seeds. The bare loop
decodes each image once, transforms, encodes. Its images are in memory before the clock starts, and what it makes stays
in the process that made it: no boxes, no hashes, no archive, no store. It is what the hardware gives. Azaion's way
reads each image from a file and writes each variant to one, in a pool of threads.
"""

from __future__ import annotations

import copy
import multiprocessing
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from augmenter.composing import composed, seeded
from augmenter.lean import albumentations as A  # noqa: N812  # its users' custom
from augmenter.recipe import load_recipe
from augmenter.render import seed
from labelstream.values import sha256_hex

Pixels = np.ndarray[Any, Any]

RECIPE = load_recipe("default")
_NO_BOXES = np.zeros((0, 4))
_OWN = threading.local()
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
    _FILES.extend((sha256_hex(file), file) for file in files)


_FILES: list[tuple[str, bytes]] = []  # of a process: digests and images
_MADE: dict[int, list[bytes]] = {}  # in a process: the variants of each image, until they are made again


def _bare(number: int) -> int:
    """Decode an image, make and encode its variants; return how many."""
    digest, encoded = _FILES[number]
    pixels = simplejpeg.decode_jpeg(encoded, colorspace="RGB")
    _MADE[number] = [_encoded(_transformed(pixels, digest, variant)) for variant in range(1, RECIPE.count + 1)]
    return len(_MADE[number])


def _encoded(pixels: Pixels) -> bytes:
    quality, subsampling = RECIPE.jpeg_quality, str(RECIPE.jpeg_subsampling)
    return bytes(simplejpeg.encode_jpeg(pixels, quality, colorspace="RGB", colorsubsampling=subsampling))


def _to_files(path: Path, folder: Path) -> int:
    """Read an image, which is called by its digest, write it and its variants; return how many."""
    pixels = cv2.imread(str(path))
    assert pixels is not None
    cv2.imwrite(str(folder / path.name), pixels)
    for variant in range(1, RECIPE.count + 1):
        target = folder / f"{path.stem}_{variant}.jpg"
        cv2.imwrite(str(target), _transformed(pixels, path.stem, variant))
        target.with_suffix(".txt").write_text("0 0.5 0.5 0.2 0.2\n")
    return RECIPE.count + 1


def _transformed(pixels: Pixels, digest: str, variant: int) -> Pixels:
    """Draw what is done to a variant of the image with this digest, and do it to the pixels."""
    compose = seeded(_own_transforms(), seed(digest, RECIPE.digest, variant))
    done: Pixels = compose(image=pixels, bboxes=_NO_BOXES, rows=())["image"]
    return done


def _own_transforms() -> A.Compose:
    """Return the recipe's transforms for this thread alone: while they work they keep what they drew."""
    if not hasattr(_OWN, "transforms"):
        (group,) = RECIPE.variants
        _OWN.transforms = copy.deepcopy(composed(group, RECIPE.min_box_visible))
    transforms: A.Compose = _OWN.transforms
    return transforms
