"""Images as they are stored, read for the engine."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


class UnreadableImageError(Exception):
    """A file is no image that OpenCV can read."""


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """Return (height, width, 3), blue, green, red. Raises UnreadableImageError."""
    pixels: NDArray[np.uint8] | None = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise UnreadableImageError(f"{path} is no image that OpenCV can read")
    return pixels
