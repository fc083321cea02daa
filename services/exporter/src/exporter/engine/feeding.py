"""Letterboxed images, as ultralytics makes them, in the form that a file takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporter.engine.adapters.contract import BGR_INPUT, RGB_INPUT, Floats, Images


def fed(images: Floats, taken: str) -> Images:
    """Return (b, 3, side, side), RGB, 0 to 1, as `taken`, which ArtifactFacts.input says."""
    if taken == RGB_INPUT:
        return as_pixels(images)
    if taken == BGR_INPUT:
        return np.ascontiguousarray(as_pixels(images)[..., ::-1])
    return images


def as_pixels(images: Floats) -> NDArray[np.uint8]:
    """Return the bytes that (b, 3, side, side) was made of: (b, side, side, 3), from 0 to 255, in the same order."""
    return np.ascontiguousarray(np.rint(images * 255).astype(np.uint8).transpose(0, 2, 3, 1))
