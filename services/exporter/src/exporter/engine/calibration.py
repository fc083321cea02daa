"""The images that an INT8 format takes its ranges from, as the network sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from ultralytics.data.augment import LetterBox

from exporter.engine.adapters.contract import BuildOrder, CalibrationMissingError, Images
from exporter.engine.feeding import fed
from exporter.engine.pixels import read_pixels
from labelstream.bundle import Calibration
from labelstream.values import digest_of, sha256_file


def calibration_tensors(order: BuildOrder) -> Iterator[Images]:
    """Yield each calibration image, letterboxed, as the order's graph takes it.

    Raises CalibrationMissingError and UnreadableImageError.
    """
    for pixels in calibration_squares(order):
        as_floats = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)
        yield fed(as_floats, order.input)


def calibration_squares(order: BuildOrder) -> Iterator[NDArray[np.uint8]]:
    """Yield each calibration image, letterboxed: (side, side, 3), RGB."""
    if not order.calibration:
        raise CalibrationMissingError(f"{order.format.name} takes its ranges from images of the dataset, and got none")
    yield from (letterboxed(path, order.side) for path in order.calibration)


def letterboxed(path: Path, side: int) -> NDArray[np.uint8]:
    """Read an image as the network sees it: (side, side, 3), RGB."""
    square: NDArray[np.uint8] = LetterBox(side, auto=False)(image=read_pixels(path))
    return cv2.cvtColor(square, cv2.COLOR_BGR2RGB)  # type: ignore[no-any-return]  # OpenCV is untyped


def calibrated(order: BuildOrder) -> Calibration:
    """Say what the ranges were taken from."""
    digests = [sha256_file(path) for path in order.calibration]
    return Calibration(images=len(digests), digest=digest_of(digests))
