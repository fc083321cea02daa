"""What rendering takes and gives, without what it needs: OpenCV is loaded in worker processes alone."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from labelstream.labels import Shape
from labelstream.values import sha256_hex

Modes = Mapping[tuple[int, str], int]  # (class id, weather mode) → the id of that class in the mode


@dataclass(frozen=True)
class Rendered:
    """One variant: the encoded image and the shapes on it."""

    image: bytes
    shapes: tuple[Shape, ...]

    @functools.cached_property
    def sha256(self) -> str:
        """The image's digest; once it is known it goes along from process to process."""
        return sha256_hex(self.image)


@dataclass(frozen=True)
class Rendering:
    """What was made of one image."""

    variants: tuple[Rendered, ...]  # without the original, which the caller has
    phash: str  # of the original: 64 bits in hexadecimal
