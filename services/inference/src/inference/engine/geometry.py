"""Sizes, letterbox geometry and detections: what an answer is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labelstream.errors import Rejected

Pixels = npt.NDArray[np.uint8]  # (height, width, 3) BGR
Floats = npt.NDArray[np.float32]
Tensor = npt.NDArray[np.float32] | npt.NDArray[np.uint8]  # (3, side, side) RGB 0 to 1, or (side, side, 3) BGR


@dataclass(frozen=True)
class ImageLimits:
    """How large an image may be."""

    max_bytes: int
    max_pixels: int

    def check_bytes(self, size_bytes: int) -> None:
        """Raise Rejected when an image of this many bytes is too large."""
        if size_bytes > self.max_bytes:
            raise Rejected(
                "image.too_large",
                f"the image has {size_bytes} bytes or more; {self.max_bytes} are the most",
                "Send it smaller or compress it more.",
            )

    def check_pixels(self, width: int, height: int) -> None:
        """Raise Rejected when an image of this size is too large."""
        if width * height > self.max_pixels:
            raise Rejected(
                "image.too_many_pixels",
                f"the image has {width} × {height} pixels; {self.max_pixels} are the most",
                "Send it smaller, or in tiles.",
            )


@dataclass(frozen=True)
class Size:
    """An image's size in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Letterbox:
    """Where an image lies in the square that the network sees; the rest is padding.

    The rounding is that of the training library: the same image lands on the same pixels.
    """

    image: Size
    side: int
    inner: Size  # the resized image inside the square
    left: int
    top: int

    @classmethod
    def of(cls, image: Size, side: int) -> Letterbox:
        """Fit `image` into a square of `side` pixels, centred, keeping its proportions."""
        ratio = min(side / image.height, side / image.width)
        inner = Size(max(round(image.width * ratio), 1), max(round(image.height * ratio), 1))
        # An odd padding puts its extra pixel to the right and below.
        left = round((side - inner.width) / 2 - 0.1)
        top = round((side - inner.height) / 2 - 0.1)
        return cls(image, side, inner, left, top)

    def to_image(self, boxes: Floats) -> Floats:
        """Map (n, 4) xyxy from the square to pixels of the image, clipped to it."""
        size = np.array([self.image.width, self.image.height] * 2, np.float32)
        gain = np.array([self.inner.width, self.inner.height] * 2, np.float32) / size
        offset = np.array([self.left, self.top] * 2, np.float32)
        mapped: Floats = np.clip((boxes - offset) / gain, 0, size)
        return mapped


@dataclass(frozen=True)
class Found:
    """The detections in one image, most confident first."""

    boxes: Floats  # (n, 4) xyxy, pixels of the image
    scores: Floats  # (n,)
    classes: npt.NDArray[np.int64]  # (n,)

    def __len__(self) -> int:
        return len(self.scores)
